/**
 * Versions: what was deployed of a function, what became of it, and going back.
 * @module
 */
import {
  type FunctionDocument,
  type OutcomeDocument,
  paths,
  readStatus,
  type Store,
  upsert,
  type VersionDocument,
} from '../../infra/store/index.ts'
import type { VersionDetail, VersionDiff, VersionSummary } from '../../sdk/api.ts'
import { assetChanges } from '../../sdk/assets.ts'
import { changesBetween } from '../../sdk/changes.ts'
import type { LiveFunction } from '../catalog/catalog.ts'
import { isShadow } from '../catalog/shadow-view.ts'
import { isCanary } from '../catalog/views.ts'
import { refuse } from '../errors.ts'

/** The newest first. */
export async function listVersions(store: Store, ns: string, live: LiveFunction): Promise<VersionSummary[]> {
  const numbers = (await store.list(paths.versions(ns, live.name))).map(Number).sort((a, b) => a - b)
  const summaries: VersionSummary[] = []
  let before: VersionDocument | undefined
  for (const number of numbers) {
    const document = (await store.get<VersionDocument>(paths.version(ns, live.name, number)))?.value
    if (document === undefined) continue
    const outcome = (await store.get<OutcomeDocument>(paths.outcome(ns, live.name, number)))?.value
    summaries.unshift(summaryOf(live, document, before, outcome))
    before = document
  }
  return summaries
}

export async function readVersion(
  store: Store,
  ns: string,
  live: LiveFunction,
  version: number,
): Promise<VersionDetail> {
  const document = await documentOf(store, ns, live, version)
  const found = (await listVersions(store, ns, live)).find((one) => one.version === version)
  if (found === undefined) throw unknownVersion(live.name, version)
  return { ...found, manifest: document.manifest }
}

export async function diffVersions(
  store: Store,
  ns: string,
  live: LiveFunction,
  from: number,
  to: number,
): Promise<VersionDiff> {
  const [before, after] = await Promise.all([
    documentOf(store, ns, live, from),
    documentOf(store, ns, live, to),
  ])
  return {
    name: live.name,
    from: bundleOf(before),
    to: bundleOf(after),
    sameCode: before.bundleSha256 === after.bundleSha256,
    manifest: changesBetween(before.manifest, after.manifest),
    assets: assetChanges(before.assets ?? {}, after.assets ?? {}),
  }
}

/**
 * The version that a rollback leads to: during a rollout the one that works, else the last one before the present that did.
 * @throws {CodedError} ERR_VERSION_UNKNOWN
 */
export async function versionBefore(store: Store, ns: string, live: LiveFunction): Promise<number> {
  const { version, good } = live.document
  if (good !== undefined && good !== version) return good
  const earlier = (await listVersions(store, ns, live)).filter((one) => one.version < version)
  const found = earlier.find(({ state }) => state === 'replaced')
  if (found !== undefined) return found.version
  throw refuse(
    'ERR_VERSION_UNKNOWN',
    `Cannot roll '${live.name}' back: no version before v${version} has ever run. \`concord fn versions ${live.name}\` shows those there are.`,
  )
}

/** Writes down that a version had begun until another one was wanted; the scheduler settles those that it has judged. */
export async function withdraw(
  store: Store,
  ns: string,
  name: string,
  { document, to, atMs }: { document: FunctionDocument | undefined; to: number; atMs: number },
): Promise<void> {
  if (document === undefined || document.version === to) return
  const { version } = document
  const how = howFar(document) ?? (await whereItRan(store, ns, name, document))
  if (how === undefined) return
  const reason = `v${to} was wanted while it ${how}`.slice(0, 1000)
  await upsert<OutcomeDocument>(store, paths.outcome(ns, name, version), (before) => ({
    ...{ schema: 1, version, state: 'withdrawn', atMs, reason },
    ...(before?.shadow === undefined ? {} : { shadow: before.shadow }),
  }))
}

/** Of a version that has a part of the keys, or of the instances. */
function howFar({ version, good, canary, rolling }: FunctionDocument): string | undefined {
  if (good !== version && rolling?.version === version)
    return `came to one instance after the other, in wave ${rolling.wave}`
  if (canary?.version !== version || canary.promoted === true) return undefined
  const steps = canary.passed.length === 0 ? '' : `; ${canary.passed.join('; ')}`
  return `was a canary, at step ${canary.step + 1}${steps}`
}

/** Of a version that was wanted everywhere, and came to work in a part of its instances only. */
async function whereItRan(
  store: Store,
  ns: string,
  name: string,
  { version, good, instances }: FunctionDocument,
): Promise<string | undefined> {
  if (good === version) return undefined // the scheduler has written that it works
  const status = await readStatus(store, ns, name)
  const count = status?.instances.filter((one) => one.version === version && one.state === 'running').length
  return count === undefined || count === 0 ? undefined : `ran in ${count} of ${instances} instances`
}

/**
 * Before a version of the same code that is not tried itself: this one must not be on its way, or its code would take over untried.
 * @throws {CodedError} ERR_VERSION_INCOMPATIBLE
 */
export function checkTried({ name, version: { version, manifest }, document }: LiveFunction): void {
  const { good, atOnce } = document
  if (manifest.rollout === undefined || good === undefined || good === version || atOnce === true) return
  throw refuse(
    'ERR_VERSION_INCOMPATIBLE',
    `Cannot give '${name}' other resources: v${version} is being tried beside v${good}, and with them its code would take over everywhere at once. Wait until \`concord fn versions ${name}\` shows it live, go back with \`concord fn rollback ${name}\`, or deploy it with other 'resources'.`,
  )
}

/** @throws {CodedError} ERR_VERSION_UNKNOWN */
export async function documentOf(
  store: Store,
  ns: string,
  { name }: LiveFunction,
  version: number,
): Promise<VersionDocument> {
  const found = await store.get<VersionDocument>(paths.version(ns, name, version))
  if (found === undefined) throw unknownVersion(name, version)
  return found.value
}

function unknownVersion(name: string, version: number): Error {
  return refuse(
    'ERR_VERSION_UNKNOWN',
    `There is no v${version} of '${name}'. \`concord fn versions ${name}\` shows those there are; the newest 100 are kept.`,
  )
}

function bundleOf({ version, bundleSha256, bundleBytes }: VersionDocument): VersionDiff['from'] {
  return { version, bundleSha256, bundleBytes }
}

function summaryOf(
  { document }: LiveFunction,
  version: VersionDocument,
  before: VersionDocument | undefined,
  outcome: OutcomeDocument | undefined,
): VersionSummary {
  const { manifest, author, message, deployedAtMs } = version
  return {
    ...bundleOf(version),
    deployedAtMs,
    ...(author === undefined ? {} : { author }),
    ...(message === undefined ? {} : { message }),
    state: stateOf(document, version, outcome),
    ...(outcome === undefined ? {} : { outcomeAtMs: outcome.atMs }),
    ...(outcome?.reason === undefined ? {} : { reason: outcome.reason }),
    changes: before === undefined ? [] : changesBetween(before.manifest, manifest),
    assets: version.assets ?? {},
  }
}

function stateOf(
  document: LiveFunction['document'],
  version: VersionDocument,
  outcome: OutcomeDocument | undefined,
): VersionSummary['state'] {
  if (version.version === document.good) return 'live'
  if (version.version === document.version) {
    if (isShadow({ document, version })) return 'shadow'
    return isCanary(document) ? 'canary' : 'rollingOut'
  }
  if (outcome === undefined) return 'neverRan'
  return outcome.state === 'live' ? 'replaced' : outcome.state
}
