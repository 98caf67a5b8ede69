/**
 * Deploy: the changes of which version of a function is wanted: a deploy, other assets, other resources, a rollback, a
 * promotion. Each is checked as a whole and then made, in one turn; a deploy and a change of assets may have a gate
 * between the two, and are then checked again.
 *
 *   D1. A refused deploy leaves nothing in the store: all checks come first, then the bundle, the streams, the
 *       version, and last the function document, which makes the version the wanted one.
 *   D2. A version never changes. The same bundle, manifest and assets as the live version create no new one.
 * @module
 */
import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { Assets } from '../../infra/bundles/index.ts'
import {
  type FunctionDocument,
  paths,
  upsert,
  type VersionDocument,
  withoutRollout,
} from '../../infra/store/index.ts'
import type { DeployAnswer } from '../../sdk/api/index.ts'
import type { AssetRefs } from '../../sdk/manifest/assets.ts'
import { type Manifest, partitionsDefault } from '../../sdk/manifest/manifest.ts'
import type { GateReport } from '../../sdk/versions/gate.ts'
import { instancesOf, refuseIdle, scaledTo } from '../by-hand/scale.ts'
import { type Catalog, functionIn, type LiveFunction } from '../catalog/catalog.ts'
import type { Heartbeats } from '../catalog/heartbeats.ts'
import { refuse } from '../errors.ts'
import type { Probed, Prober, Upload } from '../probe/index.ts'
import { leave } from '../versions/leaving.ts'
import { versionToPromote } from '../versions/shadows.ts'
import { checkTried, documentOf, listVersions, versionBefore } from '../versions/versions.ts'
import { type AssetChanges, assetsWith, replacedAssets } from './assets.ts'
import type { Earlier } from './earlier.ts'
import { checkRollout, migratesAfter } from './formats.ts'
import { type Candidate, type Gatekeeper, holdUp } from './gatekeeper.ts'
import { makeManifest, refuseTooSmall } from './manifest.ts'
import { lapsedMoves, resetOf, tightMemory } from './remarks.ts'
import { type DeployRequest, drainOf, type GateWishes } from './request.ts'
import { keptByHand, type ResourcesWish, resized } from './resources.ts'
import { checkShadow, SuccessorChecks } from './successor-checks.ts'
import { type VersionDraft, VersionWriter, type VersionWriterOptions } from './version-writer.ts'

export interface DeployerOptions extends VersionWriterOptions {
  readonly assets: Pick<Assets, 'keep'>
  readonly prober: Prober
  readonly catalog: Catalog
  readonly heartbeats: Heartbeats
  readonly gatekeeper: Gatekeeper
  readonly earlier: Earlier
}

/** How the scheduler lets a version take over. */
type How = Pick<FunctionDocument, 'drain' | 'atOnce' | 'shadow'>

/** A change that was checked, and is not made yet. */
interface Checked {
  /** The answer if nothing changes, and to a dry run. */
  readonly answer: DeployAnswer
  /** What the gate can judge; absent: nothing is new, or there is nothing to compare it with. */
  readonly judged?: Judged | undefined
  /** Makes the change. */
  apply(): Promise<DeployAnswer>
}

/** A version to judge beside the one that runs. */
interface Judged {
  readonly live: LiveFunction
  readonly candidate: Omit<Candidate, 'partitions'>
  /** Stores its code where runners find it. Absent: they have it. */
  putCode?(): Promise<Partial<Candidate>>
}

export class Deployer {
  readonly #options: DeployerOptions
  readonly #writer: VersionWriter
  readonly #successors: SuccessorChecks
  /** Deploys run one after another: each checks the topology and then changes it. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: DeployerOptions) {
    this.#options = options
    this.#writer = new VersionWriter(options)
    this.#successors = new SuccessorChecks(options)
  }

  /** A deploy is on its way. */
  expect(): void {
    this.#options.prober.expect()
  }

  /**
   * @param named Assets uploaded for this version; the others stay as in the version before.
   * @throws {CodedError} Why it was refused.
   */
  async deploy(
    upload: Upload,
    uploadedManifest: unknown,
    request: DeployRequest = {},
    named: AssetChanges = {},
    wishes: GateWishes = {},
  ): Promise<DeployAnswer> {
    const probed = await this.#options.prober.probe(upload)
    const manifest = makeManifest(probed.metadata, probed.callbacks, uploadedManifest)
    const check = () => this.#checkDeploy(probed, manifest, named, request, uploadedManifest)
    return await this.#throughGate(check, wishes)
  }

  /**
   * Creates a version with the wanted one's bundle and manifest, and other assets.
   * @throws {CodedError} Why it was refused.
   */
  async changeAssets(
    name: string,
    changes: AssetChanges,
    request: DeployRequest,
    wishes: GateWishes = {},
  ): Promise<DeployAnswer> {
    const check = async (): Promise<Checked> => {
      const live = await this.#liveNow(name)
      const { assets: had = {} } = live.version
      const assets = await assetsWith(this.#options.assets, name, had, changes)
      const candidate = { ...live.version, version: undefined, assets }
      await this.#successors.check(live, candidate)
      const isNew = !isDeepStrictEqual(assets, had)
      const remarks = isNew ? await this.#successors.allAtOnce(live, candidate, request.drain) : {}
      return {
        answer: { ...answerOf(live.version, isNew), ...remarks },
        judged: isNew ? { live, candidate } : undefined,
        apply: async () => ({
          ...(await this.#follow(live, isNew ? { assets } : undefined, request, {})),
          ...remarks,
        }),
      }
    }
    return await this.#throughGate(check, wishes)
  }

  /**
   * Creates a version with the wanted one's bundle and assets, and other resources. Since the code is the same, it is
   * not tried as a canary, a shadow or in waves; it is refused while that code is itself being tried.
   * @throws {CodedError} Why it was refused.
   */
  async changeResources(name: string, wish: ResourcesWish, request: DeployRequest): Promise<DeployAnswer> {
    return await this.inTurn(async () => {
      const live = await this.#liveNow(name)
      checkTried(live)
      const { version: before } = live
      const change = resized(before, wish)
      const { manifest } = change ?? before
      refuseTooSmall(manifest)
      await this.#successors.check(live, { ...before, version: undefined, manifest })
      const answer = await this.#follow(live, change, request, { atOnce: true })
      return { ...answer, ...lapsedMoves(live, manifest), ...tightMemory({ ...before, manifest }) }
    })
  }

  /**
   * Rolls back to an earlier version.
   * @param to Default: see `versionBefore`.
   * @param request Who rolls back, and why; stored with the version that is left.
   * @throws {CodedError} Why it was refused.
   */
  async rollback(name: string, to: number | undefined, request: DeployRequest = {}): Promise<DeployAnswer> {
    return await this.inTurn(async () => {
      const { store, namespace } = this.#options
      const live = await this.#liveNow(name)
      const version = to ?? (await versionBefore(store, namespace, live))
      const document = await documentOf(store, namespace, live, version)
      if (version === live.document.version) return answerOf(document, false)
      await this.#successors.check(live, document)
      return await this.#turnTo(live, document, { atOnce: true, ...drainOf(request) }, request)
    })
  }

  /**
   * Promotes a version that is a shadow, or was one.
   * @param to Default: see `versionToPromote`.
   * @throws {CodedError} Why it was refused.
   */
  async promote(name: string, to: number | undefined): Promise<DeployAnswer> {
    return await this.inTurn(async () => {
      const { store, namespace, clock } = this.#options
      const live = await this.#liveNow(name)
      const version = to ?? (await versionToPromote(store, namespace, live))
      const document = await documentOf(store, namespace, live, version)
      const { good, shadow: at } = live.document
      if (version === good) return answerOf(document, false)
      await this.#successors.check(live, document)
      const sinceMs = at?.version === version ? at.sinceMs : clock.nowMs()
      const remarks = await this.#successors.allAtOnce(live, document)
      const answer = await this.#turnTo(live, document, { shadow: { version, sinceMs, promoted: true } })
      return { ...answer, ...remarks }
    })
  }

  /** Runs a change that must not happen while a deploy checks the topology. */
  inTurn<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(change)
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  /**
   * Checks a change and makes it in one turn; or in two, with the gate between them, since the gate takes seconds and
   * must not block other deploys.
   */
  async #throughGate(
    check: () => Promise<Checked>,
    { dryRun = false, accept = false }: GateWishes,
  ): Promise<DeployAnswer> {
    if (dryRun) {
      const { answer, judged } = await this.inTurn(check)
      return { ...answer, ...(judged && { gate: await this.#judge(judged) }), dryRun: true }
    }
    const begun = await this.inTurn(async () => {
      const { judged, apply } = await check()
      const rules = judged?.candidate.manifest.gate
      return judged && rules ? { judged, rules } : { answer: await apply() }
    })
    if (begun.answer !== undefined) return begun.answer
    const { judged, rules } = begun
    const gate = await this.#judge(judged)
    holdUp(gate, rules.onBreach, accept)
    return await this.inTurn(async () => {
      const again = await check()
      checkUnchanged(judged.live, again.judged?.live)
      return { ...(await again.apply()), gate }
    })
  }

  async #judge({ live, candidate, putCode }: Judged): Promise<GateReport> {
    const { store, namespace, gatekeeper, catalog } = this.#options
    const { good = live.document.version } = live.document
    const [document, code] = await Promise.all([documentOf(store, namespace, live, good), putCode?.()])
    const partitions = Object.fromEntries(
      candidate.manifest.ostreams.map((stream) => [
        stream,
        catalog.current.streams.get(stream)?.document.partitions ?? partitionsDefault,
      ]),
    )
    return await gatekeeper.judge(live, document, { ...candidate, ...code, partitions })
  }

  /** Makes every check that can refuse the deploy (D1). */
  async #checkDeploy(
    probed: Probed,
    own: Manifest,
    named: AssetChanges,
    request: DeployRequest,
    uploadedManifest: unknown,
  ): Promise<Checked> {
    const { catalog } = this.#options
    const { name } = own
    await catalog.refresh()
    const live = catalog.current.functions.get(name)
    if (live?.document.deleted) throw deleting(name)
    const { manifest, manifestResources, byHand } = keptByHand(own, live?.version, request.ownSizes)
    if (byHand !== undefined) refuseTooSmall(manifest, own.resources.memMib)
    refuseIdle(catalog.current, manifest, request.instances ?? manifest.instances)
    const assets = await assetsWith(this.#options.assets, name, live?.version.assets ?? {}, named)
    const bundleSha256 = createHash('sha256').update(probed.bundle).digest('hex')
    const stateFormat = live === undefined ? 1 : await this.#successors.formatOf(live)
    const migrates = probed.callbacks.includes('migrate')
    const format = { ...(migrates && { migrates }), ...(stateFormat !== 1 && { stateFormat }) }
    const next = { bundleSha256, manifest, assets, ...format }
    await this.#successors.check(live, next)
    if (live !== undefined) checkShadow(live, manifest, assets)
    if (migrates && live !== undefined) checkRollout(manifest)
    const isSameCode = live?.version.bundleSha256 === bundleSha256
    const isNew = !(
      isSameCode &&
      isDeepStrictEqual(live.version.manifest, manifest) &&
      isDeepStrictEqual(live.version.manifestResources, manifestResources) &&
      isDeepStrictEqual(live.version.assets ?? {}, assets)
    )
    const isSuccessor = isNew && live !== undefined
    const version = live?.document.version ?? 0
    const answer: DeployAnswer = {
      ...{ name, version, bundleSha256, bundleBytes: probed.bundle.length, changed: isNew },
      ...(byHand && { byHand }),
      ...resetOf(live, manifest, probed.metadata, uploadedManifest),
      ...(live && lapsedMoves(live, manifest)),
      ...tightMemory({ manifest, assets }),
      ...(live && (await this.#replacedIn(live, assets))),
      ...(isNew && (await this.#successors.allAtOnce(live, next, request.drain))),
      ...(migrates && isSuccessor && { migrates }),
      ...migratesAfter(stateFormat, migrates, isSameCode),
    }
    const itsFormat = migrates ? version + 1 : stateFormat
    const candidate = { bundleSha256, manifest, assets, stateFormat: itsFormat }
    const hasAssets = Object.keys(assets).length > 0
    const draft = { manifest, manifestResources, ...(hasAssets && { assets }), ...format }
    return {
      answer,
      judged: isSuccessor ? { live, candidate, putCode: () => this.#writer.putCode(probed) } : undefined,
      apply: async () => {
        if (!isNew) await this.#writer.putCode(probed) // the bundle store may have lost it
        const made = isNew ? await this.#writer.add(probed, draft, request) : version
        return {
          ...answer,
          version: made,
          ...(await this.#wantDeployed(live, manifest, made, isNew, request)),
        }
      },
    }
  }

  #replacedIn(live: LiveFunction, assets: AssetRefs): Promise<Pick<DeployAnswer, 'replaced'>> {
    const { store, namespace } = this.#options
    return replacedAssets(live.version, assets, () => listVersions(store, namespace, live))
  }

  async #wantDeployed(
    live: LiveFunction | undefined,
    manifest: Manifest,
    version: number,
    isNew: boolean,
    request: DeployRequest,
  ): Promise<Pick<DeployAnswer, 'left'>> {
    const { name } = manifest
    const { catalog, earlier } = this.#options
    // Delete state and log lines of an earlier function with this name. Also delete old state if the live version
    // keeps none: it is out of date.
    const isAnew = live === undefined
    await Promise.all([
      isAnew || keepsAgain(live.version.manifest, manifest) ? earlier.forgetState(name) : undefined,
      isAnew ? earlier.forgetLines(name) : undefined,
    ])
    const instances = instancesOf(manifest, live, request.instances)
    const isSame = !isNew && live?.document.instances === instances
    const left = isSame ? {} : await this.#want(name, version, instances, isNew ? drainOf(request) : {})
    await catalog.refresh()
    return left
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
    live: LiveFunction,
    change: Partial<VersionDraft> | undefined,
    request: DeployRequest,
    how: Pick<FunctionDocument, 'atOnce'>,
  ): Promise<DeployAnswer> {
    if (change === undefined) return answerOf(live.version, false)
    const version = await this.#writer.follow(live.version, change, request)
    return await this.#turnTo(live, { ...live.version, version }, { ...how, ...drainOf(request) })
  }

  /** Wants another version, with as many instances. */
  async #turnTo(
    { name, document: { instances } }: LiveFunction,
    to: VersionDocument,
    how: How,
    back?: DeployRequest,
  ): Promise<DeployAnswer> {
    const left = await this.#want(name, to.version, instances, how, back)
    await this.#options.catalog.refresh()
    return { ...answerOf(to, true), ...left }
  }

  async #want(
    name: string,
    version: number,
    instances: number,
    how: How,
    back?: DeployRequest,
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

function answerOf(
  { manifest: { name }, version, bundleSha256, bundleBytes }: VersionDocument,
  changed: boolean,
): DeployAnswer {
  return { name, version, bundleSha256, bundleBytes, changed }
}

/** Refuses a change that was judged beside a version that is not the wanted one, or not in force, any more. */
function checkUnchanged({ name, document: then }: LiveFunction, now: LiveFunction | undefined): void {
  if (now?.document.version === then.version && now.document.good === then.good) return
  throw refuse(
    'ERR_BUSY',
    `Cannot deploy '${name}': another version came in place of v${then.version} while this one was judged beside it. Deploy it again.`,
  )
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
