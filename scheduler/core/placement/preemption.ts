/**
 * Pre-emption: who gives way when the cluster is full and something more important waits. Pure.
 *
 *  PE1. Only who is strictly less important gives way.
 *  PE2. All of one agent, and none of them could stay: without any one of them the room would not do.
 *  PE3. Of all agents the one is taken where the least important give way, then the fewest.
 * Design: docs/design/0021-placement.md
 * @module
 */
import type { Resources } from '../../engine.ts'
import type { Census } from './census.ts'
import { forbidden, type Request } from './placement.ts'
import { fits, minus, plus } from './resources.ts'
import type { Place } from './want.ts'

/** An agent, and what it was seen to have left. */
export interface Ground extends Place {
  readonly free: Resources
  readonly tenants: readonly Tenant[]
}

/** A runner that might give way. */
export interface Tenant {
  readonly taskId: string
  /** Of the most important of its instances. */
  readonly priority: number
  readonly resources: Resources
}

/** Who is to go, so that the request has room; undefined if there is no such agent, or one has room as it is. */
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

/** Undefined if all of them would not do. */
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
  // The most important first: whoever is not needed after all stays.
  for (const tenant of [...going].reverse()) {
    const without = minus(room, tenant.resources)
    if (going.length === 1 || !fits(request.resources, without)) continue
    going.splice(going.indexOf(tenant), 1)
    room = without
  }
  return going
}

const order = (a: Tenant, b: Tenant) => (a.taskId < b.taskId ? -1 : 1)
