/**
 * Canary: which step a canary has reached, and whether it goes on.
 *
 *     step 0 → step 1 → … → promoted: it takes over (rollout.ts)        failed, at any step: the good version is wanted again
 *
 *   CY1. A step is in the store before a runner is told of it, and is judged only by what was measured at that step.
 *   CY2. Until the canary is promoted, the good version is in force for all other decisions (in-force.ts).
 *   CY3. The time of a step is counted by one leader's clock. A new leader starts the time again, and keeps what was
 *        measured.
 * Design: docs/design/0026-rollouts.md
 * @module
 */
import { codeOf } from '../../../infra/control/index.ts'
import type { CanaryAssignment } from '../../../infra/control/messages/assignment.ts'
import type { CanaryDocument, OutcomeDocument } from '../../../infra/store/index.ts'
import { type CanaryEvidence, type CanaryReport, sumOf } from '../../../sdk/versions/canary.ts'
import type { Draft } from '../state/draft.ts'
import { presentReports } from '../state/reports.ts'
import { activeOf } from '../state/roles.ts'
import type { FunctionState, LastExit, WantedFunction } from '../state/state.ts'
import { canaryOf, type WantedCanary } from '../state/wanted-canary.ts'
import { judge, looks, patience } from './judge.ts'
import { failuresMax, reasonMax } from './rollout.ts'

/** Reasons for the end of a whole runner that a version is blamed for. */
const processFaults: ReadonlySet<string> = new Set(['memory', 'frozen'])

/** The canary part of a function's assignment. */
export function canaryAssignmentOf(wanted: WantedFunction | undefined): CanaryAssignment | undefined {
  const canary = canaryOf(wanted)
  if (canary?.at === undefined) return undefined
  const { version, good, rules, at } = canary
  return {
    ...codeOf(version, good, wanted?.document.formatsBefore),
    step: at.step,
    percent: rules.steps[at.step]!,
    rules,
  }
}

/** Looks at a function's canary: moves it to the next step, settles it, or waits. */
export function watchCanary(draft: Draft, fn: FunctionState): void {
  const canary = canaryOf(draft.state.wanted.functions.get(fn.name))
  if (canary === undefined) {
    delete fn.canary
    return
  }
  const at = stepToJudge(draft, fn, canary)
  if (at === undefined) return
  const { rules } = canary
  const reports = reportsOf(draft, fn, at)
  const evidence = sumOf(reports.map((report) => report.evidence))
  const elapsedMs = draft.nowMs - fn.canary!.sinceMs
  const isLook = isTimeToLook(draft, fn, elapsedMs, rules.bakeMs)
  const verdict = judge({
    evidence,
    rules,
    elapsedMs,
    isLook,
    isWhole: reports.length >= activeOf(fn).length,
  })
  const bad = whyEnded(fn, reports, at) ?? (verdict.kind === 'bad' ? verdict.why : undefined)
  if (bad !== undefined)
    fail(
      draft,
      fn,
      canary,
      `${placeOf(canary, at)}, after ${(elapsedMs / 1000).toFixed(1)} s: ${bad}`,
      evidence,
    )
  else if (verdict.kind === 'good') pass(draft, fn, canary, at, verdict.why, evidence)
}

/** The step to judge. Undefined while the canary begins or its next step is written, and once it is settled. */
function stepToJudge(
  draft: Draft,
  fn: FunctionState,
  { version: { version }, at }: WantedCanary,
): CanaryDocument | undefined {
  if (fn.canary?.version !== version)
    fn.canary = { version, step: -1, sinceMs: draft.nowMs, looks: 0, settled: false }
  const seen = fn.canary
  if (seen.settled) return undefined
  if (at === undefined) {
    enter(draft, fn, { version, step: 0, sinceMs: draft.nowMs, passed: [] })
    return undefined
  }
  if (seen.step > at.step) return undefined
  if (seen.step < at.step) fn.canary = { ...seen, step: at.step, sinceMs: draft.nowMs, looks: 0 } // CY3
  return at
}

/** Whether the next look of a step is due (judge.ts, J2). Wakes the function for the one after it. */
function isTimeToLook(draft: Draft, fn: FunctionState, elapsedMs: number, bakeMs: number): boolean {
  const seen = fn.canary!
  const look = Math.min(looks, Math.floor((elapsedMs / bakeMs) * looks))
  // By time: a function without instances sends no heartbeats that would cause a look.
  const nextMs = elapsedMs < bakeMs ? ((look + 1) * bakeMs) / looks : patience * bakeMs
  if (elapsedMs < patience * bakeMs) draft.wakeAt(fn.name, seen.sinceMs + nextMs)
  if (look <= seen.looks) return false
  fn.canary = { ...seen, looks: look }
  return true
}

/** Why the canary cannot go on, whatever the evidence: it has ended, or a runner that it was in. */
function whyEnded(
  fn: FunctionState,
  reports: readonly CanaryReport[],
  { sinceMs }: CanaryDocument,
): string | undefined {
  const broken = fn.slots.find(({ lastExit, restarts }) => isItsFault(lastExit, restarts, sinceMs))?.lastExit
  if (broken !== undefined) return `an instance that it was in ended (${broken.reason}): ${broken.message}`
  const failed = reports.find(({ state }) => state === 'failed')
  return failed && `it ended: ${failed.reason ?? 'nothing was said'}`
}

/** Takes the canary back: the good version is wanted again. */
function fail(
  draft: Draft,
  fn: FunctionState,
  { version: { version, migrates }, good: { version: good } }: WantedCanary,
  why: string,
  { canary: { errors, records } }: CanaryEvidence,
): void {
  const lost = migrates === true ? 'none of them lost, but what it did to state' : 'none of them lost'
  const reason = `${why} (error budget spent: ${errors} of ${records} records; ${lost})`
  fn.canary = { ...fn.canary!, settled: true }
  const message = `${fn.name} stays with version ${good}: version ${version} has failed as a canary ${reason}`
  draft.act({ kind: 'log', level: 'warn', message })
  const outcome: OutcomeDocument = {
    ...{ schema: 1, version, state: 'failed', atMs: draft.nowMs, from: good },
    reason: reason.slice(0, reasonMax),
  }
  draft.act({ kind: 'settleVersion', function: fn.name, good, outcome })
}

/** Moves the canary to its next step, or promotes it after the last one. */
function pass(
  draft: Draft,
  fn: FunctionState,
  canary: WantedCanary,
  at: CanaryDocument,
  why: string,
  evidence: CanaryEvidence,
): void {
  const { version, rules } = canary
  const step = at.step + 1
  const passed = [...at.passed, `${placeOf(canary, at)}: ${why}`]
  const isQuiet = evidence.canary.records === 0
  const isUntried = isQuiet && (at.step === 0 || at.untried === true)
  const quietAt = [...(at.quietAt ?? []), ...(isQuiet ? [rules.steps[at.step]!] : [])]
  const message = `${fn.name}: version ${version.version} has passed ${passed.at(-1)}`
  draft.act({ kind: 'log', level: 'info', message })
  enter(draft, fn, {
    ...{ version: version.version, step, sinceMs: draft.nowMs, passed },
    ...(isUntried && { untried: true }),
    ...(quietAt.length > 0 && { quietAt }),
    ...(step === rules.steps.length && { promoted: true }),
  })
}

/** A step, as the start of a sentence about it. */
function placeOf({ rules }: WantedCanary, { step }: CanaryDocument): string {
  return `at ${rules.steps[step]} % of the keys`
}

function enter(draft: Draft, fn: FunctionState, canary: CanaryDocument): void {
  const { version, step, sinceMs } = canary
  fn.canary = { version, step, sinceMs, looks: 0, settled: false }
  draft.act({ kind: 'saveCanary', function: fn.name, canary })
}

/**
 * Whether the end of a runner is blamed on the canary or shadow in it. Which of the two versions caused it is
 * unknown, but the other one has run before.
 */
export function isItsFault(exit: LastExit | undefined, restarts: number, sinceMs: number): boolean {
  if (exit === undefined || exit.atMs < sinceMs) return false
  return processFaults.has(exit.reason) || restarts >= failuresMax
}

/** The reports of working instances that are at this step. */
function reportsOf(draft: Draft, fn: FunctionState, { version, step }: CanaryDocument): CanaryReport[] {
  return presentReports(draft, fn).flatMap(({ canary: report }) => {
    if (report === undefined || report.version !== version || report.state === 'preparing') return []
    return report.step === step || report.state === 'failed' ? [report] : []
  })
}
