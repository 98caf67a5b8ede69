/**
 * Placement: which waiting instance goes to which agent, and why. Pure: the same question has the same answer.
 *
 * Important requests come first, then large ones, so that small ones fill the gaps. A request that fits nowhere is
 * tried smaller. Among the allowed agents, the order of preference is: the agent on which no launch has failed lately;
 * the group (`groupBy`) with the fewest instances of the function; the agent with the fewest (so that the death of a
 * machine costs least); the agent that runs most of the functions it exchanges records with; the tightest fit.
 *
 *   P1. No agent gets more than its offers hold.
 *   P2. Each unplaced request has a reason: its nearest miss. Each placed one has a reason too: what its agent has
 *       over the second best.
 *   P3. What is placed meets every constraint of its function, counting what else is placed.
 *   P4. All that is placed fits the budget.
 *   P5. Where room is being made for a request, nothing after it in the order goes to that agent, or uses up the budget
 *       that it needs.
 * Design: docs/design/0021-placement.md
 * @module
 */
import type { Constraint } from '../../../sdk/manifest/constraint.ts'
import { isLike } from '../../../sdk/manifest/constraint.ts'
import type { Offer, Resources } from '../../engine.ts'
import type { Place } from '../state/state.ts'
import { attributeOf, Census, type Resident } from './census.ts'
import { fits, minus, noResources, plus, sum } from './resources.ts'
import type { Want } from './want.ts'

export interface Request {
  /** Unique among the requests. */
  readonly id: string
  /** What is spread over the agents: a function, or a group's runners. */
  readonly spread: string
  readonly resources: Resources
  readonly priority: number
  readonly wants: readonly Want[]
  /**
   * Requests with the same object differ only in their id: the ranking of agents is computed once for all of them.
   */
  readonly alike?: object
  /** The agent on which room is being made for it. */
  readonly comesOn?: string
  /** What to try instead, if it fits nowhere. */
  readonly smaller?: () => readonly Request[]
}

export interface Placement {
  readonly request: Request
  /** The key of the capacity: its offers can be used together. */
  readonly capacity: string
  readonly place: Place
  readonly why: string
}

export interface PlacementAnswer {
  readonly placed: readonly Placement[]
  /** By request id: why it was not placed. */
  readonly unplaced: ReadonlyMap<string, string>
  /** By agent id: the resources left, in its largest pool. */
  readonly left: ReadonlyMap<string, Resources>
}

/** What the offers of one agent and pool add up to. */
interface Capacity {
  readonly key: string
  readonly place: Place
  /** When the latest launch there failed; 0: it did not. */
  readonly failedAtMs: number
  offers: number
  free: Resources
  /** The request for which room is being made here, and which does not fit yet (P5). */
  keptFor?: string
}

/**
 * Places requests on offers.
 * @param budget The rest of the quota; if absent, everything offered may be used.
 * @param failed By agent id: when the latest launch there failed.
 */
export function place(
  requests: readonly Request[],
  offers: readonly Offer[],
  residents: Iterable<Resident>,
  budget?: Partial<Resources>,
  failed: ReadonlyMap<string, number> = new Map(),
): PlacementAnswer {
  const capacities = [...capacitiesOf(offers, failed).values()]
  const seen = offers.length === 1 ? '1 offer seen' : `${offers.length} offers seen`
  const census = new Census(residents)
  const placed: Placement[] = []
  const unplaced = new Map<string, string>()
  const stack = inOrder(requests).reverse()
  let ranking: Ranking | undefined
  let used = noResources
  /** Of the budget, and for whom (P5). */
  let kept = noResources
  const keptFor: string[] = []
  for (let request = stack.pop(); request !== undefined; request = stack.pop()) {
    const wouldUse = plus(used, request.resources)
    const beyond = beyondBudget(plus(wouldUse, kept), budget)
    if (ranking?.alike === undefined || ranking.alike !== request.alike)
      ranking = new Ranking(request, capacities, census)
    const choice = beyond === undefined ? ranking.choose() : undefined
    if (choice === undefined) {
      if (request.smaller !== undefined) {
        stack.push(...[...request.smaller()].reverse())
        continue
      }
      const isKept = beyond !== undefined && beyondBudget(wouldUse, budget) === undefined
      const short = isKept
        ? `the rest of the quota is kept for ${keptFor.join(', ')}, for which room is made`
        : beyond
      unplaced.set(request.id, short ?? `${seen}${whyNot(request, capacities, census)}`)
      if (request.comesOn === undefined) continue
      kept = plus(kept, request.resources)
      keptFor.push(request.id)
      for (const capacity of capacities)
        if (capacity.place.agentId === request.comesOn) capacity.keptFor ??= request.id
      ranking = undefined
      continue
    }
    const { capacity, why } = choice
    capacity.free = minus(capacity.free, request.resources)
    used = wouldUse
    census.add({
      ...capacity.place,
      spread: request.spread,
      instances: request.wants,
      resources: request.resources,
    })
    ranking.changed(capacity)
    placed.push({ request, capacity: capacity.key, place: capacity.place, why: `${seen}, ${why}` })
  }
  return { placed, unplaced, left: leftOf(capacities) }
}

/** The key of an offer's capacity. Offers with the same key may be used together. */
export function capacityKey({ agentId, pool = '' }: Pick<Offer, 'agentId' | 'pool'>): string {
  return `${agentId} ${pool}`
}

function capacitiesOf(offers: readonly Offer[], failed: ReadonlyMap<string, number>): Map<string, Capacity> {
  const capacities = new Map<string, Capacity>()
  for (const offer of offers) {
    const key = capacityKey(offer)
    const capacity = capacities.get(key)
    const { agentId, hostname, attributes = {}, resources } = offer
    if (capacity === undefined) {
      const failedAtMs = failed.get(agentId) ?? 0
      const place = { agentId, hostname, attributes }
      capacities.set(key, { key, place, failedAtMs, offers: 1, free: resources })
    } else {
      capacity.free = plus(capacity.free, resources)
      capacity.offers += 1
    }
  }
  return capacities
}

/** What several pools of an agent have left cannot be used together. */
function leftOf(capacities: readonly Capacity[]): Map<string, Resources> {
  const left = new Map<string, Resources>()
  for (const { place, free } of capacities) {
    const other = left.get(place.agentId)
    if (other === undefined || isLarger(free, other)) left.set(place.agentId, free)
  }
  return left
}

function isLarger(a: Resources, b: Resources): boolean {
  return a.cpus > b.cpus || (a.cpus === b.cpus && a.memMib > b.memMib)
}

/** The order in which requests get room. */
export function inOrder<R extends Request>(requests: readonly R[]): R[] {
  return [...requests].sort(
    (a, b) =>
      b.priority - a.priority ||
      b.resources.cpus - a.resources.cpus ||
      b.resources.memMib - a.resources.memMib ||
      b.resources.diskMib - a.resources.diskMib ||
      (a.id < b.id ? -1 : 1),
  )
}

/**
 * How good a capacity is for a request; less is better. `failed`: when the latest launch there failed. `group`:
 * instances in its groups. `spread`: runners of the same kind on the agent. `away`: functions it exchanges records with
 * that run elsewhere. `slack`: resources left over.
 */
type Rank = readonly [failed: number, group: number, spread: number, away: number, slack: number]

/** The capacities as ranked for one request, and all requests that are alike. */
class Ranking {
  readonly alike: object | undefined
  readonly #request: Request
  readonly #census: Census
  readonly #capacities: readonly Capacity[]
  readonly #peers: readonly string[]
  /** By capacity; undefined where the request may not go. */
  readonly #ranks: (Rank | undefined)[]

  constructor(request: Request, capacities: readonly Capacity[], census: Census) {
    this.alike = request.alike
    this.#request = request
    this.#census = census
    this.#capacities = capacities
    this.#peers = [...new Set(request.wants.flatMap((want) => want.peers))]
    this.#ranks = capacities.map((capacity) => this.#rankOf(capacity))
  }

  choose(): { readonly capacity: Capacity; readonly why: string } | undefined {
    let [best, second, suit] = [-1, -1, 0]
    for (const [i, rank] of this.#ranks.entries()) {
      if (rank === undefined) continue
      suit += 1
      if (best < 0 || this.#isBetter(i, best)) [best, second] = [i, best]
      else if (second < 0 || this.#isBetter(i, second)) second = i
    }
    const capacity = this.#capacities[best]
    if (capacity === undefined) return undefined
    const { hostname } = capacity.place
    const although = capacity.failedAtMs > 0 ? ', although the latest launch on it failed' : ''
    const why =
      second < 0
        ? `only ${hostname} suits${although}`
        : `${suit} suit: ${hostname} ${this.#spokenFor(best, second)}`
    return { capacity, why }
  }

  /** Updates the ranks after a placement: every capacity with the same values of an attribute is affected. */
  changed(capacity: Capacity): void {
    const attributes = this.#request.wants.flatMap((want) =>
      want.constraints.flatMap(({ kind, attribute }) =>
        kind === 'maxPer' || kind === 'groupBy' ? [attribute] : [],
      ),
    )
    for (const [i, other] of this.#capacities.entries()) {
      const isLike = (name: string) => attributeOf(other.place, name) === attributeOf(capacity.place, name)
      if (other.place.agentId === capacity.place.agentId || attributes.some(isLike))
        this.#ranks[i] = this.#rankOf(other)
    }
  }

  #rankOf({ place, free, failedAtMs, keptFor }: Capacity): Rank | undefined {
    const { wants, spread, resources } = this.#request
    if (keptFor !== undefined) return undefined
    if (!fits(resources, free) || forbidden(this.#request, place, this.#census) !== undefined)
      return undefined
    let group = 0
    for (const want of wants)
      for (const { kind, attribute } of want.constraints)
        if (kind === 'groupBy')
          group += this.#census.withValue(want.function, attribute, attributeOf(place, attribute))
    const present = this.#peers.length === 0 ? 0 : this.#census.present(place.agentId, this.#peers).length
    const away = this.#peers.length - present
    return [failedAtMs, group, this.#census.spread(place.agentId, spread), away, slack(resources, free)]
  }

  #isBetter(a: number, b: number): boolean {
    const [one, other] = [this.#ranks[a] as Rank, this.#ranks[b] as Rank]
    for (let i = 0; i < one.length; i++)
      if (one[i] !== other[i]) return (one[i] as number) < (other[i] as number)
    return (this.#capacities[a] as Capacity).key < (this.#capacities[b] as Capacity).key
  }

  /** The first criterion by which the best capacity beats the second. */
  #spokenFor(best: number, second: number): string {
    const [one, other] = [this.#ranks[best] as Rank, this.#ranks[second] as Rank]
    const first = one.findIndex((rank, i) => rank !== other[i])
    if (first === 0) return one[0] === 0 ? 'has no failed launch lately' : 'has the oldest failed launch'
    if (first === 1) return 'is of the group with the fewest instances'
    if (first === 2) return `runs the fewest of ${this.#request.spread} (${one[2]})`
    if (first === 3) {
      const here = this.#census.present((this.#capacities[best] as Capacity).place.agentId, this.#peers)
      return `runs ${here.slice(0, 3).join(', ')}, with which it exchanges records`
    }
    return first === 4 ? 'is the tightest fit' : 'is the first of equals'
  }
}

/** The share of each resource that would stay free, summed. */
function slack(need: Resources, free: Resources): number {
  const part = (n: number, f: number) => (f === 0 ? 0 : (f - n) / f)
  return part(need.cpus, free.cpus) + part(need.memMib, free.memMib) + part(need.diskMib, free.diskMib)
}

/** The first constraint of a request that an agent does not meet. */
export function forbidden(
  { wants }: Pick<Request, 'wants'>,
  place: Place,
  census: Census,
): Constraint | undefined {
  for (const want of wants) {
    const broken = want.constraints.find((constraint) => !isMet(constraint, want, place, census))
    if (broken !== undefined) return broken
  }
  return undefined
}

function isMet(constraint: Constraint, want: Want, place: Place, census: Census): boolean {
  const value = attributeOf(place, constraint.attribute)
  switch (constraint.kind) {
    case 'is':
      return value === constraint.value
    case 'isNot':
      return value !== constraint.value
    case 'in':
      return value !== undefined && constraint.values.includes(value)
    case 'like':
      return value !== undefined && isLike(value, constraint.pattern)
    case 'maxPer': {
      if (value === undefined) return false
      return census.withValue(want.function, constraint.attribute, value) + want.count <= constraint.max
    }
    case 'groupBy':
      return true
  }
}

const units = { cpus: 'cpus', memMib: 'MiB of memory', diskMib: 'MiB of disk', ports: 'ports' } as const
const kinds = Object.keys(units) as (keyof Resources)[]

/** What of a request exceeds the budget, in words. */
export function beyondBudget(asked: Resources, budget: Partial<Resources> | undefined): string | undefined {
  const beyond = kinds.flatMap((kind) => {
    const most = budget?.[kind]
    const by = most === undefined ? 0 : sum(asked[kind] ?? 0, -most)
    return by > 0 ? [`${by} ${units[kind]}`] : []
  })
  return beyond.length === 0 ? undefined : `the quota of its namespace is short of ${beyond.join(' and ')}`
}

interface Miss {
  readonly text: string
  /** As a share of the resources needed. */
  readonly size: number
}

function missing(need: Resources, free: Resources): Miss | undefined {
  const misses = kinds
    .map((kind) => ({ kind, of: need[kind] ?? 0, has: free[kind] ?? 0 }))
    .map(({ kind, of, has }) => ({ by: sum(of, -has), of, unit: units[kind] }))
    .filter((miss) => miss.by > 0)
  if (misses.length === 0) return undefined
  return {
    text: misses.map((miss) => `${miss.by} ${miss.unit}`).join(' and '),
    size: misses.reduce((size, miss) => size + miss.by / miss.of, 0),
  }
}

/** The resource that no machine has enough of, even when empty: waiting for room would be in vain. */
function beyondAll(need: Resources, machines: readonly Resources[]): string | undefined {
  for (const kind of kinds) {
    const largest = Math.max(0, ...machines.map((machine) => machine[kind] ?? 0))
    if ((need[kind] ?? 0) > largest) return `${need[kind]} ${units[kind]}: the largest has ${largest}`
  }
  return undefined
}

function whyNot(request: Request, capacities: readonly Capacity[], census: Census): string {
  const offersBarred = new Map<string, number>()
  let best: Miss | undefined
  /** By machine that is allowed: its resources, including those in use. */
  const whole = new Map<string, Resources>()
  for (const capacity of capacities) {
    const barrier = forbidden(request, capacity.place, census)
    const kept = capacity.keptFor && `${capacity.keptFor}, for which room is made there`
    const barredBy = barrier === undefined ? kept : `'${barrier.text}'`
    if (barredBy !== undefined)
      offersBarred.set(barredBy, (offersBarred.get(barredBy) ?? 0) + capacity.offers)
    else {
      const { agentId } = capacity.place
      whole.set(agentId, plus(whole.get(agentId) ?? census.taken(agentId), capacity.free))
      const miss = missing(request.resources, capacity.free)
      if (miss !== undefined && (best === undefined || miss.size < best.size)) best = miss
    }
  }
  const barred = [...offersBarred].map(([text, offers]) => `${offers} kept off by ${text}`)
  const never = beyondAll(request.resources, [...whole.values()])
  const others = barred.length > 0 ? ' of the others' : ''
  const lacks =
    never === undefined ? `the best${others} misses ${best?.text}` : `no machine${others} has ${never}`
  return [...barred, ...(best === undefined ? [] : [lacks])].map((reason) => `; ${reason}`).join('')
}
