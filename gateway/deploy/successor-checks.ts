/**
 * SuccessorChecks: refuse a version that must not follow the wanted one, or does not fit the other functions.
 *
 *   SU1. Every version that is to be wanted passes the same checks, whether it is deployed, rolled back to, promoted,
 *        or has only other assets or resources.
 * @module
 */
import type { InstanceReport } from '../../infra/control/messages/heartbeat.ts'
import type { Store, VersionDocument } from '../../infra/store/index.ts'
import type { DeployAnswer } from '../../sdk/api/index.ts'
import type { AssetRefs } from '../../sdk/manifest/assets.ts'
import { type Manifest, partitionsDefault } from '../../sdk/manifest/manifest.ts'
import { drainReason, refusalReason } from '../../sdk/versions/swap.ts'
import type { Catalog, LiveFunction } from '../catalog/catalog.ts'
import { type Heartbeats, reportOf } from '../catalog/heartbeats.ts'
import { refuse } from '../errors.ts'
import { documentOf } from '../versions/versions.ts'
import { checkAssets } from './assets.ts'
import { checkFormat } from './formats.ts'
import { checkCycles, checkPartitions, checkQueues } from './topology-checks.ts'

export interface SuccessorChecksOptions {
  readonly store: Store
  readonly namespace: string
  readonly catalog: Catalog
  readonly heartbeats: Heartbeats
}

/** A version that is to be wanted. */
export interface Successor
  extends Pick<VersionDocument, 'bundleSha256' | 'manifest' | 'assets' | 'migrates' | 'stateFormat'> {
  /** Absent: it is not stored yet. */
  readonly version?: number | undefined
}

export class SuccessorChecks {
  readonly #options: SuccessorChecksOptions

  constructor(options: SuccessorChecksOptions) {
    this.#options = options
  }

  /**
   * Makes all checks that do not depend on how the version comes (SU1).
   * @throws {CodedError} Why it was refused.
   */
  async check(live: LiveFunction | undefined, next: Successor): Promise<void> {
    const { manifest, assets = {} } = next
    if (live !== undefined) this.#checkContents(live, manifest)
    const { functions, streams } = this.#options.catalog.current
    const partitionsOf = (stream: string) => streams.get(stream)?.document.partitions ?? partitionsDefault
    const staying = [...functions.values()].filter(({ document }: LiveFunction) => !document.deleted)
    checkPartitions(manifest, partitionsOf)
    checkQueues(manifest, live?.version.manifest)
    checkCycles(
      manifest,
      staying.map(({ version }) => version.manifest),
    )
    checkAssets(manifest, assets)
    if (live === undefined) return
    const good = await this.#goodOf(live)
    // The same code reads what it has read so far.
    const isMigrating = next.bundleSha256 !== good.bundleSha256 && this.#isMigrating(live)
    checkFormat(live, good.stateFormat ?? 1, next, isMigrating)
  }

  /** The format of the function's state: that of the good version. */
  async formatOf(live: LiveFunction): Promise<number> {
    return (await this.#goodOf(live)).stateFormat ?? 1
  }

  async #goodOf(live: LiveFunction): Promise<VersionDocument> {
    const { store, namespace } = this.#options
    const { version, good = version } = live.document
    return good === version ? live.version : await documentOf(store, namespace, live, good)
  }

  /**
   * Why a version gets all keys at once although it asks for a canary or a shadow; the scheduler decides by the same rules
   * (wanted-canary.ts, wanted-shadow.ts).
   */
  async allAtOnce(
    live: LiveFunction | undefined,
    next: Successor,
    drain = false,
  ): Promise<Pick<DeployAnswer, 'noCanary' | 'noShadow'>> {
    const { canary, shadow } = next.manifest.rollout ?? {}
    if (live?.document.good === undefined) {
      const why = 'no version before it runs that it could be compared with'
      return { ...(shadow && { noShadow: why }), ...(canary && { noCanary: why }) }
    }
    if (canary === undefined) return {}
    const good = await this.#goodOf(live)
    const why = drain ? 'the instances are to be drained' : drainReason(good, next, good.manifest.resources)
    return why === undefined ? {} : { noCanary: why }
  }

  /** Refuses a version that would lose records or state of the running one. */
  #checkContents(live: LiveFunction, manifest: Manifest): void {
    const stateBytes = Math.max(0, ...this.#reportsOf(live).map((report) => report?.stateBytes ?? 0))
    const why = refusalReason(live.version.manifest, manifest, stateBytes)
    if (why === undefined) return
    const text = `Cannot let this version of '${live.name}' follow v${live.version.version}: ${why}.`
    throw refuse('ERR_VERSION_INCOMPATIBLE', text)
  }

  /** Whether some of the function's state is still in an earlier format. */
  #isMigrating(live: LiveFunction): boolean {
    return this.#reportsOf(live).some((report) => (report?.migrating ?? 0) > 0)
  }

  #reportsOf(live: LiveFunction): (InstanceReport | undefined)[] {
    const { heartbeats } = this.#options
    return (live.status?.instances ?? []).map((status) =>
      status.taskId === undefined ? undefined : reportOf(heartbeats.of(status.taskId), status),
    )
  }
}

/** Refuses a shadow that cannot run beside the live version: otherwise it would replace it. */
export function checkShadow(
  { name, version: live, document }: LiveFunction,
  manifest: Manifest,
  assets: AssetRefs,
): void {
  if (manifest.rollout?.shadow === undefined || document.good === undefined) return
  const why = drainReason(live, { manifest, assets }, live.manifest.resources)
  if (why === undefined) return
  const text = `Cannot make a shadow of '${name}' beside v${live.version}: ${why}. Deploy it without --shadow (rollout.shadow), or without that change.`
  throw refuse('ERR_VERSION_INCOMPATIBLE', text)
}
