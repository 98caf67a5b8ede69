/**
 * SuccessorChecks: refuse a version that must not follow the wanted one, or does not fit the other functions.
 * @module
 */
import type { InstanceReport } from '../../infra/control/messages.ts'
import type { Store } from '../../infra/store/index.ts'
import type { AssetRefs } from '../../sdk/manifest/assets.ts'
import { type Manifest, partitionsDefault } from '../../sdk/manifest/manifest.ts'
import { drainReason, refusalReason } from '../../sdk/versions/swap.ts'
import type { Catalog, LiveFunction } from '../catalog/catalog.ts'
import { type Heartbeats, reportOf } from '../catalog/heartbeats.ts'
import { refuse } from '../errors.ts'
import { documentOf } from '../versions/versions.ts'
import { checkCycles, checkPartitions, checkQueues } from './topology-checks.ts'

export interface SuccessorChecksOptions {
  readonly store: Store
  readonly namespace: string
  readonly catalog: Catalog
  readonly heartbeats: Heartbeats
}

export class SuccessorChecks {
  readonly #options: SuccessorChecksOptions

  constructor(options: SuccessorChecksOptions) {
    this.#options = options
  }

  /** @throws {CodedError} Why it was refused. */
  check(manifest: Manifest, live: LiveFunction | undefined): void {
    if (live !== undefined) this.#checkSuccessor(live, manifest)
    const { functions, streams } = this.#options.catalog.current
    const partitionsOf = (stream: string) => streams.get(stream)?.document.partitions ?? partitionsDefault
    const staying = [...functions.values()].filter(({ document }: LiveFunction) => !document.deleted)
    checkPartitions(manifest, partitionsOf)
    checkQueues(manifest, functions.get(manifest.name)?.version.manifest)
    checkCycles(
      manifest,
      staying.map(({ version }) => version.manifest),
    )
  }

  /** Whether some of the function's state is still in an earlier format. */
  isMigrating(live: LiveFunction): boolean {
    return this.#reportsOf(live).some((report) => (report?.migrating ?? 0) > 0)
  }

  /** The format of the function's state: that of the good version. */
  async formatOf(live: LiveFunction): Promise<number> {
    const { store, namespace } = this.#options
    const { version, good = version } = live.document
    const document = good === version ? live.version : await documentOf(store, namespace, live, good)
    return document.stateFormat ?? 1
  }

  /** Refuses a version that would lose records or state of the running one. */
  #checkSuccessor(live: LiveFunction, manifest: Manifest): void {
    const stateBytes = Math.max(0, ...this.#reportsOf(live).map((report) => report?.stateBytes ?? 0))
    const why = refusalReason(live.version.manifest, manifest, stateBytes)
    if (why === undefined) return
    const text = `Cannot let this version of '${live.name}' follow v${live.version.version}: ${why}.`
    throw refuse('ERR_VERSION_INCOMPATIBLE', text)
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
