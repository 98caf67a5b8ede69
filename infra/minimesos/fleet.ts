/**
 * Fleet: the agents of one minimesos, each a machine of its own to the master: it can lose power, be cut off from the
 * master while its tasks go on, and come back.
 *
 *   F1. `kill` ends all processes of an agent's tasks; the tasks stay on disk, and are reported as ended when the agent is back.
 *   F2. No message passes between a master and an agent that is cut off or down; a new master finds it in the same condition.
 * @module
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Agent, type AgentOptions } from './agent/index.ts'
import { type AgentCondition, readCondition, writeCondition } from './condition-file.ts'
import type { Master } from './master/index.ts'

export type { AgentCondition } from './condition-file.ts'
export const agentOrders = ['kill', 'cut', 'start'] as const
export type AgentOrder = (typeof agentOrders)[number]

export interface AgentSeen {
  readonly name: string
  readonly id: string
  readonly condition: AgentCondition
  readonly attributes: readonly unknown[]
  readonly tasks: readonly string[]
}

interface Machine {
  readonly name: string
  readonly options: AgentOptions
  agent: Agent
  condition: AgentCondition
}

export class Fleet {
  readonly #machines = new Map<string, Machine>()
  #master: Master | undefined

  add(name: string, options: AgentOptions): void {
    const condition = readCondition(options.stateDir)
    this.#machines.set(name, { name, options, agent: new Agent(options), condition })
  }

  get agents(): readonly Agent[] {
    return [...this.#machines.values()].map((machine) => machine.agent)
  }

  /** Connects the fleet to a master, which then knows all agents and receives the messages of those that are up. */
  serve(master: Master): void {
    this.#master = master
    for (const { agent, condition } of this.#machines.values()) {
      if (condition !== 'up') master.disconnect(agent)
      if (condition === 'down') agent.close()
    }
  }

  list(): readonly AgentSeen[] {
    return [...this.#machines.values()].map(({ name, agent, condition }) => ({
      name,
      id: agent.id,
      condition,
      attributes: agent.attributes,
      tasks: condition === 'down' ? [] : agent.tasks().flatMap((task) => (task.ended ? [] : [task.id])),
    }))
  }

  /** @returns The agent's new condition; undefined if there is none of that name. */
  order(name: string, order: AgentOrder): AgentCondition | undefined {
    const machine = this.#machines.get(name)
    if (machine === undefined) return undefined
    if (order === 'kill') this.#kill(machine)
    else if (order === 'cut') this.#cut(machine)
    else this.#start(machine)
    return machine.condition
  }

  close(): void {
    for (const { agent } of this.#machines.values()) agent.close()
  }

  #kill(machine: Machine): void {
    if (machine.condition === 'down') return
    become(machine, 'down')
    machine.agent.crash()
    this.#master?.disconnect(machine.agent)
  }

  #cut(machine: Machine): void {
    if (machine.condition !== 'up') return
    become(machine, 'cut')
    this.#master?.disconnect(machine.agent)
  }

  #start(machine: Machine): void {
    if (machine.condition === 'up') return
    if (machine.condition === 'down') machine.agent = new Agent(machine.options)
    become(machine, 'up')
    this.#master?.connect(machine.agent)
  }
}

function become(machine: Machine, condition: AgentCondition): void {
  machine.condition = condition
  writeCondition(machine.options.stateDir, condition)
}

/** Marks all agents of a state folder that no master uses as up. */
export function powerOn(stateDir: string): void {
  for (const dir of agentDirs(stateDir)) writeCondition(dir, 'up')
}

/** The folders that agents keep their state in: that of the only one, and those of several. */
export function agentDirs(stateDir: string): string[] {
  const parent = join(stateDir, 'agents')
  try {
    return [stateDir, ...readdirSync(parent).map((name) => join(parent, name))]
  } catch {
    return [stateDir]
  }
}

export const agentDir = (stateDir: string, name: string): string => join(stateDir, 'agents', name)
