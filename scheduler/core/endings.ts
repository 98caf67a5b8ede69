/**
 * Endings: what happens to a slot when its seat has ended, alone or with its task. After a wanted end the slot waits
 * for its next seat. After a failure it backs off, and after too many failures in a row it stops.
 *
 *   EN1. If an instance caused its task to end, only that instance is counted as failed, not the others in the
 *        runner. If the cause is unknown, each is counted: its next runner then has fewer instances (packs.ts).
 *        A launch that came to nothing counts for none of them (FA1 of failed-agents.ts).
 *   EN2. A back-off is reduced by the time that the instance worked, times `workedCounts`. So an instance that ran
 *        well returns at once, however often it is killed; one that fails while starting waits.
 * @module
 */
import { type ExitReason, exitCodes } from '../../infra/control/messages/exit-codes.ts'
import type { ExitReport } from '../../infra/control/messages/heartbeat.ts'
import { backoffMs } from '../backoff.ts'
import type { TaskUpdate } from '../engine.ts'
import { addAccounts } from './accounts.ts'
import { isGone, whoIsGone } from './gone.ts'
import { countOff } from './instances/slots.ts'
import { awaitedOf } from './partitions/ownership.ts'
import { blameVersion } from './rollout/rollout.ts'
import type { Draft, Seated } from './state/draft.ts'
import { noteFailedLaunch } from './state/failed-agents.ts'
import type { Verdict } from './state/protocol.ts'
import { isUnheard, noticeOf, reportOf } from './state/reports.ts'
import {
  type FunctionState,
  instanceId,
  type LastExit,
  type Seat,
  type Slot,
  type State,
  type Task,
} from './state/state.ts'
import { timings } from './state/timings.ts'
import { saveStatus } from './status.ts'

/** What has ended a task. */
type Cause =
  /** It came to nothing: no code of a function can have run (FA1 of failed-agents.ts). */
  | 'launch'
  /** Its machine is lost or being drained, or an earlier leader had asked for the end. */
  | 'others'
  | 'runner'

const reasonOfCode = new Map<number, string>(
  (Object.keys(exitCodes) as ExitReason[]).map((reason) => [exitCodes[reason], reason]),
)
/** Reasons for which a packed runner ends that say nothing against its instances. */
const blameless: ReadonlySet<string> = new Set<ExitReason>(['superseded', 'unassigned', 'disconnected'])

/** Reasons of a runner that has stored its state and told its last counts before it ended. */
const orderly: ReadonlySet<string> = new Set<ExitReason>([
  ...(['drained', 'functionFailed', 'initFailed', 'bundle', 'recordBroke'] as const),
  ...(['superseded', 'unassigned', 'checkpoint', 'configuration'] as const),
])

/** The instances that have ended since then and not in order, each with the reason: `score-1 (signal 9)`. */
export function disorderlyEnds({ functions }: Pick<State, 'functions'>, sinceMs: number): string[] {
  return [...functions.values()].flatMap(({ name, slots }) =>
    slots.flatMap(({ index, lastExit }) =>
      lastExit === undefined || lastExit.atMs < sinceMs || orderly.has(lastExit.reason)
        ? []
        : [`${instanceId(name, index)} (${lastExit.reason})`],
    ),
  )
}

/** Whether an instance has ended of which no last word has come, so that what it left behind is known only as an upper bound. */
export function isUnsaid({ functions }: Pick<State, 'functions'>): boolean {
  return [...functions.values()].some((fn) => whoIsGone(fn).length > 0)
}

/**
 * Records that ended instances have sent, and that nobody is known to have processed. What grows while everything is drained has
 * been given up by that.
 * @param open Whether accounts count of which more may be heard; without them before, and with them after, no loss is missed.
 */
export function leftBehind({ functions }: Pick<State, 'functions'>, open = true): number {
  const accounts = [...functions.values()].map(({ ended, closing }) =>
    closing.filter((last) => open || !isGone(last)).reduce((sum, last) => addAccounts(sum, last), ended),
  )
  const rows = accounts.flatMap(({ outputs }) => outputs)
  return rows.reduce((sum, { sent, acked, dropped }) => sum + sent - acked + (dropped['undelivered'] ?? 0), 0)
}

/** Ends a task and all its seats. */
export function endTask(draft: Draft, task: Task, update: TaskUpdate): void {
  const exit = exitOf(task, update, draft.nowMs)
  const cause = causeOf(task, update, exit)
  const all = draft.seated(task)
  if (cause === 'launch' && isOfAgent(draft, task, update) && !all.every(({ slot }) => isStopped(task, slot)))
    noteFailedLaunch(draft, task)
  for (const seated of all) {
    endSeat(draft, task, seated, exit, verdictOf(cause, task, seated, exit))
    if (update.condition === 'lost') fence(seated)
  }
  draft.removeTask(task)
  removeSeats(draft, all)
  draft.act({ kind: 'removeTask', taskId: task.document.taskId })
}

function causeOf(task: Task, { condition, agentDrains }: TaskUpdate, { reason }: LastExit): Cause {
  // Exit code 0 of a runner that was never told anything is not the end of a drain.
  const isDrained = reason === 'drained' && task.fault === undefined && !isUnheard(task)
  if (agentDrains === true || isDrained) return 'others'
  if (condition === 'lost') return task.runningSinceMs === undefined ? 'launch' : 'others'
  if (condition === 'dropped' || condition === 'notStarted') return 'launch'
  // A runner that breaks its limits before its first heartbeat was given too little: it would do so elsewhere too.
  const isUnfit = reason === 'memory' || reason === 'disk'
  return condition === 'exited' && isUnheard(task) && !isUnfit ? 'launch' : 'runner'
}

/** Whether the agent has failed in the launch. A stale offer, its loss, or a bus that was away is no fault of it. */
function isOfAgent({ state }: Draft, { document }: Task, { condition }: TaskUpdate): boolean {
  const wasBusUp = state.busUp && state.busSinceMs <= document.launchedAtMs
  return condition === 'notStarted' || (condition === 'exited' && wasBusUp)
}

/** The instance was asked to end, and not for a fault of its runner. */
function isStopped(task: Task, slot: Slot): boolean {
  return slot.phase === 'draining' && task.fault === undefined
}

function verdictOf(cause: Cause, task: Task, { slot, seat }: Seated, exit: LastExit): Verdict {
  if (cause === 'launch') return isStopped(task, slot) ? 'calledOff' : 'neverRan'
  if (cause === 'others') return slot.phase === 'draining' ? 'wanted' : 'nobodysFault'
  const culprit = task.culprit ?? task.beat?.exit?.instance
  const mine = culprit === seat.document.instance
  if (isStopped(task, slot) || (slot.phase === 'draining' && culprit !== undefined && !mine)) return 'wanted'
  if (task.document.group === undefined || mine) return 'failed'
  if (culprit !== undefined) return 'nobodysFault'
  return task.fault === undefined && blameless.has(exit.reason) ? 'nobodysFault' : 'failed'
}

/**
 * A lost instance may still be alive and reconnect. The owner that takes its shares must fence it off; until then
 * nobody does.
 */
function fence({ fn, slot, seat }: Seated): void {
  const { epoch, shares } = seat.document
  const others = fn.fences.filter(({ index }) => index !== slot.index)
  const had = [...shares, ...awaitedOf(seat).map(({ share }) => share)]
  fn.fences = [...others, { index: slot.index, epoch: epoch + 1, shares: had }]
}

/** Ends one packed instance that failed; its runner continues. */
export function endFailed(draft: Draft, task: Task, seated: Seated, exit: ExitReport): void {
  const lastExit = { code: exit.code, reason: exit.reason, message: exit.message, atMs: draft.nowMs }
  task.leaving = [...task.leaving, seated.seat.document.instance]
  // The runner repeats that the instance had drained: an earlier leader knew this, and this leader does not.
  const isWanted = seated.slot.phase === 'draining' || exit.reason === 'drained'
  endSeat(draft, task, seated, lastExit, isWanted ? 'wanted' : 'failed')
  removeSeats(draft, [seated])
}

/** Ends one packed instance that was asked to leave its runner and has. */
export function endReleased(draft: Draft, task: Task, seated: Seated): void {
  const message = seated.slot.why ?? 'it was asked to'
  endSeat(draft, task, seated, { code: 0, reason: 'drained', message, atMs: draft.nowMs }, 'wanted')
  removeSeats(draft, [seated])
}

/**
 * Writes the new status before it removes the seats: a leader that takes over in between still finds the seats and
 * repeats this.
 */
function removeSeats(draft: Draft, ended: readonly Seated[]): void {
  for (const fn of new Set(ended.map((seated) => seated.fn))) saveStatus(draft, fn, true)
  for (const { seat } of ended) draft.act({ kind: 'removeSeat', instance: seat.document.instance })
}

function endSeat(
  draft: Draft,
  task: Task,
  { fn, slot, seat }: Seated,
  exit: LastExit,
  verdict: Verdict,
): void {
  const { taskId, function: name, index, firstEpoch, epoch } = seat.document
  const reports = { report: reportOf(task, seat), notice: noticeOf(task, seat) }
  fn.closing.push({ taskId, index, firstEpoch, epoch, endedAtMs: draft.nowMs, ...reports })
  draft.wakeAt(fn.name, draft.nowMs + timings.closingMs)
  // Starting is not work: only time in `running` reduces a back-off (EN2).
  const workedMs = slot.phase === 'running' ? draft.nowMs - slot.sinceMs : 0
  if (verdict !== 'calledOff') slot.lastExit = exit
  countOff(draft, fn, slot)
  delete slot.seat
  task.seats = task.seats.filter((ref) => ref.function !== name || ref.index !== index)
  const isWanted = verdict === 'wanted' || verdict === 'calledOff'
  if (isWanted) draft.enter(slot, 'waiting')
  else if (verdict === 'neverRan') afterFailedLaunch(draft, fn, slot, task, exit)
  else if (verdict === 'nobodysFault')
    pause(draft, fn, slot, restMs(timings.backoffBaseMs, workedMs), `its runner ended: ${exit.message}`)
  else afterFailure(draft, fn, slot, seat, exit, workedMs)
  const { code, reason, message } = exit
  const { instance, version } = seat.document
  const how = `ended: ${reason}${code === undefined ? '' : ` (exit ${code})`}, ${message}`
  const about = {
    ...{ function: name, instance, version },
    said: isWanted ? how : `${how}; ${nextOf(draft, slot)}`,
  }
  const level = isWanted ? 'info' : 'warn'
  const end = { function: name, reason, verdict }
  draft.act({ kind: 'log', level, message: `${instance} ${how}`, task: taskId, about, end })
}

function nextOf(draft: Draft, { phase, untilMs = draft.nowMs }: Slot): string {
  if (phase === 'crashLooping') return 'it is not started again'
  const restMs = phase === 'backingOff' ? untilMs - draft.nowMs : 0
  return `it is started again${restMs > 0 ? ` in ${(restMs / 1000).toFixed(1)} s` : ''}`
}

/** Logs that an instance that had ended works again, in the same place or elsewhere. */
export function logReturn(draft: Draft, task: Task, { slot, seat }: Seated): void {
  if (slot.lastExit === undefined) return
  const { function: name, instance, version, taskId } = seat.document
  const text = `works again, on ${task.document.hostname}`
  const about = { function: name, instance, version, said: text }
  draft.act({ kind: 'log', level: 'info', message: `${instance} ${text}`, task: taskId, about })
}

function afterFailure(
  draft: Draft,
  fn: FunctionState,
  slot: Slot,
  seat: Seat,
  exit: LastExit,
  workedMs: number,
): void {
  // Each such end has used up one attempt at its record, so this cannot repeat for ever. It does not count towards
  // crash looping: the instance's other records are fine.
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

function afterFailedLaunch(draft: Draft, fn: FunctionState, slot: Slot, task: Task, exit: LastExit): void {
  const before = slot.failedLaunches ?? 0
  slot.failedLaunches = before + 1
  const delayMs = backoffMs(before, timings.failedLaunchBaseMs, timings.backoffMaxMs, draft.random())
  pause(draft, fn, slot, delayMs, `it was not started on ${task.document.hostname}: ${exit.message}`)
}

/** The rest of a back-off after `workedMs` of work (EN2). */
function restMs(delayMs: number, workedMs: number): number {
  return Math.max(0, delayMs - workedMs * timings.workedCounts)
}

function pause(draft: Draft, fn: FunctionState, slot: Slot, delayMs: number, why: string): void {
  if (delayMs === 0) return draft.enter(slot, 'waiting')
  draft.enter(slot, 'backingOff', why)
  slot.untilMs = draft.nowMs + delayMs
  draft.wakeAt(fn.name, slot.untilMs)
}

/** How a task ended: by the runner's own last report if it arrived, else by what the cluster says. */
export function exitOf(task: Pick<Task, 'beat' | 'fault'>, update: TaskUpdate, nowMs: number): LastExit {
  const reported = task.beat?.exit
  const code = update.exitCode ?? reported?.code
  return {
    code,
    reason: task.fault === undefined ? reasonOf(update, code) : 'silent',
    message: reported?.message ?? task.fault ?? spoken(update.message),
    atMs: nowMs,
  }
}

function reasonOf(update: TaskUpdate, code: number | undefined): string {
  if (update.exceeded !== undefined) return update.exceeded
  if (code === undefined) return update.condition
  return reasonOfCode.get(code) ?? (code > 128 ? `signal ${code - 128}` : `exit ${code}`)
}

/**
 * The runner's own reason, if the message contains one. A runner that cannot reach NATS writes its reason to stderr
 * as JSON; some cluster engines append stderr to their own message.
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
