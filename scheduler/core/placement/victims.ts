/**
 * Victims: which runners give way when the cluster is full and something more important waits. Pure.
 *
 *   PE1. Only strictly less important runners give way.
 *   PE2. All of them are on one agent, and each is needed: without any one of them the room there, or what is left of
 *        the quota, would not suffice.
 *   PE3. Among the agents, the one is chosen whose runners are least important, then the one where the fewest give
 *        way.
 * Design: docs/design/0021-placement.md
 * @module
 */
import type { Resources } from '../../engine.ts'
import type { Place } from '../state/state.ts'
import type { Census } from './census.ts'
import { beyondBudget, forbidden, type Request } from './placement.ts'
import { fits, minus, noResources, plus } from './resources.ts'

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
 * @param budget The rest of the quota; if absent, there is none. What gives way frees it too.
 */
export function chooseVictims(
  request: Request,
  agents: readonly AgentTasks[],
  census: Census,
  budget?: Partial<Resources>,
): { readonly place: Place; readonly victims: readonly RunningTask[] } | undefined {
  let best:
    | { readonly place: Place; readonly victims: readonly RunningTask[]; readonly priority: number }
    | undefined
  for (const agent of agents) {
    if (forbidden(request, agent, census) !== undefined) continue
    const isEnough = (freed: Resources): boolean =>
      fits(request.resources, plus(agent.free, freed)) &&
      beyondBudget(minus(request.resources, freed), budget) === undefined
    if (isEnough(noResources)) return undefined // its offer is on its way
    const victims = victimsOn(agent, request.priority, isEnough)
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
  { tasks }: AgentTasks,
  priority: number,
  isEnough: (freed: Resources) => boolean,
): readonly RunningTask[] | undefined {
  const victims: RunningTask[] = []
  let freed = noResources
  const byWeight = tasks
    .filter((task) => task.priority < priority)
    .sort((a, b) => a.priority - b.priority || b.resources.cpus - a.resources.cpus || order(a, b))
  for (const task of byWeight) {
    if (isEnough(freed)) break
    victims.push(task)
    freed = plus(freed, task.resources)
  }
  if (!isEnough(freed)) return undefined
  // Spare those that are not needed after all, the most important first.
  for (const task of [...victims].reverse()) {
    const without = minus(freed, task.resources)
    if (!isEnough(without)) continue
    victims.splice(victims.indexOf(task), 1)
    freed = without
  }
  return victims
}

const order = (a: RunningTask, b: RunningTask) => (a.taskId < b.taskId ? -1 : 1)
