/**
 * A cluster of nats-servers on one machine: who listens where, kept in the folder so that it stays the same over restarts.
 *
 * Owns its folder: `cluster.json` (0600, the password of the routes), and one folder for each server (server.ts).
 *
 *  NC1. The ports stay the same as long as nobody else has taken one of them: tasks that outlived an `up` know them.
 *  NC2. Servers of the cluster run on these ports, or none do: before others are chosen, those that run are ended.
 * @module
 */
import { randomBytes } from 'node:crypto'
import { globSync } from 'node:fs'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { freePorts, isFreePort } from '../free-ports.ts'
import { writePrivate } from '../private-file.ts'
import {
  endNatsServer,
  type NatsServer,
  type NatsServerOptions,
  runsNatsServer,
  startNatsServer,
} from './server.ts'

export interface NatsClusterOptions extends Omit<NatsServerOptions, 'port' | 'cluster' | 'logFile' | 'dir'> {
  readonly dir: string
  readonly servers: number
  /** Of the server at this place, from 0. Default: `nats-server.log` in its folder. */
  readonly logFile?: (index: number) => string
}

/** The servers of a cluster, not started yet. */
export interface NatsClusterPlan {
  /** All servers, separated by commas. */
  readonly url: string
  readonly ports: readonly number[]
  /** The folder of each. */
  readonly dirs: readonly string[]
  /** Starts a server, perhaps again, or adopts it if it runs. */
  start(index: number): Promise<NatsServer>
}

const planSchema = z.object({
  schema: z.literal(1),
  ports: z.array(z.int()),
  routes: z.array(z.int()),
  password: z.string(),
})
type Plan = z.output<typeof planSchema>

export async function planNatsCluster(options: NatsClusterOptions): Promise<NatsClusterPlan> {
  const { dir, servers, logFile, ...common } = options
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const { ports, routes, password } = await planOf(dir, servers)
  return {
    ports,
    dirs: ports.map((_, index) => memberDir(dir, index)),
    url: ports.map((port) => `nats://127.0.0.1:${port}`).join(','),
    start: (index) =>
      startNatsServer({
        ...common,
        dir: memberDir(dir, index),
        port: ports[index]!,
        logFile: logFile?.(index),
        cluster: { port: routes[index]!, routes, password },
      }),
  }
}

/** Ends all servers of the folder, whoever started them. @returns Whether there were any. */
export async function endNatsCluster(dir: string): Promise<boolean> {
  const ended = await Promise.all(memberDirs(dir).map(endNatsServer))
  return ended.includes(true)
}

/** The number of servers of the cluster that has data in the folder; 0: there is none. */
export async function natsClusterSize(dir: string): Promise<number> {
  if (globSync(join(dir, 'server-*', 'data')).length === 0) return 0
  return (await readPlan(dir))?.ports.length ?? memberDirs(dir).length
}

async function planOf(dir: string, servers: number): Promise<Plan> {
  const before = await readPlan(dir)
  if (before !== undefined && before.ports.length === servers && (await isUsable(dir, before))) return before
  await endNatsCluster(dir) // NC2
  const free = await freePorts(2 * servers)
  const password = before?.password ?? randomBytes(16).toString('hex')
  const plan: Plan = { schema: 1, ports: free.slice(0, servers), routes: free.slice(servers), password }
  await writePrivate(planFile(dir), JSON.stringify(plan))
  return plan
}

/** Whether each port is free or used by its own server. */
async function isUsable(dir: string, { ports, routes }: Plan): Promise<boolean> {
  const usable = ports.map(
    async (port, index) =>
      (await runsNatsServer(memberDir(dir, index))) ||
      ((await isFreePort(port)) && (await isFreePort(routes[index]!))),
  )
  return !(await Promise.all(usable)).includes(false)
}

async function readPlan(dir: string): Promise<Plan | undefined> {
  const text = await readFile(planFile(dir), 'utf8').catch(() => 'null')
  try {
    return planSchema.parse(JSON.parse(text))
  } catch {
    return undefined // absent, or damaged by a power cut
  }
}

function planFile(dir: string): string {
  return join(dir, 'cluster.json')
}

function memberDirs(dir: string): string[] {
  return globSync(join(dir, 'server-*'))
}

function memberDir(dir: string, index: number): string {
  return join(dir, `server-${index + 1}`)
}
