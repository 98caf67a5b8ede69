/**
 * OfferedResources: the resources of the offers at hand as the master described them: amounts by role and
 * reservation. The scheduler counts sums, but a task must request resources exactly as they were offered.
 *
 *   L1. Resources reserved to our role are counted, and used first: nobody else can have them.
 *   L2. Volumes, revocable, shared and unreadable resources are not used.
 *   L3. Amounts are counted in thousandths, as the master does.
 *   L4. The scheduler counts ports; this module chooses them, lowest first, each for one task.
 * @module
 */
import * as z from 'zod'
import type { LaunchOrder, Offer, Resources } from '../engine.ts'

interface Allotted {
  readonly name: string
  readonly allocation_info: { readonly role: string }
  readonly reservations?: readonly unknown[]
}
export type WireResource = Allotted &
  (
    | { readonly type: 'SCALAR'; readonly scalar: { readonly value: number } }
    | { readonly type: 'RANGES'; readonly ranges: { readonly range: readonly Range[] } }
  )

/** Both ends are included. */
interface Range {
  readonly begin: number
  readonly end: number
}

interface ScalarResource {
  readonly name: string
  readonly reservations: readonly unknown[]
  milli: number
}

interface PortResource {
  readonly reservations: readonly unknown[]
  ranges: Range[]
}

interface Held {
  readonly role: string
  readonly scalars: readonly ScalarResource[]
  readonly ports: readonly PortResource[]
}

const id = z.object({ value: z.string().min(1) })

/** L2 */
const ours = {
  reservations: z.array(z.unknown()).default([]),
  disk: z.undefined().optional(),
  revocable: z.undefined().optional(),
  shared: z.undefined().optional(),
}
const resourceSchema = z.object({
  name: z.string(),
  scalar: z.object({ value: z.number().nonnegative() }),
  ...ours,
})

const rangeSchema = z.object({ begin: z.number(), end: z.number() })
const portsSchema = z.object({
  name: z.literal('ports'),
  ranges: z.object({ range: z.array(rangeSchema) }),
  ...ours,
})

const attributeSchema = z.object({
  name: z.string(),
  text: z.object({ value: z.string() }).optional(),
  scalar: z.object({ value: z.number() }).optional(),
  ranges: z.object({ range: z.array(rangeSchema) }).optional(),
  set: z.object({ item: z.array(z.string()) }).optional(),
})

const offerSchema = z.object({
  id,
  agent_id: id,
  hostname: z.string().min(1),
  resources: z.array(z.unknown()).default([]),
  attributes: z.array(z.unknown()).default([]),
  allocation_info: z.object({ role: z.string() }).optional(),
})

const names = { cpus: 'cpus', mem: 'memMib', disk: 'diskMib' } as const
type Name = keyof typeof names
const isName = (name: string): name is Name => name in names

export class OfferedResources {
  /** The role of offers that do not name one. */
  readonly #role: string
  readonly #held = new Map<string, Held>()

  constructor(role: string) {
    this.#role = role
  }

  /** Reads and keeps an offer. @throws {Error} That names the missing or wrong field */
  take(offered: unknown): Offer {
    const parsed = offerSchema.safeParse(offered)
    if (!parsed.success) {
      const [issue] = parsed.error.issues
      throw new Error(`${issue?.path.join('.')}: ${issue?.message}`)
    }
    const { id, agent_id, hostname, resources, attributes, allocation_info } = parsed.data
    const role = allocation_info?.role ?? this.#role
    const scalars = resources.flatMap(scalarsOf)
    const ports = resources.flatMap(portsOf)
    this.#held.set(id.value, { role, scalars, ports })
    return {
      id: id.value,
      agentId: agent_id.value,
      hostname,
      pool: role,
      attributes: Object.fromEntries(attributes.flatMap(attributeOf)),
      resources: { ...sumOf(scalars), ...countOf(ports) },
    }
  }

  /** Cuts the orders' resources from the offers, which are used up. */
  cut(offerIds: readonly string[], orders: readonly LaunchOrder[]): WireResource[][] {
    const held = offerIds.flatMap((offerId) => this.#held.get(offerId) ?? [])
    const role = held[0]?.role ?? this.#role
    const scalars = held.flatMap((offer) => offer.scalars).sort(reservedFirst)
    const ports = held.flatMap((offer) => offer.ports).sort(reservedFirst)
    this.drop(offerIds)
    return orders.map(({ resources }) => [
      ...(Object.keys(names) as Name[]).flatMap((name) =>
        cutOne(scalars, name, resources[names[name]], role),
      ),
      ...cutPorts(ports, resources.ports ?? 0, role),
    ])
  }

  drop(offerIds: readonly string[]): void {
    for (const offerId of offerIds) this.#held.delete(offerId)
  }

  /** Forgets all offers: the connection has ended. */
  clear(): void {
    this.#held.clear()
  }
}

function scalarsOf(resource: unknown): ScalarResource[] {
  const parsed = resourceSchema.safeParse(resource)
  if (!parsed.success || !isName(parsed.data.name)) return [] // L2
  const { name, scalar, reservations } = parsed.data
  return [{ name, reservations, milli: Math.round(scalar.value * 1000) }]
}

function portsOf(resource: unknown): PortResource[] {
  const parsed = portsSchema.safeParse(resource)
  return parsed.success ? [{ reservations: parsed.data.reservations, ranges: parsed.data.ranges.range }] : []
}

/** L1 */
function reservedFirst(
  a: Pick<ScalarResource, 'reservations'>,
  b: Pick<ScalarResource, 'reservations'>,
): number {
  return b.reservations.length - a.reservations.length
}

/** Attributes as text: numbers, ranges and sets as on an agent's command line. */
function attributeOf(attribute: unknown): [string, string][] {
  const parsed = attributeSchema.safeParse(attribute)
  if (!parsed.success) return []
  const { name, text, scalar, ranges, set } = parsed.data
  if (text !== undefined) return [[name, text.value]]
  if (scalar !== undefined) return [[name, String(scalar.value)]]
  if (ranges !== undefined) return [[name, `[${ranges.range.map((r) => `${r.begin}-${r.end}`).join(',')}]`]]
  return set === undefined ? [] : [[name, `{${set.item.join(',')}}`]]
}

function sumOf(scalars: readonly ScalarResource[]): Resources {
  const of = (name: Name) =>
    scalars.reduce((sum, scalar) => sum + (scalar.name === name ? scalar.milli : 0), 0) / 1000
  return { cpus: of('cpus'), memMib: of('mem'), diskMib: of('disk') }
}

function countOf(offered: readonly PortResource[]): { ports?: number } {
  const ports = offered
    .flatMap(({ ranges }) => ranges)
    .reduce((sum, { begin, end }) => sum + end - begin + 1, 0)
  return ports === 0 ? {} : { ports }
}

/** The ports among a task's resources. */
export function portsIn(resources: readonly WireResource[]): number[] {
  const ranges = resources.flatMap((each) => (each.type === 'RANGES' ? each.ranges.range : []))
  return ranges.flatMap(({ begin, end }) => Array.from({ length: end - begin + 1 }, (_, i) => begin + i))
}

/** Cuts ports (L4). If there are too few, it requests unoffered numbers, and the master refuses. */
function cutPorts(offered: readonly PortResource[], count: number, role: string): WireResource[] {
  const cuts: WireResource[] = []
  let need = count
  const add = (range: readonly Range[], reservations: readonly unknown[]) => {
    if (range.length === 0) return
    const reserved = reservations.length === 0 ? {} : { reservations }
    cuts.push({ name: 'ports', type: 'RANGES', ranges: { range }, allocation_info: { role }, ...reserved })
  }
  for (const resource of offered) {
    const taken: Range[] = []
    resource.ranges = resource.ranges.flatMap(({ begin, end }) => {
      const take = Math.min(need, end - begin + 1)
      if (take > 0) taken.push({ begin, end: begin + take - 1 })
      need -= take
      return begin + take > end ? [] : [{ begin: begin + take, end }]
    })
    add(taken, resource.reservations)
  }
  if (need > 0) add([{ begin: 0, end: need - 1 }], [])
  return cuts
}

/**
 * Cuts an amount from the resources in order. If there is too little, it requests the rest anyway, and the master
 * refuses.
 */
function cutOne(
  scalars: readonly ScalarResource[],
  name: Name,
  amount: number,
  role: string,
): WireResource[] {
  let need = Math.round(amount * 1000)
  const cuts: WireResource[] = []
  const add = (milli: number, reservations: readonly unknown[]) => {
    if (milli <= 0) return
    const scalar = { value: milli / 1000 }
    const reserved = reservations.length === 0 ? {} : { reservations }
    cuts.push({ name, type: 'SCALAR', scalar, allocation_info: { role }, ...reserved })
    need -= milli
  }
  for (const scalar of scalars) {
    if (scalar.name !== name) continue
    const milli = Math.min(need, scalar.milli)
    scalar.milli -= Math.max(0, milli)
    add(milli, scalar.reservations)
  }
  add(need, [])
  return cuts
}
