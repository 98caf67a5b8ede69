/**
 * Agents: the registered agents, and what the master knows about each.
 *
 * connected → silent (its connection broke; it may be back at once) → unreachable (silent for too long) → connected
 * …; or gone, for good, because an operator said so.
 *
 *   G1. Nothing of an agent that is not connected is offered, and no messages pass in either direction.
 *       Nothing of one that is being drained is offered either, until it is active again; nor after a restart of the
 *       master (registry.ts).
 *   G2. Until an agent is back, its last known tasks count.
 * @module
 */
import type { Clock } from '../../clock.ts'
import type { Agent, Task } from '../agent/index.ts'

export type Reach = 'connected' | 'silent' | 'unreachable' | 'gone'

/** An operator's order to drain an agent. */
export interface Drain {
  /** The bound of its tasks' own grace. */
  readonly graceMaxMs?: number
}

interface Entry {
  agent: Agent
  reach: Reach
  cancelTimeout: () => void
}

export class Agents {
  readonly #clock: Clock
  readonly #timeoutMs: number
  readonly #byId = new Map<string, Entry>()
  /** By agent id: those that are being drained, whether they are there or not. */
  readonly #drains: Map<string, Drain>

  /** @param timeoutMs From the broken connection to `unreachable`. */
  constructor(clock: Clock, timeoutMs: number, drains: ReadonlyMap<string, Drain>) {
    this.#drains = new Map(drains)
    this.#clock = clock
    this.#timeoutMs = timeoutMs
  }

  /** Registers an agent, perhaps again. @returns Its state before. */
  connect(agent: Agent): Reach | undefined {
    const before = this.#byId.get(agent.id)
    before?.cancelTimeout()
    this.#byId.set(agent.id, { agent, reach: 'connected', cancelTimeout: () => {} })
    return before?.reach
  }

  /** Its connection broke. @param lost Called when it has not come back in time. */
  silence(agent: Agent, lost: () => void): void {
    const entry = this.#byId.get(agent.id)
    if (entry?.reach !== 'connected') return
    entry.reach = 'silent'
    entry.cancelTimeout = this.#clock.after(this.#timeoutMs, () => {
      entry.reach = 'unreachable'
      lost()
    })
  }

  markGone(agent: Agent): void {
    const entry = this.#byId.get(agent.id)
    entry?.cancelTimeout()
    if (entry !== undefined) entry.reach = 'gone'
    this.#drains.delete(agent.id)
  }

  drain(agent: Agent, drain: Drain): void {
    this.#drains.set(agent.id, drain)
  }

  reactivate(agent: Agent): void {
    this.#drains.delete(agent.id)
  }

  get drains(): ReadonlyMap<string, Drain> {
    return this.#drains
  }

  close(): void {
    for (const entry of this.#byId.values()) entry.cancelTimeout()
  }

  /** Undefined for an agent that never registered. */
  reach(agentId: string): Reach | undefined {
    return this.#byId.get(agentId)?.reach
  }

  isConnected(agent: Agent): boolean {
    const entry = this.#byId.get(agent.id)
    return entry?.agent === agent && entry.reach === 'connected'
  }

  get all(): readonly Agent[] {
    return [...this.#byId.values()].map((entry) => entry.agent)
  }

  get connected(): readonly Agent[] {
    return this.all.filter((agent) => this.isConnected(agent))
  }

  /** Those of which something may be offered (G1). */
  get offering(): readonly Agent[] {
    return this.connected.filter((agent) => !this.#drains.has(agent.id))
  }

  /** Agents that are connected, or silent for so short a time that the master still counts on them. */
  get registered(): readonly Agent[] {
    return [...this.#byId.values()]
      .filter(({ reach }) => reach === 'connected' || reach === 'silent')
      .map((entry) => entry.agent)
  }

  find(agentId: string): Agent | undefined {
    return this.#byId.get(agentId)?.agent
  }

  tasks(frameworkId: string): readonly Task[] {
    return this.registered.flatMap((agent) => agent.tasks(frameworkId))
  }
}
