/**
 * Endings: what follows when a task has ended. Wanted: its seat waits for the next. Unwanted: back-off, and after too
 * many in a row a stop.
 * @module
 */
import { type ExitReason, exitCodes } from '../../infra/control/messages.ts'
import { backoffMs } from '../backoff.ts'
import type { TaskUpdate } from '../engine.ts'
import { type Draft, nameOf } from './draft.ts'
import type { FunctionState, LastExit, Slot, Task } from './state.ts'
import { saveStatus } from './status.ts'
import { timings } from './timings.ts'

const reasonOfCode = new Map<number, string>(
  (Object.keys(exitCodes) as ExitReason[]).map((reason) => [exitCodes[reason], reason]),
)

/** Empties the seat and decides what comes next. The document goes last: until then a new leader would ask again. */
export function endTask(draft: Draft, fn: FunctionState, slot: Slot, task: Task, update: TaskUpdate): void {
  const { taskId } = task.document
  fn.closing.push({
    taskId,
    index: slot.index,
    endedAtMs: draft.nowMs,
    ...(task.beat === undefined ? {} : { beat: task.beat }),
  })
  draft.wakeAt(draft.nowMs + timings.closingMs)
  slot.lastExit = exitOf(task, update, draft.nowMs)
  delete slot.task
  const wanted = slot.phase === 'draining' && task.fault === undefined
  if (wanted) draft.enter(slot, 'waiting')
  else if (neverRan(task, update)) pause(draft, slot, timings.droppedPauseMs, slot.lastExit.message)
  else afterFailure(draft, fn, slot, task, slot.lastExit)
  const { code, reason, message } = slot.lastExit
  const text = `${nameOf(fn, slot)} ended: ${reason}${code === undefined ? '' : ` (exit ${code})`}, ${message}`
  draft.act({ kind: 'log', level: wanted ? 'info' : 'warn', message: text, task: taskId })
  saveStatus(draft, fn, true)
  draft.act({ kind: 'removeTask', taskId })
}

function afterFailure(draft: Draft, fn: FunctionState, slot: Slot, task: Task, exit: LastExit): void {
  const version = draft.wantedVersion(fn.name)
  const ranMs = task.runningSinceMs === undefined ? 0 : draft.nowMs - task.runningSinceMs
  if (ranMs >= timings.forgiveMs) slot.restarts = 0
  slot.restarts += 1
  slot.restartsVersion = task.document.version
  const allowed = version?.manifest.restarts ?? 0
  if (version?.version === task.document.version && slot.restarts > allowed) {
    draft.enter(
      slot,
      'crashLooping',
      `it failed ${slot.restarts} times in a row, last: ${exit.message}; deploy again or kill it with --restart`,
    )
    return
  }
  const delayMs = backoffMs(slot.restarts - 1, timings.backoffBaseMs, timings.backoffMaxMs, draft.random())
  pause(draft, slot, delayMs, `${exit.reason}: ${exit.message}`)
}

/** A launch that came to nothing: its offer was stale, or the connection broke before it was heard. */
function neverRan(task: Task, update: TaskUpdate): boolean {
  return update.condition === 'dropped' || (update.condition === 'lost' && task.runningSinceMs === undefined)
}

function pause(draft: Draft, slot: Slot, delayMs: number, why: string): void {
  draft.enter(slot, 'backingOff', why)
  slot.untilMs = draft.nowMs + delayMs
  draft.wakeAt(slot.untilMs)
}

/** How a task ended: the runner's own last words where they were heard, else what the cluster knows. */
export function exitOf(task: Pick<Task, 'beat' | 'fault'>, update: TaskUpdate, nowMs: number): LastExit {
  const said = task.beat?.exit
  const code = update.exitCode ?? said?.code
  return {
    code,
    reason: task.fault === undefined ? reasonOf(update, code) : 'silent',
    message: said?.message ?? task.fault ?? update.message,
    atMs: nowMs,
  }
}

function reasonOf(update: TaskUpdate, code: number | undefined): string {
  if (update.exceeded !== undefined) return update.exceeded
  if (code === undefined) return update.condition
  return reasonOfCode.get(code) ?? (code > 128 ? `signal ${code - 128}` : `exit ${code}`)
}
