/**
 * Versions: the versions of a function, their outcomes, and rollback.
 * @module
 */

import { versionsFault } from '../../infra/control/messages/exit-codes.ts'
import {
  failureOf,
  type OutcomeDocument,
  paths,
  type Store,
  type VersionDocument,
} from '../../infra/store/index.ts'
import type { VersionDetail, VersionDiff, VersionSummary } from '../../sdk/api/index.ts'
import { assetChanges } from '../../sdk/manifest/assets.ts'
import { changesBetween } from '../../sdk/manifest/changes.ts'
import type { LiveFunction } from '../catalog/catalog.ts'
import { isShadow } from '../catalog/shadow-view.ts'
import { isCanary } from '../catalog/views.ts'
import { isFailing } from '../catalog/why.ts'
import { refuse } from '../errors.ts'

/** The versions of a function, newest first. */
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
 * The version that a rollback goes to: during a rollout the good one; otherwise the last earlier version that ran and
 * was never rolled back from, by a person or by the platform.
 * @throws {CodedError} ERR_VERSION_UNKNOWN
 */
export async function versionBefore(store: Store, ns: string, live: LiveFunction): Promise<number> {
  const { version } = live.document
  const earlier = await listEarlier(store, ns, live)
  const found = keptBefore(live, earlier)
  if (found !== undefined) return found
  const past = earlier
    .slice(0, passedShown)
    .map((one) => `v${one.version} ${pastText[one.state] ?? one.state}`)
  const others = past.length === 0 ? '' : ` (${past.join(', ')}; --to goes there all the same)`
  throw refuse(
    'ERR_VERSION_UNKNOWN',
    `Cannot roll '${live.name}' back: before v${version} there is no version that has run and was kept${others}. \`concord fn versions ${live.name}\` shows those there are.`,
  )
}

/** The same for a function that fails; undefined if there is no such version, or none fails. */
export async function wayBack(store: Store, ns: string, live: LiveFunction): Promise<number | undefined> {
  const { deleted, version } = live.document
  const fails = (live.status?.instances ?? []).some(
    (one) => one.version === version && isFailing(one) && versionsFault.has(one.lastExit?.reason ?? ''),
  )
  return fails && deleted !== true ? keptBefore(live, await listEarlier(store, ns, live)) : undefined
}

function keptBefore({ document }: LiveFunction, earlier: readonly VersionSummary[]): number | undefined {
  const { version, good = version } = document
  // If `good` is higher, it is what the caller wants to leave.
  return good < version ? good : earlier.find(({ state }) => state === 'replaced')?.version
}

async function listEarlier(store: Store, ns: string, live: LiveFunction): Promise<VersionSummary[]> {
  return (await listVersions(store, ns, live)).filter((one) => one.version < live.document.version)
}

const passedShown = 3
const pastText: Readonly<Partial<Record<VersionSummary['state'], string>>> = {
  failed: 'has failed',
  rolledBack: 'was rolled back',
  withdrawn: 'was withdrawn',
  shadowed: 'was a shadow',
  neverRan: 'never ran',
}

/**
 * Refuses a version with the same code while that code is still being tried: it would take over untried.
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
  { document, status }: LiveFunction,
  version: VersionDocument,
  before: VersionDocument | undefined,
  outcome: OutcomeDocument | undefined,
): VersionSummary {
  const { manifest, author, message, deployedAtMs } = version
  const state = stateOf(document, version, outcome)
  const failed = failureOf(outcome)
  // An earlier outcome says nothing about a version that is wanted again, or not left yet.
  const isOf = outcome?.state === (state === 'replaced' ? 'live' : state)
  return {
    ...bundleOf(version),
    deployedAtMs,
    ...(author === undefined ? {} : { author }),
    ...(message === undefined ? {} : { message }),
    state,
    ...(state === 'failed' ? saidOf(failed) : isOf ? saidOf(outcome) : {}),
    ...(failed === undefined || state === 'failed' ? {} : { failed }),
    ...(state === 'rollingOut' ? failingStart(status, version.version) : {}),
    changes: before === undefined ? [] : changesBetween(before.manifest, manifest),
    assets: version.assets ?? {},
  }
}

function saidOf({
  atMs,
  reason,
  untried,
  quietAt,
  by,
}: Partial<OutcomeDocument> = {}): Pick<
  VersionSummary,
  'outcomeAtMs' | 'reason' | 'untried' | 'quietAt' | 'by'
> {
  return {
    ...(atMs === undefined ? {} : { outcomeAtMs: atMs }),
    ...(reason === undefined ? {} : { reason }),
    ...(untried === undefined ? {} : { untried }),
    ...(quietAt === undefined ? {} : { quietAt: [...quietAt] }),
    ...(by === undefined ? {} : { by }),
  }
}

/** An instance that ended, with an error, each time that it was started with the version. */
function failingStart(status: LiveFunction['status'], version: number): Pick<VersionSummary, 'notStarting'> {
  const failing = status?.instances.find(
    (one) => one.version === version && one.state !== 'running' && one.restarts > 0,
  )
  if (failing?.lastExit === undefined || failing.lastExit.code === 0) return {}
  const { id, restarts, lastExit } = failing
  const times = restarts === 1 ? 'has failed' : `has failed ${restarts} times in a row, last`
  return { notStarting: `${id} ${times}: ${lastExit.reason}: ${lastExit.message}` }
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
  if (outcome.state !== 'live') return outcome.state
  return failureOf(outcome) === undefined ? 'replaced' : 'failed'
}
