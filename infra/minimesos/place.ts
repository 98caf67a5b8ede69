/**
 * Place: what only the leading master has: the lock of the state folder, the agents in it, and the right to answer requests.
 * @module
 */
import { mkdirSync, statfsSync } from 'node:fs'
import { availableParallelism, hostname, totalmem } from 'node:os'
import type { Logger } from 'pino'
import { CodedError } from '../../sdk/errors.ts'
import type { Clock } from '../clock.ts'
import type { AgentOptions } from './agent/index.ts'
import { agentDir, Fleet } from './fleet.ts'
import { Master, type masterInfo } from './master/index.ts'
import type { AgentSpec, MinimesosOptions } from './options.ts'
import { lockState } from './state-lock.ts'
import {
  add,
  contains,
  format,
  nameOf,
  parseAttributes,
  parseReserved,
  type Range,
  type Resources,
  rekey,
  resources,
  subtract,
} from './wire/index.ts'

/** The ports that agents offer; several agents on a machine offer different ones. */
const offeredPorts = { begin: 31_000, end: 32_000 }
/** The share of the machine's memory that agents offer by default. */
export const memShare = 0.75

export interface PlaceOptions extends MinimesosOptions {
  readonly clock: Clock
  readonly log: Logger
}

export class Place {
  readonly fleet = new Fleet()
  readonly #options: PlaceOptions
  #info: ReturnType<typeof masterInfo> | undefined
  #agents: readonly (readonly [string, AgentOptions])[] = []
  #master: Master | undefined
  #unlock: (() => void) | undefined

  constructor(options: PlaceOptions) {
    this.#options = options
  }

  /** Undefined before it leads, and after. */
  get master(): Master | undefined {
    return this.#master
  }

  /** Checks the options at the start. @throws {CodedError} ERR_BAD_OPTION */
  prepare(info: ReturnType<typeof masterInfo>): void {
    this.#info = info
    const specs = this.#options.agents ?? [undefined]
    this.#agents = specs.map((spec, index) => [
      spec?.name ?? 'agent',
      this.#agentOptions(spec, portsOf(index, specs.length), `127.0.0.1:${info.port}`),
    ])
  }

  /**
   * Takes over the folder and the tasks in it.
   * @throws {CodedError} ERR_STATE_IN_USE: the earlier leader is still there.
   */
  lead(): void {
    const { stateDir, clock, log, offerTimeoutMs, agentTimeoutMs, credentials } = this.#options
    this.#unlock = lockState(stateDir)
    for (const [name, options] of this.#agents) {
      mkdirSync(options.stateDir, { recursive: true, mode: 0o700 })
      this.fleet.add(name, options)
    }
    this.#master = new Master({
      ...{ info: this.#info!, stateDir, agents: this.fleet.agents, clock, log },
      ...(offerTimeoutMs === undefined ? {} : { offerTimeoutMs }),
      ...(agentTimeoutMs === undefined ? {} : { agentTimeoutMs }),
      ...(credentials === undefined ? {} : { principal: credentials.principal }),
    })
    this.fleet.serve(this.#master)
  }

  /** Its tasks live on. */
  leave(): void {
    this.#master?.close()
    this.#master = undefined
    this.fleet.close()
    this.#unlock?.()
    this.#unlock = undefined
  }

  #agentOptions(spec: AgentSpec | undefined, ports: Range, endpoint: string): AgentOptions {
    const { stateDir, clock, log, ...options } = this.#options
    return {
      stateDir: spec === undefined ? stateDir : agentDir(stateDir, spec.name),
      hostname: spec?.name ?? options.hostname ?? hostname(),
      attributes: parseAttributes(spec?.attributes ?? options.attributes ?? ''),
      total: offered({ ...this.#options, ...spec }, ports),
      ...{ endpoint, clock, log },
    }
  }
}

/** The share of one of several agents. */
function portsOf(index: number, agents: number): Range {
  const { begin, end } = offeredPorts
  const each = Math.floor((end - begin + 1) / agents)
  return { begin: begin + index * each, end: index === agents - 1 ? end : begin + (index + 1) * each - 1 }
}

function offered(options: MinimesosOptions, ports: Range): Resources {
  const { bavail, bsize } = statfsSync(options.stateDir)
  // Inside a container its memory limit counts.
  const memBytes = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY)
  const all = resources({
    ports: [ports],
    cpus: options.cpus ?? availableParallelism(),
    mem: options.memMib ?? Math.floor((memBytes * memShare) / 2 ** 20),
    disk: options.diskMib ?? Math.floor((bavail * bsize) / 2 ** 20),
  })
  const reserved = parseReserved(options.reserved ?? '')
  const kept = rekey(reserved, nameOf)
  if (contains(all, kept)) return add(subtract(all, kept), reserved)
  throw new CodedError(
    'ERR_BAD_OPTION',
    `Cannot reserve '${options.reserved}': the agent has ${format(all, '*')}`,
  )
}
