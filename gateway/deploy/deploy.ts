/**
 * Deploy: turns an upload into a version that the scheduler will run.
 *
 *   D1. A refused deploy leaves nothing in the store: all checks come first, then the bundle, the streams, the
 *       version, and last the function document, which makes the version the wanted one.
 *   D2. A version never changes. The same bundle, manifest and assets as the live version create no new one.
 * @module
 */
import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { Assets } from '../../infra/bundles/index.ts'
import type { InstanceReport } from '../../infra/control/messages.ts'
import { type FunctionDocument, paths, upsert, withoutRollout } from '../../infra/store/index.ts'
import type { DeployAnswer } from '../../sdk/api/index.ts'
import type { AssetRefs } from '../../sdk/manifest/assets.ts'
import { type Manifest, partitionsDefault } from '../../sdk/manifest/manifest.ts'
import type { GateReport } from '../../sdk/versions/gate.ts'
import { drainReason, refusalReason } from '../../sdk/versions/swap.ts'
import { idleOf, scaledTo } from '../by-hand/scale.ts'
import { type Catalog, functionIn, type LiveFunction } from '../catalog/catalog.ts'
import { type Heartbeats, reportOf } from '../catalog/heartbeats.ts'
import { refuse } from '../errors.ts'
import type { Probed, Prober, Upload } from '../probe/index.ts'
import { leave } from '../versions/leaving.ts'
import { versionToPromote } from '../versions/shadows.ts'
import { checkTried, documentOf, versionBefore } from '../versions/versions.ts'
import { type AssetChanges, assetsWith, checkAssets } from './assets.ts'
import type { Earlier } from './earlier.ts'
import { checkFormat, checkRollout, migratesAfter } from './formats.ts'
import { type Gatekeeper, holdUp } from './gatekeeper.ts'
import { makeManifest, refuseTooSmall } from './manifest.ts'
import { type DeployPlan, drainOf, type GateWishes, instancesOf, type Plan, type Said } from './plan.ts'
import { lapsedMoves, resetOf } from './remarks.ts'
import { keptByHand, type ResourcesWish, resized } from './resources.ts'
import { checkCycles, checkPartitions, checkQueues } from './topology-checks.ts'
import { type VersionDraft, VersionWriter, type VersionWriterOptions } from './version-writer.ts'

export interface DeployerOptions extends VersionWriterOptions {
  readonly assets: Pick<Assets, 'keep'>
  readonly prober: Prober
  readonly catalog: Catalog
  readonly heartbeats: Heartbeats
  readonly gatekeeper: Gatekeeper
  readonly earlier: Earlier
}

export class Deployer {
  readonly #options: DeployerOptions
  readonly #writer: VersionWriter
  /** Deploys run one after another: each checks the topology and then changes it. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: DeployerOptions) {
    this.#options = options
    this.#writer = new VersionWriter(options)
  }

  /**
   * @param named Assets uploaded for this version; the others stay as in the version before.
   * @throws {CodedError} Why it was refused.
   */
  async deploy(
    upload: Upload,
    uploadedManifest: unknown,
    said: Said = {},
    named: AssetChanges = {},
    wishes: GateWishes = {},
  ): Promise<DeployAnswer> {
    const probed = await this.#options.prober.probe(upload)
    const manifest = makeManifest(probed.metadata, probed.callbacks, uploadedManifest)
    return await this.#throughGate(
      () => this.#plan(probed, manifest, named, said, uploadedManifest),
      (plan) => this.#commit(probed, plan, said),
      wishes,
    )
  }

  /**
   * Rolls back to an earlier version.
   * @param to Default: see `versionBefore`.
   * @param said Who rolls back, and why; stored with the version that is left.
   * @throws {CodedError} Why it was refused.
   */
  async rollback(name: string, to: number | undefined, said: Said = {}): Promise<DeployAnswer> {
    return await this.inTurn(async () => {
      const { catalog, store, namespace } = this.#options
      const live = await this.#liveNow(name)
      const version = to ?? (await versionBefore(store, namespace, live))
      const document = await documentOf(store, namespace, live, version)
      const { manifest, bundleSha256, bundleBytes } = document
      const answer = { name, version, bundleSha256, bundleBytes }
      if (version === live.document.version) return { ...answer, changed: false }
      this.#check(manifest, live)
      checkFormat(live, await this.#formatOf(live), document, this.#isMigrating(live))
      const { instances } = live.document
      const left = await this.#want(name, version, instances, { atOnce: true, ...drainOf(said) }, said)
      await catalog.refresh()
      return { ...answer, changed: true, ...left }
    })
  }

  /**
   * Promotes a version that is a shadow, or was one.
   * @param to Default: see `versionToPromote`.
   * @throws {CodedError} Why it was refused.
   */
  async promote(name: string, to: number | undefined): Promise<DeployAnswer> {
    return await this.inTurn(async () => {
      const { catalog, store, namespace, clock } = this.#options
      const live = await this.#liveNow(name)
      const version = to ?? (await versionToPromote(store, namespace, live))
      const { manifest, bundleSha256, bundleBytes } = await documentOf(store, namespace, live, version)
      const answer = { name, version, bundleSha256, bundleBytes }
      const { instances, good, shadow: at } = live.document
      if (version === good) return { ...answer, changed: false }
      this.#check(manifest, live)
      const sinceMs = at?.version === version ? at.sinceMs : clock.nowMs()
      const left = await this.#want(name, version, instances, {
        shadow: { version, sinceMs, promoted: true },
      })
      await catalog.refresh()
      return { ...answer, changed: true, ...left }
    })
  }

  /**
   * Creates a version with the wanted one's bundle and manifest, and other assets.
   * @throws {CodedError} Why it was refused.
   */
  async changeAssets(
    name: string,
    changes: AssetChanges,
    said: Said,
    wishes: GateWishes = {},
  ): Promise<DeployAnswer> {
    const plan = async (): Promise<Plan> => {
      const live = await this.#liveNow(name)
      const { version, assets: had = {}, manifest, bundleSha256, bundleBytes } = live.version
      const assets = await assetsWith(this.#options.assets, name, had, changes)
      checkAssets(manifest, assets)
      const isNew = !isDeepStrictEqual(assets, had)
      return {
        ...{ live, assets, isNew },
        answer: { name, version, bundleSha256, bundleBytes, changed: isNew },
        candidate: { ...live.version, assets, make: () => Promise.resolve({}) },
      }
    }
    const commit = ({ live, assets, isNew }: Plan): Promise<DeployAnswer> =>
      this.#follow(live!, isNew ? { assets } : undefined, said, {})
    return await this.#throughGate(plan, commit, wishes)
  }

  /**
   * Creates a version with the wanted one's bundle and assets, and other resources. Since the code is the same, it is
   * not tried as a canary, a shadow or in waves; it is refused while that code is itself being tried.
   * @throws {CodedError} Why it was refused.
   */
  async changeResources(name: string, wish: ResourcesWish, said: Said): Promise<DeployAnswer> {
    return await this.inTurn(async () => {
      const live = await this.#liveNow(name)
      checkTried(live)
      const { version: before } = live
      const change = resized(before, wish)
      const { manifest } = change ?? before
      refuseTooSmall(manifest)
      this.#check(manifest, live)
      checkAssets(manifest, before.assets ?? {})
      const answer = await this.#follow(live, change, said, { atOnce: true })
      return { ...answer, ...lapsedMoves(live, manifest) }
    })
  }

  /** @throws {CodedError} ERR_FUNCTION_UNKNOWN, ERR_FUNCTION_DELETING */
  async #liveNow(name: string): Promise<LiveFunction> {
    const { catalog } = this.#options
    await catalog.refresh()
    const live = functionIn(catalog.current, name)
    if (live.document.deleted) throw deleting(name)
    return live
  }

  /** Creates and wants a version with the same code; if nothing changes, keeps the wanted one. */
  async #follow(
    { name, version: live, document: { instances } }: LiveFunction,
    change: Partial<VersionDraft> | undefined,
    said: Said,
    how: Pick<FunctionDocument, 'atOnce'>,
  ): Promise<DeployAnswer> {
    const { version: before, bundleSha256, bundleBytes } = live
    const answer = { name, version: before, bundleSha256, bundleBytes, changed: false }
    if (change === undefined) return answer
    const version = await this.#writer.follow(live, change, said)
    const left = await this.#want(name, version, instances, { ...how, ...drainOf(said) })
    await this.#options.catalog.refresh()
    return { ...answer, version, changed: true, ...left }
  }

  /** Runs a change that must not happen while a deploy checks the topology. */
  inTurn<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(change)
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  /**
   * Plans and commits in one turn; or in two, with the gate between them, since the gate takes seconds and must not
   * block other deploys.
   * @param plan Checks the change.
   * @param commit Makes it.
   */
  async #throughGate<Planned extends Plan>(
    plan: () => Promise<Planned>,
    commit: (planned: Planned) => Promise<DeployAnswer>,
    { dryRun = false, accept = false }: GateWishes,
  ): Promise<DeployAnswer> {
    const begun = await this.inTurn(async () => {
      const planned = await plan()
      const { live, isNew, candidate } = planned
      const isJudged = live !== undefined && isNew && (dryRun || candidate.manifest.gate !== undefined)
      if (dryRun || isJudged) return { planned, live: isJudged ? live : undefined }
      return { answer: await commit(planned) }
    })
    if (begun.answer !== undefined) return begun.answer
    const { planned, live } = begun
    const gate = live && (await this.#judge(live, planned.candidate))
    if (dryRun) return { ...planned.answer, ...(gate && { gate }), dryRun: true }
    holdUp(gate!, planned.candidate.manifest.gate!.onBreach, accept)
    return await this.inTurn(async () => {
      const again = await plan()
      const now = again.live?.document
      if (now?.version !== live!.document.version || now.good !== live!.document.good)
        throw refuse(
          'ERR_BUSY',
          `Cannot deploy '${live!.name}': another version came in place of v${live!.document.version} while this one was judged beside it. Deploy it again.`,
        )
      return { ...(await commit(again)), gate: gate! }
    })
  }

  async #judge(live: LiveFunction, candidate: Plan['candidate']): Promise<GateReport> {
    const { store, namespace, gatekeeper, catalog } = this.#options
    const { good = live.document.version } = live.document
    const [document, made] = await Promise.all([documentOf(store, namespace, live, good), candidate.make()])
    const partitions = Object.fromEntries(
      candidate.manifest.ostreams.map((stream) => [
        stream,
        catalog.current.streams.get(stream)?.document.partitions ?? partitionsDefault,
      ]),
    )
    return await gatekeeper.judge(live, document, { ...candidate, ...made, partitions })
  }

  /** Makes every check that can refuse the deploy (D1). */
  async #plan(
    probed: Probed,
    own: Manifest,
    named: AssetChanges,
    said: Said,
    uploadedManifest: unknown,
  ): Promise<DeployPlan> {
    const { catalog } = this.#options
    const { name } = own
    await catalog.refresh()
    const live = catalog.current.functions.get(name)
    if (live?.document.deleted) throw deleting(name)
    const { manifest, manifestResources, byHand } = keptByHand(own, live?.version, said.ownSizes)
    if (byHand !== undefined) refuseTooSmall(manifest, own.resources.memMib)
    this.#check(manifest, live)
    const assets = await assetsWith(this.#options.assets, name, live?.version.assets ?? {}, named)
    checkAssets(manifest, assets)
    if (live !== undefined) checkShadow(live, manifest, assets)
    const bundleSha256 = createHash('sha256').update(probed.bundle).digest('hex')
    const stateFormat = live === undefined ? 1 : await this.#formatOf(live)
    const migrates = probed.callbacks.includes('migrate')
    if (migrates && live !== undefined) checkRollout(manifest)
    const isSameCode = live?.version.bundleSha256 === bundleSha256
    const same =
      isSameCode &&
      isDeepStrictEqual(live.version.manifest, manifest) &&
      isDeepStrictEqual(live.version.manifestResources, manifestResources) &&
      isDeepStrictEqual(live.version.assets ?? {}, assets)
    const format = { ...(migrates && { migrates }), ...(stateFormat !== 1 && { stateFormat }) }
    if (!same && live !== undefined) checkFormat(live, stateFormat, format, this.#isMigrating(live))
    const bundleBytes = probed.bundle.length
    const version = live?.document.version ?? 0
    return {
      ...{ live, assets, format, manifestResources, isNew: !same },
      answer: {
        ...{ name, version, bundleSha256, bundleBytes, changed: !same },
        ...(byHand && { byHand }),
        ...resetOf(live, manifest, probed.metadata, uploadedManifest),
        ...(live && lapsedMoves(live, manifest)),
        ...(migrates && !same && live !== undefined && { migrates }),
        ...migratesAfter(stateFormat, migrates, isSameCode),
      },
      candidate: {
        ...{ bundleSha256, manifest, assets, stateFormat: migrates ? version + 1 : stateFormat },
        make: () => this.#writer.putCode(probed),
      },
    }
  }

  async #commit(
    probed: Probed,
    { live, assets, format, manifestResources, isNew, answer, candidate: { manifest } }: DeployPlan,
    said: Said,
  ): Promise<DeployAnswer> {
    const { name } = manifest
    const draft = {
      manifest,
      manifestResources,
      ...(Object.keys(assets).length > 0 && { assets }),
      ...format,
    }
    const version = isNew ? await this.#writer.add(probed, draft, said) : live!.version.version
    // Delete state and log lines of an earlier function with this name. Also delete old state if the live version
    // keeps none: it is out of date.
    const { earlier } = this.#options
    const isAnew = live === undefined
    await Promise.all([
      isAnew || keepsAgain(live.version.manifest, manifest) ? earlier.forgetState(name) : undefined,
      isAnew ? earlier.forgetLines(name) : undefined,
    ])
    const instances = instancesOf(manifest, live, said.instances)
    const isSame = !isNew && live?.document.instances === instances
    const left = isSame ? {} : await this.#want(name, version, instances, isNew ? drainOf(said) : {})
    const { catalog } = this.#options
    await catalog.refresh()
    const idle = idleOf(catalog.current, manifest, instances)
    return { ...answer, version, ...(idle > 0 && { idle }), ...left }
  }

  #check(manifest: Manifest, live: LiveFunction | undefined): void {
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

  #reportsOf(live: LiveFunction): (InstanceReport | undefined)[] {
    const { heartbeats } = this.#options
    return (live.status?.instances ?? []).map((status) =>
      status.taskId === undefined ? undefined : reportOf(heartbeats.of(status.taskId), status),
    )
  }

  /** Whether some of the function's state is still in an earlier format. */
  #isMigrating(live: LiveFunction): boolean {
    return this.#reportsOf(live).some((report) => (report?.migrating ?? 0) > 0)
  }

  /** The format of the function's state: that of the good version. */
  async #formatOf(live: LiveFunction): Promise<number> {
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

  async #want(
    name: string,
    version: number,
    instances: number,
    how: Pick<FunctionDocument, 'drain' | 'atOnce' | 'shadow'>,
    back?: Said,
  ): Promise<Pick<DeployAnswer, 'left'>> {
    const { store, namespace, clock } = this.#options
    let replaced: FunctionDocument | undefined
    await upsert<FunctionDocument>(store, paths.function(namespace, name), (before) => {
      if (before?.deleted) throw deleting(name)
      replaced = before
      const scaled = before && scaledTo(before, instances, clock.nowMs(), `deployed so, with v${version}`)
      // Scaling a version that is being rolled out does not start its rollout again.
      if (before?.version === version) return { ...before, instances, ...scaled, ...how }
      const kept = before === undefined ? { createdAtMs: clock.nowMs() } : withoutRollout(before)
      return { ...kept, schema: 1, version, instances, ...scaled, ...how }
    })
    return await leave(store, namespace, name, { document: replaced, to: version, atMs: clock.nowMs(), back })
  }
}

/** Refuses a shadow that cannot run beside the live version: otherwise it would replace it. */
function checkShadow(
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

function deleting(name: string): Error {
  return refuse(
    'ERR_FUNCTION_DELETING',
    `Cannot deploy '${name}': the function of that name is being deleted. Try again when \`concord fn ls\` does not show it any more.`,
  )
}

function keepsAgain(before: Manifest, now: Manifest): boolean {
  return before.checkpoint === false && now.checkpoint !== false
}
