/**
 * Rig: the cluster that the suite asks: minimesos, or the master that the environment names.
 * @module
 */
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
  const agent = stop !== undefined && start !== undefined && { stop: shell(stop), start: shell(start) }
  return {
    url,
    role: said('ROLE') ?? 'concord',
    ...(principal === undefined ? {} : { principal }),
    ...(secret === undefined ? {} : { secret }),
    ...(agent === false ? {} : { agent }),
    ...(restart === undefined ? {} : { restartMaster: () => shell(restart)('') }),
    async close() {},
  }
}

function shell(command: string): (hostname: string) => Promise<void> {
  return async (hostname) => {
    await promisify(execFile)('/bin/sh', ['-c', command, 'sh', hostname])
  }
}

const agents = [
  { name: 'agent-1', attributes: 'zone:a;rack:1' },
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
