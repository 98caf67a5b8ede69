/**
 * Victims: which runners give way when the cluster is full and something more important waits. Pure.
 *
 *   PE1. Only strictly less important runners give way.
 *   PE2. All of them are on one agent, and each is needed: without any one of them the room would not suffice.
 *   PE3. Among the agents, the one is chosen whose runners are least important, then the one where the fewest give
 *        way.
 * Design: docs/design/0021-placement.md
 * @module
 */
import type { Resources } from '../../engine.ts'
import type { Place } from '../state/state.ts'
import type { Census } from './census.ts'
import { forbidden, type Request } from './placement.ts'
import { fits, minus, plus } from './resources.ts'

/** An agent, with the resources that it last had free. */
export interface AgentTasks extends Place {
  readonly free: Resources
  readonly tasks: readonly RunningTask[]
}

/** A runner that might give way. */
export interface RunningTask {
  readonly taskId: string
  /** The priority of its most important instance. */
  readonly priority: number
  readonly resources: Resources
}

/**
 * The runners that give way so that the request has room. Undefined if no agent can make room, or if one has room
 * already.
 */
export function chooseVictims(
  request: Request,
  agents: readonly AgentTasks[],
  census: Census,
): { readonly place: Place; readonly victims: readonly RunningTask[] } | undefined {
  let best:
    | { readonly place: Place; readonly victims: readonly RunningTask[]; readonly priority: number }
    | undefined
  for (const agent of agents) {
    if (forbidden(request, agent, census) !== undefined) continue
    if (fits(request.resources, agent.free)) return undefined // its offer is on its way
    const victims = victimsOn(request, agent)
    if (victims === undefined) continue
    const priority = Math.max(...victims.map((task) => task.priority))
    if (
      best === undefined ||
      priority < best.priority ||
      (priority === best.priority && victims.length < best.victims.length)
    )
      best = { place: agent, victims, priority }
  }
  return best
}

/** The runners on one agent that give way; undefined if even all of them would not free enough. */
function victimsOn(
  request: Request,
  { free: freeNow, tasks }: AgentTasks,
): readonly RunningTask[] | undefined {
  const victims: RunningTask[] = []
  let free = freeNow
  const byWeight = tasks
    .filter((task) => task.priority < request.priority)
    .sort((a, b) => a.priority - b.priority || b.resources.cpus - a.resources.cpus || order(a, b))
  for (const task of byWeight) {
    if (fits(request.resources, free)) break
    victims.push(task)
    free = plus(free, task.resources)
  }
  if (!fits(request.resources, free)) return undefined
  // Spare those that are not needed after all, the most important first.
  for (const task of [...victims].reverse()) {
    const without = minus(free, task.resources)
    if (victims.length === 1 || !fits(request.resources, without)) continue
    victims.splice(victims.indexOf(task), 1)
    free = without
  }
  return victims
}

const order = (a: RunningTask, b: RunningTask) => (a.taskId < b.taskId ? -1 : 1)
