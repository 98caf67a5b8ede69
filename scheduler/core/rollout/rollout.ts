/**
 * Rollout: how a wanted version replaces a running one, and with what outcome.
 *
 *   RO1. A seat's version is written before its runner is told. The instance counts as running once it has reported
 *        that version, off trial.
 *   RO2. A version is good when all wanted instances run it, as far as this leader has heard. If it fails before that
 *        and there is a good version, the good one is wanted again, in every instance.
 * Design: docs/design/0023-hot-swap.md
 * @module
 */
import { versionsFault } from '../../../infra/control/messages/exit-codes.ts'
import type { InstanceReport } from '../../../infra/control/messages/heartbeat.ts'
import type { FunctionDocument, OutcomeDocument, VersionDocument } from '../../../infra/store/index.ts'
import type { Manifest } from '../../../sdk/manifest/manifest.ts'
import { drainReason } from '../../../sdk/versions/swap.ts'
import { goodOf } from '../state/candidate.ts'
import type { Draft } from '../state/draft.ts'
import { rollingOf } from '../state/in-force.ts'
import { reportOf } from '../state/reports.ts'
import { activeOf } from '../state/roles.ts'
import {
  type FunctionState,
  instanceId,
  type LastExit,
  type Seat,
  type Slot,
  type WantedFunction,
} from '../state/state.ts'
import { runsVersion, waveText } from './rolling.ts'

/** So many failures in a row are blamed on the version that ran, whatever their reasons (`versionsFault`). */
export const failuresMax = 3
/** As many earlier formats are kept as there are versions (gateway/versions/collector.ts). */
const formatsMax = 100
/** Characters that an outcome keeps of its reason. */
export const reasonMax = 1000

/**
 * Starts to swap the wanted version in while the instance runs, if possible. After a change of leader the instance is
 * heard first: its first heartbeat leads to the next plan. One that stays silent is left to its watchdog, unless the cluster
 * has lost it too (WG2 of watching.ts).
 * @returns Whether a swap is under way, or will be.
 */
export function swap(draft: Draft, fn: FunctionState, slot: Slot, version: VersionDocument): boolean {
  const { seat } = slot
  if (seat === undefined || !canSwap(draft, fn, slot, seat, version)) return false
  if (draft.taskOf(seat).beat === undefined) return true
  const before = seat.document.version
  slot.restarts = 0
  slot.restartsVersion = version.version
  delete slot.reportedVersion
  draft.updateSeat(seat, { version: version.version })
  draft.enter(slot, 'swapping', `version ${version.version} takes over from ${before}`)
  return true
}

function canSwap(draft: Draft, fn: FunctionState, slot: Slot, seat: Seat, version: VersionDocument): boolean {
  if (slot.phase !== 'running' && slot.phase !== 'swapping') return false
  if (slot.failed?.version === version.version) return false
  const wanted = draft.state.wanted.functions.get(fn.name)
  const before = wanted?.versions.get(seat.document.version)
  if (wanted === undefined || before === undefined || wanted.document.drain === true) return false
  return drainReason(before, version, seat.document.resources) === undefined
}

/** Whether the swap to the wanted version failed in a slot and there is no good version to go back to. */
export function hasFailedForGood(draft: Draft, slot: Slot, version: VersionDocument): boolean {
  const failed = slot.phase === 'swapping' && slot.failed?.version === version.version
  return failed && trialOf(draft, version) === undefined
}

/** Applies what a report says about the version that a seat should have. @returns Whether it is news. */
export function observeVersion(draft: Draft, slot: Slot, seat: Seat, report: InstanceReport): boolean {
  const { version } = seat.document
  const { swap } = report
  const isThere = report.version === version && swap === undefined
  const isNews = isThere && slot.reportedVersion !== version
  if (isThere) slot.reportedVersion = version
  else delete slot.reportedVersion
  if (slot.phase === 'swapping' && isThere) draft.enter(slot, 'running')
  else if (slot.phase === 'running' && !isThere)
    draft.enter(slot, 'swapping', `version ${version} takes over from ${report.version}`)
  if (swap?.state !== 'failed' || swap.version !== version || slot.failed?.version === version) return isNews
  slot.failed = { version, reason: swap.reason ?? 'nothing was said' }
  return true
}

/** Blames a seat's unwanted end on its version, if its reason or the number of failures says so. */
export function blameVersion(slot: Slot, seat: Seat, exit: LastExit): void {
  const { version } = seat.document
  if (versionsFault.has(exit.reason) || slot.restarts >= failuresMax)
    slot.failed ??= { version, reason: `${seat.document.instance} ended (${exit.reason}): ${exit.message}` }
}

/** The trial that the wanted version has to pass; undefined if there is no other version to go back to. */
export function trialOf(draft: Draft, { version, manifest }: VersionDocument): Manifest['trial'] | undefined {
  const good = goodVersion(draft, manifest.name)
  return good === undefined || good === version ? undefined : manifest.trial
}

/** Settles the outcome of the wanted version (RO2). */
export function settleRollout(draft: Draft, fn: FunctionState): void {
  const rolling = rollingOf(draft.state.wanted.functions.get(fn.name))
  const wanted = rolling?.version ?? draft.wantedVersion(fn.name)
  if (wanted === undefined) return
  const { version } = wanted
  const good = goodVersion(draft, fn.name)
  if (good === version) {
    delete fn.settling
    for (const slot of fn.slots) delete slot.failed
    return
  }
  if (fn.settling === version) return
  const bad = fn.slots.find((slot) => failureOf(fn, slot, version) !== undefined)
  if (bad !== undefined && good !== undefined) {
    const reason = waveText(draft, fn, bad) + failureOf(fn, bad, version)
    const text = `${fn.name} goes back to version ${good}: version ${version} has failed: ${reason}`
    draft.act({ kind: 'log', level: 'warn', message: text })
    writeOutcome(draft, fn, version, good, { state: 'failed', reason: reason.slice(0, reasonMax) })
    return
  }
  const active = activeOf(fn)
  if (active.length > 0 && active.every((index) => runsVersion(fn, index, version)))
    writeOutcome(draft, fn, version, version, { state: 'live', ...passedBy(draft, fn, wanted) })
}

/** Why a version has failed in a slot: the swap failed, or the slot is crash looping. */
function failureOf(fn: FunctionState, slot: Slot, version: number): string | undefined {
  if (slot.failed?.version === version) return slot.failed.reason
  if (slot.phase !== 'crashLooping' || slot.restartsVersion !== version) return undefined
  return `${instanceId(fn.name, slot.index)} is not launched again (restarts): ${slot.lastExit?.reason}, ${slot.lastExit?.message}`
}

/** The evidence for the outcome: what a version showed as a canary, or that it is untried because no record came. */
function passedBy(
  draft: Draft,
  fn: FunctionState,
  { version, manifest: { trial } }: VersionDocument,
): Pick<OutcomeDocument, 'reason' | 'untried' | 'quietAt'> {
  const { canary, atOnce } = draft.state.wanted.functions.get(fn.name)?.document ?? {}
  const wasCanary = canary?.version === version && canary.passed.length > 0
  if (wasCanary && canary.untried !== true)
    return {
      reason: `as a canary, ${canary.passed.join('; ')}`.slice(0, reasonMax),
      ...(canary.quietAt === undefined ? {} : { quietAt: canary.quietAt }),
    }
  const tried = fn.slots.flatMap(({ seat }) => {
    const report = seat && reportOf(draft.taskOf(seat), seat)
    return report?.tried?.version === version ? [report.tried.records] : []
  })
  if (tried.some((records) => records > 0)) return {}
  if (wasCanary) return { untried: true, reason: 'no record of its keys came while it was a canary' }
  // A version that is rolled back to has run before.
  const isAsked = trial.records > 0 && trial.ms > 0 && atOnce !== true
  if (!isAsked || tried.length === 0) return {}
  return { untried: true, reason: `no record came while it was on trial (${trial.ms / 1000} s)` }
}

function writeOutcome(
  draft: Draft,
  fn: FunctionState,
  version: number,
  good: number,
  outcome: Pick<OutcomeDocument, 'state' | 'reason' | 'untried' | 'quietAt'>,
): void {
  fn.settling = version
  const from = goodVersion(draft, fn.name)
  draft.act({
    kind: 'settleVersion',
    function: fn.name,
    good,
    ...formatsBefore(draft.state.wanted.functions.get(fn.name), good),
    outcome: { schema: 1, version, ...outcome, atMs: draft.nowMs, ...(from === undefined ? {} : { from }) },
  })
}

/** What the function's document says from now on of formats that state had, if a version with another one is good now. */
function formatsBefore(
  wanted: WantedFunction | undefined,
  version: number,
): Pick<FunctionDocument, 'formatsBefore'> {
  const good = goodOf(wanted)
  const next = wanted?.versions.get(version)
  if (good === undefined || next === undefined) return {}
  const { stateFormat: format = 1 } = good
  if ((next.stateFormat ?? 1) <= format) return {}
  return { formatsBefore: [...(wanted?.document.formatsBefore ?? []), format].slice(-formatsMax) }
}

function goodVersion(draft: Draft, name: string): number | undefined {
  return goodOf(draft.state.wanted.functions.get(name))?.version
}
