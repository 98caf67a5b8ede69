/**
 * Pre-emption: which runners give way when the cluster is full and something more important waits. Pure.
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
export interface Ground extends Place {
  readonly free: Resources
  readonly tenants: readonly Tenant[]
}

/** A runner that might give way. */
export interface Tenant {
  readonly taskId: string
  /** The priority of its most important instance. */
  readonly priority: number
  readonly resources: Resources
}

/**
 * The runners that give way so that the request has room. Undefined if no agent can make room, or if one has room
 * already.
 */
export function makeRoom(
  request: Request,
  grounds: readonly Ground[],
  census: Census,
): { readonly place: Place; readonly goes: readonly Tenant[] } | undefined {
  let best: { readonly place: Place; readonly goes: readonly Tenant[]; readonly priority: number } | undefined
  for (const ground of grounds) {
    if (forbidden(request, ground, census) !== undefined) continue
    if (fits(request.resources, ground.free)) return undefined // its offer is on its way
    const goes = whoGoes(request, ground)
    if (goes === undefined) continue
    const priority = Math.max(...goes.map((tenant) => tenant.priority))
    if (
      best === undefined ||
      priority < best.priority ||
      (priority === best.priority && goes.length < best.goes.length)
    )
      best = { place: ground, goes, priority }
  }
  return best
}

/** The runners on one agent that give way; undefined if even all of them would not free enough. */
function whoGoes(request: Request, { free, tenants }: Ground): readonly Tenant[] | undefined {
  const going: Tenant[] = []
  let room = free
  const byWeight = tenants
    .filter((tenant) => tenant.priority < request.priority)
    .sort((a, b) => a.priority - b.priority || b.resources.cpus - a.resources.cpus || order(a, b))
  for (const tenant of byWeight) {
    if (fits(request.resources, room)) break
    going.push(tenant)
    room = plus(room, tenant.resources)
  }
  if (!fits(request.resources, room)) return undefined
  // Spare those that are not needed after all, the most important first.
  for (const tenant of [...going].reverse()) {
    const without = minus(room, tenant.resources)
    if (going.length === 1 || !fits(request.resources, without)) continue
    going.splice(going.indexOf(tenant), 1)
    room = without
  }
  return going
}

const order = (a: Tenant, b: Tenant) => (a.taskId < b.taskId ? -1 : 1)
