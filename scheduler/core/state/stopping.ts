/**
 * Stopping: how an instance or a runner is ended. Whatever decides it, it is done here.
 *
 *   SP1. An instance is asked to drain first: in a runner of its own by the cluster's kill, in a shared runner by being
 *        left out of the next assignment.
 *   SP2. A kill is repeated each `killAgainMs` until the end is known (watching.ts), and in each connection as soon as the master knows the
 *        task's agent (known-agents.ts).
 * @module
 */
import { type Draft, ownerOf } from './draft.ts'
import { isUnheard } from './reports.ts'
import type { Slot, Task } from './state.ts'
import { timings } from './timings.ts'

/** Stops an instance (SP1). */
export function drain(draft: Draft, slot: Slot, task: Task, why: string): void {
  draft.enter(slot, 'draining', why)
  draft.act({
    kind: 'log',
    level: 'info',
    message: `${slot.seat?.document.instance} is stopped: ${why}`,
    task: task.document.taskId,
  })
  if (task.document.group === undefined) kill(draft, task)
  else draft.wakeAt(ownerOf(task), draft.nowMs + timings.releaseMs)
}

/** Kills a task that misbehaves; this counts as its failure. */
export function blame(draft: Draft, task: Task, fault: string): void {
  task.fault = fault
  draft.act({
    kind: 'log',
    level: 'warn',
    message: `a runner is killed: ${fault}`,
    task: task.document.taskId,
  })
  for (const { slot } of draft.seated(task))
    if (slot.phase !== 'draining') draft.enter(slot, 'draining', fault)
  kill(draft, task)
}

/** Kills a task. May be repeated (SP2). */
export function kill(draft: Draft, task: Task): void {
  task.killedAtMs = draft.nowMs
  draft.wakeAt(ownerOf(task), draft.nowMs + timings.killAgainMs)
  const { taskId, agentId } = task.document
  // A runner that was never heard never got an assignment, so there is nothing to drain.
  draft.act({ kind: 'kill', taskId, agentId, ...(isUnheard(task) && { atOnce: true as const }) })
}
