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
import type { CanaryAssignment, FunctionAssignment } from '../../../infra/control/messages.ts'
import type { CanaryDocument, VersionDocument } from '../../../infra/store/index.ts'
import { type CanaryReport, sumOf } from '../../../sdk/versions/canary.ts'
import type { Draft } from '../state/draft.ts'
import type { FunctionState, LastExit, WantedFunction } from '../state/state.ts'
import { canaryOf } from '../state/wanted-canary.ts'
import { judge, looks, patience } from './judge.ts'

/** Reasons for the end of a whole runner that a version is blamed for. */
const processFaults: ReadonlySet<string> = new Set(['memory', 'frozen'])
/** So many failures of an instance in a row are blamed on the version too. */
const failuresMax = 3

/** The format in which a version has its state, and the format of the version beside it that must stay readable. */
export function formatOf(
  { stateFormat: own = 1 }: VersionDocument,
  good: VersionDocument | undefined,
): Pick<FunctionAssignment, 'format'> {
  const kept = good === undefined ? own : Math.min(own, good.stateFormat ?? 1)
  return own === 1 && kept === 1 ? {} : { format: { own, kept } }
}

/** The canary part of a function's assignment. */
export function canaryAssignmentOf(wanted: WantedFunction | undefined): CanaryAssignment | undefined {
  const canary = canaryOf(wanted)
  if (canary?.at === undefined) return undefined
  const { version, good, rules, at } = canary
  const { bundleSha256, sourceMapSha256, assets, manifest } = version
  return {
    version: version.version,
    bundleSha256,
    ...(sourceMapSha256 === undefined ? {} : { sourceMapSha256 }),
    ...(assets === undefined ? {} : { assets }),
    ...formatOf(version, good),
    manifest,
    step: at.step,
    percent: rules.steps[at.step]!,
    rules,
  }
}

/** Looks at a function's canary: moves it to the next step, settles it, or waits. */
export function watchCanary(draft: Draft, fn: FunctionState, active: readonly number[]): void {
  const canary = canaryOf(draft.state.wanted.functions.get(fn.name))
  if (canary === undefined) {
    delete fn.canary
    return
  }
  const { version, good, rules, at } = canary
  if (fn.canary?.version !== version.version)
    fn.canary = { version: version.version, step: -1, sinceMs: draft.nowMs, looks: 0, settled: false }
  const seen = fn.canary
  if (seen.settled) return
  if (at === undefined)
    return enter(draft, fn, { version: version.version, step: 0, sinceMs: draft.nowMs, passed: [] })
  if (seen.step < at.step)
    fn.canary = { ...seen, step: at.step, sinceMs: draft.nowMs, looks: 0 } // CY3
  else if (seen.step > at.step) return // its next step is being written to the store
  const reports = reportsOf(draft, fn, active, at)
  const failed = reports.find(({ state }) => state === 'failed')
  const evidence = sumOf(reports.map((report) => report.evidence))
  const { sinceMs } = fn.canary
  const elapsedMs = draft.nowMs - sinceMs
  const look = Math.min(looks, Math.floor((elapsedMs / rules.bakeMs) * looks))
  const isLook = look > fn.canary.looks
  const verdict = judge({ evidence, rules, elapsedMs, isLook, isWhole: reports.length >= active.length })
  if (isLook) fn.canary = { ...fn.canary, looks: look }
  // Wake up by time: a function without instances sends no heartbeats that would cause a look.
  const nextMs = elapsedMs < rules.bakeMs ? ((look + 1) * rules.bakeMs) / looks : patience * rules.bakeMs
  if (elapsedMs < patience * rules.bakeMs) draft.wakeAt(fn.name, sinceMs + nextMs)
  const broken = fn.slots.find(({ lastExit, restarts }) =>
    isItsFault(lastExit, restarts, at.sinceMs),
  )?.lastExit
  const bad =
    broken !== undefined
      ? `an instance that it was in ended (${broken.reason}): ${broken.message}`
      : failed !== undefined
        ? `it ended: ${failed.reason ?? 'nothing was said'}`
        : verdict.kind === 'bad'
          ? verdict.why
          : undefined
  const place = `at ${rules.steps[at.step]} % of the keys`
  if (bad !== undefined) {
    const spent = `error budget spent: ${evidence.canary.errors} of ${evidence.canary.records} records`
    const lost =
      version.migrates === true ? 'none of them lost, but what it did to state' : 'none of them lost'
    const reason = `${place}, after ${(elapsedMs / 1000).toFixed(1)} s: ${bad} (${spent}; ${lost})`
    fn.canary = { ...fn.canary, settled: true }
    const text = `${fn.name} stays with version ${good.version}: version ${version.version} has failed as a canary ${reason}`
    draft.act({ kind: 'log', level: 'warn', message: text })
    const outcome = {
      schema: 1,
      version: version.version,
      state: 'failed',
      atMs: draft.nowMs,
      from: good.version,
    } as const
    draft.act({
      kind: 'settleVersion',
      function: fn.name,
      good: good.version,
      outcome: { ...outcome, reason: reason.slice(0, 1000) },
    })
    return
  }
  if (verdict.kind !== 'good') return
  const step = at.step + 1
  const passed = [...at.passed, `${place}: ${verdict.why}`]
  const isQuiet = evidence.canary.records === 0
  const isUntried = isQuiet && (at.step === 0 || at.untried === true)
  const quietAt = [...(at.quietAt ?? []), ...(isQuiet ? [rules.steps[at.step]!] : [])]
  const next: CanaryDocument = {
    ...{ version: version.version, step, sinceMs: draft.nowMs, passed },
    ...(isUntried && { untried: true }),
    ...(quietAt.length > 0 && { quietAt }),
  }
  draft.act({
    kind: 'log',
    level: 'info',
    message: `${fn.name}: version ${version.version} has passed ${passed.at(-1)}`,
  })
  enter(draft, fn, step < rules.steps.length ? next : { ...next, promoted: true })
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
function reportsOf(
  draft: Draft,
  fn: FunctionState,
  active: readonly number[],
  { version, step }: CanaryDocument,
): CanaryReport[] {
  return fn.slots.flatMap((slot) => {
    if (slot.seat === undefined || !active.includes(slot.index)) return []
    const { instance, epoch } = slot.seat.document
    const report = draft
      .taskOf(slot.seat)
      .beat?.instances.find((one) => one.id === instance && one.epoch === epoch)?.canary
    if (report === undefined || report.version !== version || report.state === 'preparing') return []
    return report.step === step || report.state === 'failed' ? [report] : []
  })
}
