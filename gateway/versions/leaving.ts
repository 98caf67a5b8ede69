/**
 * Leaving: records the outcome of a version that a person replaces by another. (The scheduler records the outcomes
 * that it judges itself.)
 *
 *   LV1. It is written after the other version is wanted: from then on the scheduler no longer reports the old one as
 *        live (performer.ts).
 *   LV2. A version that works and is wanted is `live`. If it was left, and is wanted again before the other version
 *        worked, the scheduler has nothing to settle, so its outcome is restored here.
 * @module
 */
import {
  type FunctionDocument,
  type OutcomeDocument,
  outcomeAfter,
  paths,
  readStatus,
  type Store,
  upsert,
  type VersionDocument,
} from '../../infra/store/index.ts'
import type { DeployAnswer } from '../../sdk/api/index.ts'
import type { DeployRequest } from '../deploy/request.ts'

export interface Leaving {
  /** The function's document before the change. */
  readonly document: FunctionDocument | undefined
  /** The version that is wanted now. */
  readonly to: number
  readonly atMs: number
  /** Who rolls back, and why; absent: it is a deploy. */
  readonly back?: DeployRequest | undefined
}

const reasonMax = 1000

/** @returns The version that was being rolled out and is abandoned, if any. */
export async function leave(
  store: Store,
  ns: string,
  name: string,
  { document, to, atMs, back }: Leaving,
): Promise<Pick<DeployAnswer, 'left'>> {
  if (document === undefined || document.version === to) return {}
  const { version, shadow } = document
  if (document.good === to) await stand(store, ns, name, to, atMs)
  // The scheduler writes the findings of a shadow.
  if (shadow?.version === version && shadow.promoted !== true)
    return { left: { version, how: 'was a shadow' } }
  const far = howFar(document) ?? (await whereItRan(store, ns, name, document))
  const made = await store.get<VersionDocument>(paths.version(ns, name, version))
  const goes = made?.value.migrates === true ? ', and what it did to state goes with it' : ''
  const how = far && `${far}${goes}`
  const isBack = back !== undefined && to < version
  if (isBack || how !== undefined) {
    const until = how === undefined ? '' : ` while it ${how}`
    const why = back?.message === undefined ? '' : `: ${back.message}`
    const reason = `v${to} was wanted${isBack ? ' again' : ''}${until}${why}`.slice(0, reasonMax)
    const state = isBack ? 'rolledBack' : 'withdrawn'
    const by = isBack && back.author !== undefined ? { by: back.author } : {}
    await upsert<OutcomeDocument>(store, paths.outcome(ns, name, version), (before) =>
      outcomeAfter(before, { schema: 1, version, state, atMs, reason, ...by }),
    )
  }
  return how === undefined ? {} : { left: { version, how } }
}

/** Restores the outcome of a working version that is wanted again before the other version worked (LV2). */
async function stand(store: Store, ns: string, name: string, version: number, atMs: number): Promise<void> {
  await upsert<OutcomeDocument>(store, paths.outcome(ns, name, version), (before) =>
    before?.state === 'live' ? before : outcomeAfter(before, { schema: 1, version, state: 'live', atMs }),
  )
}

/** How far a canary or rolling deploy had come. */
function howFar({ version, good, canary, rolling }: FunctionDocument): string | undefined {
  if (good !== version && rolling?.version === version)
    return `came to one instance after the other, in wave ${rolling.wave}`
  if (canary?.version !== version || canary.promoted === true) return undefined
  const steps = canary.passed.length === 0 ? '' : `; ${canary.passed.join('; ')}`
  return `was a canary, at step ${canary.step + 1}${steps}`
}

/** In how many instances a version worked that was wanted in all. */
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
