/**
 * Shadows: the findings about a shadow, and which version `promote` makes live.
 * @module
 */
import type { DifferenceStore } from '../../infra/differences/index.ts'
import { type OutcomeDocument, paths, type Store } from '../../infra/store/index.ts'
import type { ShadowDifferences } from '../../sdk/api/shadow.ts'
import type { ShadowDifference, ShadowView } from '../../sdk/versions/shadow.ts'
import type { LiveFunction } from '../catalog/catalog.ts'
import type { Heartbeats } from '../catalog/heartbeats.ts'
import { isShadow, shadowNow, shadowThen } from '../catalog/shadow-view.ts'
import { refuse } from '../errors.ts'
import { documentOf, listVersions } from './versions.ts'

/** Approximate bytes of differences in an answer. */
const answerBytes = 2 * 1024 * 1024

export interface ShadowParts {
  readonly store: Store
  readonly namespace: string
  readonly heartbeats: Heartbeats
  readonly nowMs: number
}

/**
 * @param version Default: the current shadow, else the newest former one.
 * @throws {CodedError} ERR_SHADOW_UNKNOWN, ERR_VERSION_UNKNOWN
 */
export async function shadowOf(
  { store, namespace, heartbeats, nowMs }: ShadowParts,
  live: LiveFunction,
  version: number | undefined,
): Promise<ShadowView> {
  const now = shadowNow(live, heartbeats, nowMs)
  if (now !== undefined && (version ?? now.version) === now.version) return now
  const candidates =
    version === undefined ? (await listVersions(store, namespace, live)).map((one) => one.version) : [version]
  for (const number of candidates) {
    const outcome = (await store.get<OutcomeDocument>(paths.outcome(namespace, live.name, number)))?.value
    if (outcome?.shadow === undefined) continue
    const { manifest } = await documentOf(store, namespace, live, number)
    const bakeMs = manifest.rollout?.shadow?.bakeMs ?? 0
    const then = shadowThen({ name: live.name, version: number, bakeMs }, outcome)
    if (then !== undefined) return then
  }
  if (version !== undefined) await documentOf(store, namespace, live, version)
  throw refuse(
    'ERR_SHADOW_UNKNOWN',
    `Nothing is known of ${version === undefined ? 'any version' : `v${version}`} of '${live.name}' as a shadow. \`concord fn deploy FILE --shadow\` makes one.`,
  )
}

/**
 * The version that `promote` makes live: the current shadow, else the newest former one that has not been live since.
 * @throws {CodedError} ERR_SHADOW_UNKNOWN
 */
export async function versionToPromote(store: Store, namespace: string, live: LiveFunction): Promise<number> {
  if (isShadow(live)) return live.document.version
  const found = (await listVersions(store, namespace, live)).find(({ state }) => state === 'shadowed')
  if (found !== undefined) return found.version
  throw refuse(
    'ERR_SHADOW_UNKNOWN',
    `Cannot promote a version of '${live.name}': none was a shadow and waits for it. \`concord fn versions ${live.name}\` shows those there are; --to names one.`,
  )
}

/** Differences in the order of their recording, up to `answerBytes`. @param after Where the last answer ended. */
export async function differencesOf(
  differences: DifferenceStore,
  name: string,
  version: number,
  after: number,
): Promise<ShadowDifferences> {
  const found: ShadowDifference[] = []
  let bytes = 0
  for (let place = after; ; ) {
    const message = await differences.next(name, version, place)
    if (message === undefined) return { name, version, differences: found }
    found.push(...message.differences.differences)
    place = message.place
    bytes += message.bytes
    if (bytes >= answerBytes) return { name, version, differences: found, next: place }
  }
}
