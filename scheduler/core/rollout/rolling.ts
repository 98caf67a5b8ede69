/**
 * Rolling: gives a version to a function's instances in waves.
 *
 *     wave 1 → wave 2 → … → every wanted instance: live (rollout.ts)        an instance fails, in any wave: the good version is wanted again
 *
 *   RL1. The instances of a wave are in the store before a seat is changed or a runner told.
 *   RL2. A share is handed over only between instances of the same version (ownership.ts). The shares of an instance
 *        that has ended go to where they belong. If the version has another format of state, no share moves at all,
 *        whatever is scaled or ends meanwhile (homes.ts, HO2).
 *   RL3. A wave begins when all instances of the earlier waves run the version, off trial, and no share is being
 *        handed over.
 * Design: docs/design/0033-rolling.md
 * @module
 */

import { homesNow } from '../partitions/homes.ts'
import type { Draft } from '../state/draft.ts'
import { rollingOf } from '../state/in-force.ts'
import { activeOf } from '../state/roles.ts'
import { type FunctionState, instanceId, type Slot } from '../state/state.ts'
import { timings } from '../state/timings.ts'

/** Looks at a function's rolling deploy and begins the next wave when it may (RL3). */
export function watchRolling(draft: Draft, fn: FunctionState): void {
  const rolling = rollingOf(draft.state.wanted.functions.get(fn.name))
  if (rolling === undefined) {
    delete fn.rolling
    return
  }
  const { width, at } = rolling
  const active = activeOf(fn)
  const { version, manifest } = rolling.version
  if (fn.settling === version || active.length === 0) return
  const wave = at?.wave ?? 0
  if (isAsked(draft, fn, version, wave)) return
  const changed = active.filter((index) => at?.indexes.includes(index))
  if (!changed.every((index) => runsVersion(fn, index, version))) return // RL3
  if (fn.slots.some(({ seat }) => (seat?.document.awaited ?? []).length > 0)) return // RL3
  const next = active.filter((index) => !changed.includes(index)).slice(0, width)
  if (next.length === 0) return
  const homes = rolling.isOtherFormat ? { homes: at?.homes ?? homesNow(draft, fn, manifest) } : {}
  fn.rolling = { version, wave: wave + 1, askedMs: draft.nowMs, ...homes }
  const names = next.map((index) => instanceId(fn.name, index)).join(', ')
  const message = `${fn.name}: version ${version} comes to ${names} (wave ${wave + 1}; ${changed.length} of ${active.length} instances have it)`
  draft.act({ kind: 'log', level: 'info', message })
  const indexes = [...changed, ...next].sort((a, b) => a - b)
  const document = { version, wave: wave + 1, indexes, sinceMs: draft.nowMs, ...homes }
  draft.act({ kind: 'saveRolling', function: fn.name, rolling: document })
}

/** Whether a later wave was requested and is being written to the store. */
function isAsked(draft: Draft, fn: FunctionState, version: number, wave: number): boolean {
  const asked = fn.rolling
  if (asked?.version !== version || asked.wave <= wave) return false
  const untilMs = asked.askedMs + timings.waveAgainMs
  if (draft.nowMs >= untilMs) return false
  draft.wakeAt(fn.name, untilMs)
  return true
}

/** The wave and instance in which a rolling deploy failed, as the start of the reason; empty without one. */
export function waveText(draft: Draft, fn: FunctionState, { index }: Slot): string {
  const at = rollingOf(draft.state.wanted.functions.get(fn.name))?.at
  return at === undefined ? '' : `in wave ${at.wave} of its rolling change, ${instanceId(fn.name, index)}: `
}

/** Whether an instance runs a version, off trial, by what its runner has reported to this leader. */
export function runsVersion(fn: FunctionState, index: number, version: number): boolean {
  const slot = fn.slots.find((candidate) => candidate.index === index)
  return (
    slot?.phase === 'running' && slot.seat?.document.version === version && slot.reportedVersion === version
  )
}
