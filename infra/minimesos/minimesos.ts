/**
 * minimesos: a Mesos master and its agents, one or several, in one process, on loopback, for one machine.
 *
 * It speaks the v1 scheduler API as a real master does, so that the scheduler has one way to talk to a cluster. Tasks
 * are child processes that outlive it.
 * @module
 */
import { mkdirSync, statfsSync } from 'node:fs'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { availableParallelism, hostname, totalmem } from 'node:os'
import { resolve } from 'node:path'
import { type Logger, pino } from 'pino'
import { CodedError } from '../../sdk/errors.ts'
import { type Clock, systemClock } from '../clock.ts'
import { joinMasters, type Membership, parseMastersUrl } from '../masters/index.ts'
import { agentDir, Fleet } from './fleet.ts'
import { type Credentials, createMasterServer, Master } from './master/index.ts'
import { lockState } from './state-lock.ts'
import {
  add,
  contains,
  format,
  nameOf,
  parseAttributes,
  parseReserved,
  type Range,
  rekey,
  resources,
  subtract,
} from './wire/index.ts'

/** The ports that an agent offers. Those of one machine offer different ones. */
const offeredPorts = { begin: 31_000, end: 32_000 }
/** Of the machine's memory, what agents offer unless told otherwise. */
export const memShare = 0.75

export interface MinimesosOptions {
  /** 0: any free one. */
  readonly port: number
  readonly stateDir: string
  /** Absent: whoever reaches the port may run commands. */
  readonly credentials?: Credentials
  /** Several agents, each with a name of its own. Absent: one, as the options below say. */
  readonly agents?: readonly AgentSpec[]
  /** How long an agent may be silent before the master calls it unreachable; default 75 s. */
  readonly agentTimeoutMs?: number
  /** What the agent offers; by default all cpus, 75 % of the memory and the free disk. */
  readonly cpus?: number
  readonly memMib?: number
  readonly diskMib?: number
  readonly hostname?: string
  /** `rack:r1;zone:z-a` */
  readonly attributes?: string
  /** Of that, what is reserved for roles: `cpus(web):2;mem(web):1024` */
  readonly reserved?: string
  /** Offers not answered by then are rescinded. Absent: never. */
  readonly offerTimeoutMs?: number
  /** Where it says that it is a master: `zk://host,host/mesos`. Absent: nowhere. */
  readonly zookeeper?: string
  readonly clock?: Clock
  readonly log?: Logger
}

/** One of several agents; what is not said is as the options say. */
export interface AgentSpec {
  /** Of its folder, and its hostname. */
  readonly name: string
  readonly cpus?: number
  readonly memMib?: number
  readonly diskMib?: number
  readonly attributes?: string
  readonly reserved?: string
}

export interface Minimesos {
  readonly url: string
  readonly fleet: Fleet
  /** Ends it and leaves its tasks alive. */
  close(): Promise<void>
}

/** @throws {CodedError} ERR_PORT_TAKEN, ERR_STATE_IN_USE, ERR_BAD_OPTION, ERR_MASTERS_URL */
export async function startMinimesos(options: MinimesosOptions): Promise<Minimesos> {
  const { clock = systemClock, log = pino({ level: 'silent' }) } = options
  const stateDir = resolve(options.stateDir)
  mkdirSync(stateDir, { recursive: true, mode: 0o700 })
  const unlock = lockState(stateDir)
  const masters = options.zookeeper === undefined ? undefined : parseMastersUrl(options.zookeeper)
  let master: Master | undefined
  let membership: Membership | undefined
  const fleet = new Fleet()
  const server = createMasterServer({
    master: () => master,
    fleet,
    clock,
    ...(options.credentials === undefined ? {} : { credentials: options.credentials }),
  })
  const close = async (): Promise<void> => {
    await membership?.leave()
    master?.close()
    fleet.close()
    await stop(server)
    unlock()
  }
  try {
    const port = await listen(server, options.port)
    const specs = options.agents ?? [undefined]
    for (const [index, spec] of specs.entries()) {
      const dir = spec === undefined ? stateDir : agentDir(stateDir, spec.name)
      mkdirSync(dir, { recursive: true, mode: 0o700 })
      fleet.add(spec?.name ?? 'agent', {
        stateDir: dir,
        hostname: spec?.name ?? options.hostname ?? hostname(),
        attributes: parseAttributes(spec?.attributes ?? options.attributes ?? ''),
        total: offered({ ...options, ...spec }, stateDir, portsOf(index, specs.length)),
        endpoint: `127.0.0.1:${port}`,
        clock,
        log,
      })
    }
    const { offerTimeoutMs, agentTimeoutMs } = options
    const timeouts = {
      ...(offerTimeoutMs === undefined ? {} : { offerTimeoutMs }),
      ...(agentTimeoutMs === undefined ? {} : { agentTimeoutMs }),
    }
    const principal = options.credentials && { principal: options.credentials.principal }
    master = new Master({ stateDir, agents: fleet.agents, port, clock, log, ...timeouts, ...principal })
    fleet.serve(master)
    if (masters !== undefined)
      membership = joinMasters({ at: masters, info: master.info, log: { warn: (text) => log.warn(text) } })
    await membership?.joined
    return { url: `http://127.0.0.1:${port}`, fleet, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** The share of one of several agents. */
function portsOf(index: number, agents: number): Range {
  const { begin, end } = offeredPorts
  const each = Math.floor((end - begin + 1) / agents)
  return { begin: begin + index * each, end: index === agents - 1 ? end : begin + (index + 1) * each - 1 }
}

function offered(options: MinimesosOptions, stateDir: string, ports: Range): ReturnType<typeof resources> {
  const { bavail, bsize } = statfsSync(stateDir)
  // Inside a container the bound of the container is what there is.
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

function listen(server: Server, port: number): Promise<number> {
  return new Promise((done, fail) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      fail(error.code === 'EADDRINUSE' ? portTaken(port, error) : error)
    })
    server.listen(port, '127.0.0.1', () => done((server.address() as AddressInfo).port))
  })
}

const portTaken = (port: number, cause: Error): CodedError =>
  new CodedError(
    'ERR_PORT_TAKEN',
    `Cannot listen on 127.0.0.1:${port}: another process does; stop it or give --port another number`,
    { cause },
  )

/** As when a master dies: the streams' sockets close without a zero chunk. */
function stop(server: Server): Promise<void> {
  return new Promise((done) => {
    server.close(() => done())
    server.closeAllConnections()
  })
}
