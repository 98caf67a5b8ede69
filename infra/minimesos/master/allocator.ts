/**
 * Allocator: decides which framework is offered which resources. Knows the agents, the outstanding offers, and what
 * was refused.
 *
 *   O1. An offer holds everything free on an agent, for one role of one framework; nothing is offered twice.
 *   O2. Refused resources are not offered to the same role of the same framework until the filter ends, unless more
 *       has become free.
 *   O3. The framework and role with the smallest dominant share comes first.
 *   O4. A plain decline holds for at least `declineMinMs`; otherwise a framework that refuses for 0 s would spin.
 * @module
 */
import type { Clock } from '../../clock.ts'
import type { Agent } from '../agent/index.ts'
import { availableTo, contains, has, type Resources, scalar, subtract, sum } from '../wire/index.ts'
import type { Framework } from './framework.ts'
import { afterLong } from './long-timer.ts'

const refuseSecondsDefault = 5
const refuseSecondsMax = 365 * 86_400
const declineMinMs = 500
/** Mesos's min_allocatable_resources. */
const offerMin = { cpus: 0.01, memMib: 32 }

export interface Offer {
  readonly id: string
  readonly framework: Framework
  readonly agent: Agent
  readonly role: string
  readonly resources: Resources
}

interface Filter {
  readonly framework: Framework
  readonly agent: Agent
  readonly role: string
  readonly refused: Resources
  readonly cancel: () => void
}

export interface AllocatorOptions {
  /** Those of which something may be offered. */
  readonly agents: () => readonly Agent[]
  readonly frameworks: () => Iterable<Framework>
  readonly offerIdPrefix: string
  readonly clock: Clock
  /** New offers, of one framework. */
  readonly offered: (framework: Framework, offers: readonly Offer[]) => void
}

export class Allocator {
  readonly #options: AllocatorOptions
  readonly #offers = new Map<string, Offer>()
  readonly #filters = new Set<Filter>()
  #offerCount = 0
  #scheduled: NodeJS.Immediate | undefined

  constructor(options: AllocatorOptions) {
    this.#options = options
  }

  offers(framework: Framework): readonly Offer[] {
    return [...this.#offers.values()].filter((offer) => offer.framework === framework)
  }

  /** Ends an offer and answers it; undefined if it is not, or no longer, this framework's. */
  take(framework: Framework, offerId: string): Offer | undefined {
    const offer = this.#offers.get(offerId)
    if (offer?.framework !== framework) return undefined
    this.#offers.delete(offerId)
    this.allocateSoon()
    return offer
  }

  /** Filters the rest of an offer, so that it does not come back at once. */
  refuse(offer: Offer, left: Resources, refuseSeconds: number | undefined, minMs = declineMinMs): void {
    const asked = refuseSeconds === undefined || refuseSeconds < 0 ? refuseSecondsDefault : refuseSeconds
    const durationMs = Math.max(minMs, Math.min(asked, refuseSecondsMax) * 1000)
    if (durationMs === 0 || left.size === 0) return
    const filter: Filter = {
      framework: offer.framework,
      agent: offer.agent,
      role: offer.role,
      refused: left,
      cancel: afterLong(this.#options.clock, durationMs, () => {
        this.#filters.delete(filter)
        this.allocateSoon()
      }),
    }
    this.#filters.add(filter)
  }

  /** Forgets the filters of these roles of a framework. */
  revive(framework: Framework, roles: readonly string[]): void {
    this.#dropFilters((filter) => filter.framework === framework && roles.includes(filter.role))
    this.allocateSoon()
  }

  /** Takes back all that a framework was offered and forgets what it refused. */
  leave(framework: Framework): void {
    for (const offer of this.offers(framework)) this.#offers.delete(offer.id)
    this.#dropFilters((filter) => filter.framework === framework)
    this.allocateSoon()
  }

  /** Takes back and returns the offers of an agent that is gone. */
  leaveAgent(agent: Agent): readonly Offer[] {
    this.#dropFilters((filter) => filter.agent === agent)
    return this.takeBack(agent)
  }

  /** Takes back what is offered of an agent, and answers that. */
  takeBack(agent: Agent): readonly Offer[] {
    const offers = [...this.#offers.values()].filter((offer) => offer.agent === agent)
    for (const offer of offers) this.#offers.delete(offer.id)
    return offers
  }

  /** Offers free resources once the current work is done. */
  allocateSoon(): void {
    this.#scheduled ??= setImmediate(() => {
      this.#scheduled = undefined
      this.#allocate()
    })
  }

  close(): void {
    clearImmediate(this.#scheduled)
    this.#dropFilters(() => true)
  }

  #allocate(): void {
    const made = new Map<Framework, Offer[]>()
    for (const agent of this.#options.agents()) {
      let free = this.free(agent)
      for (const { framework, role } of tooLittle(free) ? [] : this.#takers()) {
        const part = availableTo(free, role, !has(framework.info, 'RESERVATION_REFINEMENT'))
        if (tooLittle(part) || this.#filtered(framework, role, agent, part)) continue
        const id = `${this.#options.offerIdPrefix}-O${this.#offerCount++}`
        const offer = { id, agent, resources: part, framework, role }
        this.#offers.set(id, offer)
        made.set(framework, [...(made.get(framework) ?? []), offer])
        free = subtract(free, part)
      }
    }
    for (const [framework, offers] of made) this.#options.offered(framework, offers)
  }

  /** Neither held nor offered. */
  free(agent: Agent): Resources {
    const offered = [...this.#offers.values()].filter((offer) => offer.agent === agent)
    return subtract(agent.total, sum([agent.held, ...offered.map((offer) => offer.resources)]))
  }

  #takers(): { readonly framework: Framework; readonly role: string }[] {
    return [...this.#options.frameworks()]
      .flatMap((framework) => framework.activeRoles.map((role) => ({ framework, role })))
      .map((taker) => ({ taker, share: this.#dominantShare(taker.framework, taker.role) }))
      .sort((a, b) => a.share - b.share)
      .map(({ taker }) => taker)
  }

  #dominantShare(framework: Framework, role: string): number {
    const agents = this.#options.agents()
    const total = sum(agents.map((agent) => agent.total))
    const tasks = agents
      .flatMap((agent) => agent.tasks(framework.id))
      .filter((task) => task.record.role === role)
    const offers = this.offers(framework).filter((offer) => offer.role === role)
    const held = sum([...tasks.map((task) => task.held), ...offers.map((offer) => offer.resources)])
    return Math.max(
      ...['cpus', 'mem'].map((name) => scalar(held, name) / Math.max(scalar(total, name), 0.001)),
    )
  }

  #filtered(framework: Framework, role: string, agent: Agent, free: Resources): boolean {
    return [...this.#filters].some(
      (f) => f.framework === framework && f.role === role && f.agent === agent && contains(f.refused, free),
    )
  }

  #dropFilters(which: (filter: Filter) => boolean): void {
    for (const filter of [...this.#filters].filter(which)) {
      filter.cancel()
      this.#filters.delete(filter)
    }
  }
}

const tooLittle = (all: Resources): boolean =>
  scalar(all, 'cpus') < offerMin.cpus && scalar(all, 'mem') < offerMin.memMib
