/**
 * Census: what runs where, counted by agent and by value of an attribute, for placement.
 * @module
 */
import type { Resources } from '../../engine.ts'
import type { Place } from '../state/state.ts'
import { noResources, plus } from './resources.ts'
import type { Want } from './want.ts'

/** A runner and its agent. */
export interface Resident extends Place {
  /** What is spread over the agents: a function, or a group's runners. */
  readonly spread: string
  readonly instances: readonly Pick<Want, 'function' | 'count'>[]
  readonly resources: Resources
}

export class Census {
  readonly #residents: Iterable<Resident>
  #counted = false
  readonly #spread = new Map<string, Map<string, number>>()
  readonly #functions = new Map<string, Map<string, number>>()
  readonly #places = new Map<string, Place>()
  readonly #all: Resident[] = []
  /** By agent: resources in use. Computed on first use: only a request that finds no room needs it. */
  #taken: Map<string, Resources> | undefined
  /** By function, attribute and value: instances. Computed on first use. */
  readonly #values = new Map<string, Map<string, Map<string, number>>>()

  /** @param residents Read on first use, not before. */
  constructor(residents: Iterable<Resident>) {
    this.#residents = residents
  }

  add(resident: Resident): void {
    this.#count()
    this.#add(resident)
  }

  /** How many runners of a `spread` are on an agent. */
  spread(agentId: string, spread: string): number {
    this.#count()
    return this.#spread.get(agentId)?.get(spread) ?? 0
  }

  /** The resources that the runners on an agent use. */
  taken(agentId: string): Resources {
    this.#count()
    if (this.#taken === undefined) {
      this.#taken = new Map()
      for (const resident of this.#all) take(this.#taken, resident)
    }
    return this.#taken.get(agentId) ?? noResources
  }

  /** Those of the functions that run on an agent. */
  present(agentId: string, functions: readonly string[]): string[] {
    this.#count()
    const here = this.#functions.get(agentId)
    return here === undefined ? [] : functions.filter((name) => here.has(name))
  }

  /** How many instances of a function are on agents with this value of an attribute. */
  withValue(functionName: string, attribute: string, value: string | undefined): number {
    this.#count()
    const byAttribute = this.#values.get(functionName) ?? new Map<string, Map<string, number>>()
    this.#values.set(functionName, byAttribute)
    let values = byAttribute.get(attribute)
    if (values === undefined) {
      values = new Map()
      for (const [agentId, functions] of this.#functions)
        addTo(values, this.#valueAt(agentId, attribute), functions.get(functionName) ?? 0)
      byAttribute.set(attribute, values)
    }
    return values.get(value ?? '') ?? 0
  }

  #count(): void {
    if (this.#counted) return
    this.#counted = true
    for (const resident of this.#residents) this.#add(resident)
  }

  #add(resident: Resident): void {
    const { agentId, spread, instances } = resident
    this.#places.set(agentId, resident)
    this.#all.push(resident)
    if (this.#taken !== undefined) take(this.#taken, resident)
    addTo(mapIn(this.#spread, agentId), spread, 1)
    for (const instance of instances) {
      addTo(mapIn(this.#functions, agentId), instance.function, instance.count)
      for (const [attribute, values] of this.#values.get(instance.function) ?? [])
        addTo(values, this.#valueAt(agentId, attribute), instance.count)
    }
  }

  #valueAt(agentId: string, attribute: string): string {
    return attributeOf(this.#places.get(agentId) as Place, attribute) ?? ''
  }
}

/** An agent's attribute. `hostname` counts as one. */
export function attributeOf(place: Place, attribute: string): string | undefined {
  return attribute === 'hostname' ? place.hostname : place.attributes[attribute]
}

function take(taken: Map<string, Resources>, { agentId, resources }: Resident): void {
  taken.set(agentId, plus(taken.get(agentId) ?? noResources, resources))
}

function mapIn(maps: Map<string, Map<string, number>>, key: string): Map<string, number> {
  const found = maps.get(key) ?? new Map<string, number>()
  maps.set(key, found)
  return found
}

function addTo(counts: Map<string, number>, what: string, by: number): void {
  counts.set(what, (counts.get(what) ?? 0) + by)
}
