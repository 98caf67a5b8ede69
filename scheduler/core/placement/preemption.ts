/**
 * Preemption: drains less important runners for a request that has waited long enough (victims.ts says which).
 *
 *   MR1. It has waited `makeRoomMs` since offers were asked for: there may be room that was not offered yet.
 *   MR2. Nobody gives way on an agent where a runner is ending already: that may be room enough.
 *   MR3. Nobody gives way for what the quota forbids even then, nor for more instances than wait.
 *   MR4. Room is made in the order in which it is given (`inOrder` of placement.ts). What becomes free meanwhile is kept
 *        for the request that it is made for (P5 of placement.ts), so that those who give way do not come back at once.
 * Design: docs/design/0021-placement.md
 * @module
 */
import type { Draft } from '../state/draft.ts'
import type { Task } from '../state/state.ts'
import { drain, kill } from '../state/stopping.ts'
import { timings } from '../state/timings.ts'
import { Census } from './census.ts'
import { agentsSeen, budgetOf, type LaunchRequest, residentsOf } from './launching.ts'
import { beyondBudget, inOrder } from './placement.ts'
import { noResources } from './resources.ts'
import { type AgentTasks, chooseVictims } from './victims.ts'

/** Drains less important runners for a request that has waited long enough. */
export function preempt(draft: Draft, waiting: readonly LaunchRequest[]): void {
  const budget = budgetOf(draft)
  const stack = inOrder(waiting.map(withoutSpareRoom)).reverse()
  for (let request = stack.pop(); request !== undefined; request = stack.pop()) {
    if (request.priority === 0) return
    const slots = request.members.map(({ slot }) => slot)
    if (slots.every(({ role }) => role?.kind === 'replacement')) continue // the instances that they are to replace still work
    const askedMs = Math.max(draft.state.revivedAtMs, ...slots.map((slot) => slot.sinceMs))
    const roomMs = Math.max(0, ...slots.map(({ room }) => room?.untilMs ?? 0))
    const owner = request.members[0]!.fn.name
    if (!draft.isDue(owner, Math.max(askedMs + timings.makeRoomMs, roomMs))) continue // MR1
    const chosen = chooseVictims(request, agentsWithTasks(draft), new Census(residentsOf(draft)), budget)
    if (chosen === undefined) {
      const beyond = beyondBudget(request.resources, budget)
      if (request.smaller !== undefined)
        stack.push(...(request.smaller() as LaunchRequest[]).toReversed()) // fewer instances may find an agent
      else if (beyond !== undefined) for (const slot of slots) slot.why = beyond
      continue
    }
    const { agentId, hostname } = chosen.place
    for (const slot of slots) {
      slot.room = { agentId, untilMs: draft.nowMs + timings.roomComesMs }
      slot.why = `room is made for it on ${hostname}; ${slot.why ?? ''}`
    }
    draft.wakeAt(owner, draft.nowMs + timings.roomComesMs)
    const why = `it makes room for ${request.id}, which is more important`
    for (const { taskId } of chosen.victims) {
      const task = draft.task(taskId) as Task
      for (const { slot } of draft.seated(task)) drain(draft, slot, task, why)
      // A packed runner ends as a whole too: otherwise its instances would join it again.
      if (task.killedAtMs === undefined) kill(draft, task)
    }
  }
}

/** The same instances, in the smallest runner that holds them. */
function withoutSpareRoom(request: LaunchRequest): LaunchRequest {
  let least = request
  while (least.room > least.members.length) least = least.smaller!()[0] as LaunchRequest
  return least
}

/** The agents on which a runner could give way (MR2). */
function agentsWithTasks(draft: Draft): AgentTasks[] {
  const byAgent = Map.groupBy(draft.tasks.values(), (task) => task.document.agentId)
  const seen = agentsSeen(draft)
  const empty = [...seen.values()]
    .filter(({ agentId }) => !byAgent.has(agentId))
    .map((agent) => ({ ...agent, tasks: [] }))
  const lived = [...byAgent].flatMap(([agentId, here]) => {
    if (here.some((task) => isLeaving(draft, task))) return []
    const { hostname, attributes = {} } = here[0]!.document
    const free = seen.get(agentId)?.free ?? noResources
    const tasks = here.map((task) => ({
      taskId: task.document.taskId,
      priority: Math.max(0, ...task.seats.map((seat) => priorityOf(draft, seat.function))),
      resources: task.document.resources,
    }))
    return [{ agentId, hostname, attributes, free, tasks }]
  })
  return [...lived, ...empty]
}

function isLeaving(draft: Draft, task: Readonly<Task>): boolean {
  return task.killedAtMs !== undefined || draft.seated(task).some(({ slot }) => slot.phase === 'draining')
}

function priorityOf(draft: Draft, name: string): number {
  return draft.wantedVersion(name)?.manifest.placement?.priority ?? 0
}
