/**
 * Endings: what follows when a seat has ended, alone or with its task. Wanted: its slot waits for the next. Unwanted:
 * back-off, and after too many in a row a stop.
 *
 *   EN1. When a task ends through the fault of one of its instances, that one is counted as failed and its mates are
 *        not. Where nobody knows whose fault it was, each is counted: it will share its next runner with fewer (packs.ts).
 *   EN2. Back-off is from the start of the work, not from its end: what an instance has worked, times `workedCounts`, is taken
 *        off. So one that had run well is back at once, however often it is killed, and one that fails as it starts waits.
 * @module
 */
import { type ExitReason, type ExitReport, exitCodes } from '../../infra/control/messages.ts'
import { backoffMs } from '../backoff.ts'
import type { TaskUpdate } from '../engine.ts'
import { awaitedOf } from './partitions/ownership.ts'
import { blameVersion } from './rollout/rollout.ts'
import type { Draft, Seated } from './state/draft.ts'
import { noticeOf, reportOf } from './state/reports.ts'
import type { FunctionState, LastExit, Seat, Slot, Task } from './state/state.ts'
import { timings } from './state/timings.ts'
import { saveStatus } from './status.ts'

/** What the end of a seat means for its slot. */
type Verdict = 'wanted' | 'failed' | 'nobodysFault'

const reasonOfCode = new Map<number, string>(
  (Object.keys(exitCodes) as ExitReason[]).map((reason) => [exitCodes[reason], reason]),
)
/** Ends of a packed runner that say nothing about its instances. */
const blameless: ReadonlySet<string> = new Set<ExitReason>([
  'drained',
  'superseded',
  'unassigned',
  'disconnected',
])

/** Ends a task and all its seats. */
export function endTask(draft: Draft, task: Task, update: TaskUpdate): void {
  const exit = exitOf(task, update, draft.nowMs)
  const culprit = task.culprit ?? task.beat?.exit?.instance
  const isLost = update.condition === 'lost'
  const neverRan = update.condition === 'dropped' || (isLost && task.runningSinceMs === undefined)
  const all = draft.seated(task)
  for (const seated of all) {
    const { slot, seat } = seated
    const verdict = isLost ? verdictOfLoss(slot) : verdictOf(task, slot, seat, exit, culprit)
    endSeat(draft, task, seated, exit, neverRan ? 'nobodysFault' : verdict, neverRan)
    if (isLost) fence(seated)
  }
  draft.removeTask(task)
  conclude(draft, all)
  draft.act({ kind: 'removeTask', taskId: task.document.taskId })
}

function verdictOf(task: Task, slot: Slot, seat: Seat, exit: LastExit, culprit: string | undefined): Verdict {
  const mine = culprit === seat.document.instance
  if (slot.phase === 'draining' && (task.fault === undefined || (culprit !== undefined && !mine)))
    return 'wanted'
  if (task.document.group === undefined || mine) return 'failed'
  if (culprit !== undefined) return 'nobodysFault'
  return task.fault === undefined && blameless.has(exit.reason) ? 'nobodysFault' : 'failed'
}

/** A machine that goes is no fault of what ran on it. */
function verdictOfLoss(slot: Slot): Verdict {
  return slot.phase === 'draining' ? 'wanted' : 'nobodysFault'
}

/** It may live and come back: whoever takes its shares fences it off, and nobody before. */
function fence({ fn, slot, seat }: Seated): void {
  const { epoch, shares } = seat.document
  const others = fn.fences.filter(({ index }) => index !== slot.index)
  const had = [...shares, ...awaitedOf(seat).map(({ share }) => share)]
  fn.fences = [...others, { index: slot.index, epoch: epoch + 1, shares: had }]
}

/** A packed instance has ended by itself, and its runner goes on. */
export function endFailed(draft: Draft, task: Task, seated: Seated, exit: ExitReport): void {
  const lastExit = { code: exit.code, reason: exit.reason, message: exit.message, atMs: draft.nowMs }
  task.leaving = [...task.leaving, seated.seat.document.instance]
  // It says that it had left before: a leader that died knew it, and this one not.
  const isWanted = seated.slot.phase === 'draining' || exit.reason === 'drained'
  endSeat(draft, task, seated, lastExit, isWanted ? 'wanted' : 'failed')
  conclude(draft, [seated])
}

/** A packed instance was asked to go and has. */
export function endReleased(draft: Draft, task: Task, seated: Seated): void {
  const message = seated.slot.why ?? 'it was asked to'
  endSeat(draft, task, seated, { code: 0, reason: 'drained', message, atMs: draft.nowMs }, 'wanted')
  conclude(draft, [seated])
}

/** What follows from the ends is written down first, then that they have ended: until then a new leader would ask again. */
function conclude(draft: Draft, ended: readonly Seated[]): void {
  for (const fn of new Set(ended.map((seated) => seated.fn))) saveStatus(draft, fn, true)
  for (const { seat } of ended) draft.act({ kind: 'removeSeat', instance: seat.document.instance })
}

function endSeat(
  draft: Draft,
  task: Task,
  { fn, slot, seat }: Seated,
  exit: LastExit,
  verdict: Verdict,
  neverRan = false,
): void {
  const { taskId, function: name, index, firstEpoch, epoch } = seat.document
  const said = { report: reportOf(task, seat), notice: noticeOf(task, seat) }
  fn.closing.push({ taskId, index, firstEpoch, epoch, endedAtMs: draft.nowMs, ...said })
  draft.wakeAt(fn.name, draft.nowMs + timings.closingMs)
  // What it took to start is no work.
  const workedMs = slot.phase === 'running' ? draft.nowMs - slot.sinceMs : 0
  slot.lastExit = exit
  delete slot.seat
  task.seats = task.seats.filter((ref) => ref.function !== name || ref.index !== index)
  if (verdict === 'wanted') draft.enter(slot, 'waiting')
  else if (neverRan) pause(draft, fn, slot, timings.droppedPauseMs, exit.message)
  else if (verdict === 'nobodysFault')
    pause(draft, fn, slot, restMs(timings.backoffBaseMs, workedMs), `its runner ended: ${exit.message}`)
  else afterFailure(draft, fn, slot, seat, exit, workedMs)
  const { code, reason, message } = exit
  const { instance, version } = seat.document
  const how = `ended: ${reason}${code === undefined ? '' : ` (exit ${code})`}, ${message}`
  const about = {
    ...{ function: name, instance, version },
    said: verdict === 'wanted' ? how : `${how}; ${nextOf(draft, slot)}`,
  }
  const level = verdict === 'wanted' ? 'info' : 'warn'
  draft.act({ kind: 'log', level, message: `${instance} ${how}`, task: taskId, about })
}

function nextOf(draft: Draft, { phase, untilMs = draft.nowMs }: Slot): string {
  if (phase === 'crashLooping') return 'it is not started again'
  const restMs = phase === 'backingOff' ? untilMs - draft.nowMs : 0
  return `it is started again${restMs > 0 ? ` in ${(restMs / 1000).toFixed(1)} s` : ''}`
}

/** One that had ended works again, here or elsewhere. */
export function tellOfReturn(draft: Draft, task: Task, { slot, seat }: Seated): void {
  if (slot.lastExit === undefined) return
  const { function: name, instance, version, taskId } = seat.document
  const said = `works again, on ${task.document.hostname}`
  const about = { function: name, instance, version, said }
  draft.act({ kind: 'log', level: 'info', message: `${instance} ${said}`, task: taskId, about })
}

function afterFailure(
  draft: Draft,
  fn: FunctionState,
  slot: Slot,
  seat: Seat,
  exit: LastExit,
  workedMs: number,
): void {
  // Each such end has used up an attempt at its record: it cannot go on for ever, and says nothing against the others.
  if (exit.reason === 'recordBroke') return pause(draft, fn, slot, timings.recordPauseMs, exit.message)
  const version = draft.versionAt(fn.name, slot.index)
  const ranMs = seat.runningSinceMs === undefined ? 0 : draft.nowMs - seat.runningSinceMs
  if (ranMs >= timings.forgiveMs) slot.restarts = 0
  slot.restarts += 1
  slot.restartsVersion = seat.document.version
  blameVersion(slot, seat, exit)
  const allowed = version?.manifest.restarts ?? 0
  if (version?.version === seat.document.version && slot.restarts > allowed) {
    draft.enter(
      slot,
      'crashLooping',
      `it failed ${slot.restarts} times in a row, last: ${exit.message}; deploy again or kill it with --restart`,
    )
    return
  }
  const delayMs = backoffMs(slot.restarts - 1, timings.backoffBaseMs, timings.backoffMaxMs, draft.random())
  pause(draft, fn, slot, restMs(delayMs, workedMs), `${exit.reason}: ${exit.message}`)
}

/** What is left of a back-off after that much work. */
function restMs(delayMs: number, workedMs: number): number {
  return Math.max(0, delayMs - workedMs * timings.workedCounts)
}

function pause(draft: Draft, fn: FunctionState, slot: Slot, delayMs: number, why: string): void {
  if (delayMs === 0) return draft.enter(slot, 'waiting')
  draft.enter(slot, 'backingOff', why)
  slot.untilMs = draft.nowMs + delayMs
  draft.wakeAt(fn.name, slot.untilMs)
}

/** How a task ended: the runner's own last words where they were heard, else what the cluster knows. */
export function exitOf(task: Pick<Task, 'beat' | 'fault'>, update: TaskUpdate, nowMs: number): LastExit {
  const said = task.beat?.exit
  const code = update.exitCode ?? said?.code
  return {
    code,
    reason: task.fault === undefined ? reasonOf(update, code) : 'silent',
    message: said?.message ?? task.fault ?? spoken(update.message),
    atMs: nowMs,
  }
}

function reasonOf(update: TaskUpdate, code: number | undefined): string {
  if (update.exceeded !== undefined) return update.exceeded
  if (code === undefined) return update.condition
  return reasonOfCode.get(code) ?? (code > 128 ? `signal ${code - 128}` : `exit ${code}`)
}

/**
 * A runner that could not say over NATS why it ended has said it on its stderr, as JSON; where the cluster engine passes that on, it
 * stands behind the engine's own words.
 */
function spoken(message: string): string {
  const json = /: (\{"exit":.*\})$/s.exec(message)?.[1]
  if (json === undefined) return message
  try {
    const { exit } = JSON.parse(json) as { exit?: { message?: unknown } }
    return typeof exit?.message === 'string' ? exit.message : message
  } catch {
    return message
  }
}
