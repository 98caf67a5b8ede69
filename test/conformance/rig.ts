/**
 * Rig: the cluster that the suite asks: minimesos, or the master that the environment names.
 * @module
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { endTasks, type Minimesos, startMinimesos } from '../../infra/minimesos/index.ts'

export interface Rig {
  readonly url: string
  readonly role: string
  readonly principal?: string
  readonly secret?: string
  /** Of every agent, where they are known beforehand. */
  readonly attributes?: readonly Readonly<Record<string, string>>[]
  /** What is reserved for the role from the start, where that is known beforehand. */
  readonly reservedCpus?: number
  /** As an operator does: reserves so many cores of an agent for a role, or gives them back. */
  readonly reserve?: (
    agentId: string,
    role: string,
    cpus: number,
    kind: 'RESERVE' | 'UNRESERVE',
  ) => Promise<void>
  /** As an operator does: ends all tasks of an agent and takes it out of use, or back into it. */
  readonly drain?: (agentId: string, kind: 'DRAIN' | 'REACTIVATE') => Promise<void>
  /** Breaks the agent's connection, its tasks go on; and brings it back. */
  readonly agent?: { stop(hostname: string): Promise<void>; start(hostname: string): Promise<void> }
  /** Kills the master and starts it again on the same address. */
  readonly restartMaster?: () => Promise<void>
  close(): Promise<void>
}

export function openRig(env: NodeJS.ProcessEnv = process.env): Promise<Rig> {
  const url = env['CONCORD_CONFORMANCE_MASTER']
  return url === undefined || url === '' ? minimesosRig() : Promise.resolve(realRig(url, env))
}

function realRig(url: string, env: NodeJS.ProcessEnv): Rig {
  const said = (name: string) => env[`CONCORD_CONFORMANCE_${name}`] || undefined
  const [principal, secret] = [said('PRINCIPAL'), said('SECRET')]
  const [stop, start, restart] = [said('STOP_AGENT'), said('START_AGENT'), said('RESTART_MASTER')]
  const login = secret === undefined ? {} : { principal: principal ?? '', secret }
  const agent = stop !== undefined && start !== undefined && { stop: shell(stop), start: shell(start) }
  return {
    url,
    role: said('ROLE') ?? 'concord',
    ...(principal === undefined ? {} : { principal }),
    ...(secret === undefined ? {} : { secret }),
    ...(said('RESERVE') === undefined ? {} : { reserve: reserveBy(() => url.split(',')[0]!, login) }),
    ...(said('DRAIN') === undefined ? {} : { drain: drainBy(() => url.split(',')[0]!, login) }),
    ...(agent === false ? {} : { agent }),
    ...(restart === undefined ? {} : { restartMaster: () => shell(restart)('') }),
    async close() {},
  }
}

interface Login {
  readonly principal?: string
  readonly secret?: string
}

/** A call of the operator API of the master. */
async function operate(url: string, { principal, secret }: Login, type: string, body: object): Promise<void> {
  const response = await fetch(`${url}/api/v1`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(secret === undefined ? {} : { authorization: `Basic ${btoa(`${principal}:${secret}`)}` }),
    },
    body: JSON.stringify({ type, [type.toLowerCase()]: body }),
  })
  assert.ok(response.ok, `${type}: ${response.status} ${await response.text()}`)
}

function reserveBy(url: () => string, login: Login): NonNullable<Rig['reserve']> {
  return async (agentId, role, cpus, kind) => {
    const { principal } = login
    const reservations = [{ type: 'DYNAMIC', role, ...(principal === undefined ? {} : { principal }) }]
    const resources = [{ name: 'cpus', type: 'SCALAR', scalar: { value: cpus }, reservations }]
    await operate(url(), login, `${kind}_RESOURCES`, { agent_id: { value: agentId }, resources })
  }
}

function drainBy(url: () => string, login: Login): NonNullable<Rig['drain']> {
  return (agentId, kind) => operate(url(), login, `${kind}_AGENT`, { agent_id: { value: agentId } })
}

function shell(command: string): (hostname: string) => Promise<void> {
  return async (hostname) => {
    await promisify(execFile)('/bin/sh', ['-c', command, 'sh', hostname])
  }
}

const agents = [
  { name: 'agent-1', attributes: 'zone:a;rack:1', reserved: 'cpus(concord):0.5;mem(concord):128' },
  { name: 'agent-2', attributes: 'zone:b;rack:1' },
]

async function minimesosRig(): Promise<Rig> {
  const stateDir = mkdtempSync(join(tmpdir(), 'concord-conformance-'))
  const credentials = { principal: 'concord', secret: 'conformance' }
  const size = { cpus: 2, memMib: 1024, diskMib: 1024 }
  const open = (port: number) =>
    startMinimesos({ port, stateDir, credentials, agents, ...size, agentTimeoutMs: 500 })
  let minimesos: Minimesos = await open(0)
  const { url } = minimesos
  return {
    url,
    role: 'concord',
    ...credentials,
    reservedCpus: 0.5,
    reserve: reserveBy(() => url, credentials),
    drain: drainBy(() => url, credentials),
    attributes: [
      { zone: 'a', rack: '1' },
      { zone: 'b', rack: '1' },
    ],
    agent: {
      stop: async (hostname) => void minimesos.fleet.order(hostname, 'cut'),
      start: async (hostname) => void minimesos.fleet.order(hostname, 'start'),
    },
    async restartMaster() {
      await minimesos.close()
      minimesos = await open(Number(new URL(url).port))
    },
    async close() {
      await minimesos.close()
      while ((await endTasks(stateDir, 0)) > 0);
      rmSync(stateDir, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}
