/**
 * Shadow: how long a version runs beside the one in force, and what is recorded of it.
 *
 *     wanted → begun → over: the good version is wanted again        from either: failed, or another version is wanted
 *
 *   SY1. The beginning is in the store before a runner is told of it, so a new leader continues the same shadow.
 *   SY2. This leader writes the findings to the version's outcome before it wants another version. If somebody else
 *        wants another version first, the findings heard last are written.
 * Design: docs/design/0030-shadow.md
 * @module
 */
import { codeOf } from '../../../infra/control/index.ts'
import type { ShadowAssignment } from '../../../infra/control/messages/assignment.ts'
import type { OutcomeDocument } from '../../../infra/store/index.ts'
import {
  type ShadowReport,
  type ShadowResult,
  shadowSummary,
  sumOfShadows,
} from '../../../sdk/versions/shadow.ts'
import type { Draft } from '../state/draft.ts'
import { presentReports } from '../state/reports.ts'
import { activeOf } from '../state/roles.ts'
import type { FunctionState, WantedFunction } from '../state/state.ts'
import { shadowOf, type WantedShadow } from '../state/wanted-shadow.ts'
import { isItsFault } from './canary.ts'
import { reasonMax } from './rollout.ts'

type Seen = NonNullable<FunctionState['shadow']>

/** The shadow part of a function's assignment. */
export function shadowAssignmentOf(wanted: WantedFunction | undefined): ShadowAssignment | undefined {
  const shadow = shadowOf(wanted)
  if (shadow?.at === undefined || shadow.refused !== undefined) return undefined
  return { ...codeOf(shadow.version, shadow.good, wanted?.document.formatsBefore), rules: shadow.rules }
}

/** Looks at a function's shadow: begins it, settles it, or waits. */
export function watchShadow(draft: Draft, fn: FunctionState): void {
  const shadow = shadowOf(draft.state.wanted.functions.get(fn.name))
  leave(draft, fn, shadow)
  if (shadow === undefined) return
  const { good, rules, at, refused } = shadow
  const { version } = shadow.version
  if (fn.shadow === undefined) {
    const sinceMs = at?.sinceMs ?? draft.nowMs
    fn.shadow = { version, from: good.version, sinceMs, settled: false }
    if (at === undefined && refused === undefined)
      return draft.act({ kind: 'saveShadow', function: fn.name, shadow: { version, sinceMs } })
  }
  const seen = fn.shadow
  if (seen.settled) return
  const over = (state: 'shadowed' | 'failed', why?: string): void => writeOutcome(draft, fn, seen, state, why)
  if (refused !== undefined) return over('failed', `it cannot be beside version ${good.version}: ${refused}`)
  if (at === undefined) return // its beginning is being written to the store
  const broken = fn.slots.find(({ lastExit, restarts }) => isItsFault(lastExit, restarts, at.sinceMs))
  const failed = reportsOf(draft, fn, version).find(({ state }) => state === 'failed')
  if (broken?.lastExit !== undefined) {
    const { reason, message } = broken.lastExit
    return over('failed', `an instance that it was beside ended (${reason}): ${message}`)
  }
  if (failed !== undefined) return over('failed', failed.reason ?? 'nothing was said')
  const untilMs = at.sinceMs + rules.bakeMs
  if (draft.nowMs < untilMs) return draft.wakeAt(fn.name, untilMs)
  over('shadowed')
}

/** Writes down what was heard last, if another version is wanted now, or the shadow itself is to take over. */
function leave(draft: Draft, fn: FunctionState, shadow: WantedShadow | undefined): void {
  const seen = fn.shadow
  if (seen === undefined || seen.version === shadow?.version.version) return
  delete fn.shadow
  const result = resultOf(draft, fn, seen)
  if (seen.settled || result === undefined) return
  const outcome = outcomeOf(draft, seen.version, result, 'shadowed')
  draft.act({ kind: 'saveOutcome', function: fn.name, outcome })
}

function writeOutcome(
  draft: Draft,
  fn: FunctionState,
  seen: Seen,
  state: 'shadowed' | 'failed',
  why?: string,
): void {
  const { version, from } = seen
  fn.shadow = { ...seen, settled: true }
  const outcome = outcomeOf(draft, version, resultOf(draft, fn, seen), state, why)
  const [level, what] =
    state === 'failed' ? (['warn', 'has failed'] as const) : (['info', 'is over'] as const)
  const message = `${fn.name} stays with version ${from}: the shadow of version ${version} ${what}: ${outcome.reason}`
  draft.act({ kind: 'log', level, message })
  draft.act({ kind: 'settleVersion', function: fn.name, good: from, outcome: { ...outcome, from } })
}

function outcomeOf(
  draft: Draft,
  version: number,
  result: ShadowResult | undefined,
  state: 'shadowed' | 'failed',
  why?: string,
): OutcomeDocument {
  const found = result === undefined ? 'nothing was compared' : shadowSummary(result.evidence)
  const reason = why === undefined ? found : `as a shadow: ${why} (${found})`
  return {
    ...{ schema: 1, version, state, atMs: draft.nowMs, reason: reason.slice(0, reasonMax) },
    ...(result === undefined ? {} : { from: result.from, shadow: result }),
  }
}

/** The findings so far; undefined if no instance has reported any. */
function resultOf(
  draft: Draft,
  fn: FunctionState,
  { version, from, sinceMs }: Seen,
): ShadowResult | undefined {
  const reports = reportsOf(draft, fn, version)
  if (reports.length === 0) return undefined
  return {
    ...{ from, sinceMs, untilMs: draft.nowMs },
    instances: reports.filter(({ state }) => state !== 'preparing').length,
    instancesOf: activeOf(fn).length,
    evidence: sumOfShadows(reports.map(({ evidence }) => evidence)),
  }
}

/** The shadow reports of working instances. */
function reportsOf(draft: Draft, fn: FunctionState, version: number): ShadowReport[] {
  return presentReports(draft, fn).flatMap(({ shadow }) => (shadow?.version === version ? [shadow] : []))
}
