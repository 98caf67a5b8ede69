/**
 * Platform: the four processes of one machine, started in their order, kept running, and stopped in theirs.
 *
 *   nats-server ─┬─ gateway
 *                └─ scheduler
 *   minimesos ──────┘            its tasks belong to nobody here: they outlive all of this but `stop`
 *
 * Invariants:
 *  U1. What could not be started as a whole is stopped again, but for a nats-server that ran before.
 *  U2. `stop` goes downstream: the gateway settles what it took while functions still run, and the scheduler ends so
 *      that it replaces nobody; then the tasks drain; then what they stood on.
 * Design: docs/design/0003-processes.md
 * @module
 */
import { fileURLToPath } from 'node:url'
import { isCode } from '../../sdk/errors.ts'
import type { Clock } from '../clock.ts'
import type { Config } from '../config/index.ts'
import type { Log } from '../log.ts'
import { endTasks } from '../minimesos/index.ts'
import { type NatsServer, startNatsServer } from '../nats/index.ts'
import type { ProcessId } from '../process.ts'
import { type Child, startChild } from './child.ts'
import type { Credentials } from './credentials.ts'
import { type Home, writePrivate } from './home.ts'
import { watchJetStream } from './jetstream-watch.ts'
import { Keeper } from './keeper.ts'
import { type PortChoice, usablePort } from './ports.ts'
import type { PortName } from './up-file.ts'

export interface PlatformOptions {
  readonly home: Home
  readonly config: Config
  readonly credentials: Credentials
  readonly ports: Readonly<Record<PortName, PortChoice>>
  /** Called when a child has started, again too. */
  readonly started: (name: string, id: ProcessId) => void
  readonly clock: Clock
  readonly log: Log
}

export interface Platform {
  readonly url: string
  readonly natsUrl: string
  readonly ports: Readonly<Record<PortName, number>>
  /** Stops everything, tasks included. */
  stop(): Promise<void>
}

/** What minimesos lets a task take before it kills it; a runner drains within it. */
export const taskGraceMs = 10_000
/** What the gateway may take to settle, and a little. */
export const childGraceMs = 15_000

/** @throws {CodedError} ERR_PORT_TAKEN, ERR_NATS_SERVER_MISSING, ERR_NATS_SERVER_FAILED, ERR_UP_CHILD */
export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const { home, clock, log, credentials } = options
  const gatewayPort = await usablePort(options.ports.gateway, options.config.gateway.host)
  const [nats, minimesos] = await allOrNone([startNats(options), startMinimesosChild(options)])
  const ends: (() => unknown)[] = [
    () => minimesos.stop(),
    () => (nats.process.adopted ? undefined : nats.stop()),
  ]
  try {
    const address = { natsUrl: nats.process.url, mesosUrl: minimesos.process.url }
    const [gateway, scheduler] = await allOrNone([
      startNodeChild(options, 'gateway', (port) => gatewayEnv(options, address, port ?? gatewayPort)),
      startNodeChild(options, 'scheduler', () => schedulerEnv(options, address)),
    ])
    ends.unshift(() => Promise.all([gateway.stop(), scheduler.stop()]))
    const endWatch = await watchJetStream({
      connection: { url: address.natsUrl, ...credentials.nats.gateway },
      dir: home.nats,
      restart: () => nats.process.stop(), // its keeper starts it again
      clock,
      log,
    })
    return {
      url: gateway.process.url,
      natsUrl: address.natsUrl,
      ports: { gateway: gateway.process.port, nats: nats.process.port, mesos: minimesos.process.port },
      async stop() {
        await endWatch()
        await Promise.all([gateway.stop(), scheduler.stop()]) // U2
        await endTasks(home.minimesos, taskGraceMs)
        await minimesos.stop()
        await nats.stop()
      },
    }
  } catch (error) {
    for (const end of ends) await end() // U1
    throw error
  }
}

function startNats({
  home,
  config,
  credentials,
  ports,
  clock,
  log,
}: PlatformOptions): Promise<Keeper<NatsServer>> {
  const startOn = (port: number) =>
    startNatsServer({
      dir: home.nats,
      port,
      users: credentials.nats,
      command: config.nats.serverCommand,
      logFile: home.log('nats-server'),
    })
  return Keeper.start({
    name: 'nats-server',
    start: (before) => {
      if (before !== undefined) return startOn(before.port)
      return startOn(ports.nats.port).catch((error) => {
        if (ports.nats.free && isCode(error, 'ERR_PORT_TAKEN')) return startOn(0)
        throw error
      })
    },
    started: () => {}, // it keeps its own file
    clock,
    log,
  })
}

async function startMinimesosChild(options: PlatformOptions): Promise<Keeper<Child>> {
  const { home, config, credentials, ports } = options
  await writePrivate(home.minimesosCredentials, JSON.stringify(credentials.mesos))
  const firstPort = await usablePort(ports.mesos)
  const { cpus, memMib, diskMib } = config.agent
  const resources = { cpus, mem: memMib, disk: diskMib }
  return startNodeChild(
    options,
    'minimesos',
    () => commonEnv(options),
    (port = firstPort) => [
      ...['--port', String(port), '--state', home.minimesos, '--credentials', home.minimesosCredentials],
      ...Object.entries(resources).flatMap(([name, value]) =>
        value === undefined ? [] : [`--${name}`, String(value)],
      ),
    ],
  )
}

const scripts = {
  gateway: '../../gateway/main.ts',
  scheduler: '../../scheduler/main.ts',
  minimesos: '../minimesos/main.ts',
}

/** Starts a child whose environment and arguments may depend on the port that it had before. */
function startNodeChild(
  { home, started, clock, log }: PlatformOptions,
  name: keyof typeof scripts,
  envFor: (portBefore?: number) => NodeJS.ProcessEnv,
  argsFor: (portBefore?: number) => readonly string[] = () => [],
): Promise<Keeper<Child>> {
  const script = fileURLToPath(new URL(scripts[name], import.meta.url))
  return Keeper.start({
    name,
    start: (before) =>
      startChild({
        name,
        command: [
          process.execPath,
          '--disable-warning=ExperimentalWarning',
          script,
          ...argsFor(before?.port),
        ],
        env: envFor(before?.port),
        logFile: home.log(name),
        graceMs: childGraceMs,
      }),
    started: (child) => started(name, child.id),
    clock,
    log,
  })
}

interface Address {
  readonly natsUrl: string
  readonly mesosUrl: string
}

function commonEnv({ home, config }: PlatformOptions): NodeJS.ProcessEnv {
  return { ...process.env, CONCORD_HOME: home.root, CONCORD_LOG_LEVEL: config.log.level }
}

function gatewayEnv(options: PlatformOptions, { natsUrl }: Address, port: number): NodeJS.ProcessEnv {
  const { config, credentials } = options
  return {
    ...commonEnv(options),
    CONCORD_NATS_URL: natsUrl,
    CONCORD_NATS_USER: credentials.nats.gateway.user,
    CONCORD_NATS_PASSWORD: credentials.nats.gateway.password,
    CONCORD_STORE_URL: config.store.url,
    CONCORD_GATEWAY_PORT: String(port),
    CONCORD_GATEWAY_TOKEN_FILE: config.gateway.tokenFile,
  }
}

function schedulerEnv(options: PlatformOptions, { natsUrl, mesosUrl }: Address): NodeJS.ProcessEnv {
  const { config, credentials } = options
  return {
    ...commonEnv(options),
    CONCORD_NATS_URL: natsUrl,
    CONCORD_NATS_USER: credentials.nats.scheduler.user,
    CONCORD_NATS_PASSWORD: credentials.nats.scheduler.password,
    CONCORD_NATS_RUNNER_USER: credentials.nats.runner.user,
    CONCORD_NATS_RUNNER_PASSWORD: credentials.nats.runner.password,
    CONCORD_MESOS_URL: mesosUrl,
    CONCORD_MESOS_PRINCIPAL: credentials.mesos.principal,
    CONCORD_MESOS_SECRET: credentials.mesos.secret,
    CONCORD_STORE_URL: config.store.url,
  }
}

/** Both, or neither and the first error: one that has started is stopped, unless it ran before. */
async function allOrNone<A extends Keeper<Child> | Keeper<NatsServer>, B extends Keeper<Child>>(
  starts: readonly [Promise<A>, Promise<B>],
): Promise<[A, B]> {
  const results = await Promise.allSettled(starts)
  const failed = results.find((result) => result.status === 'rejected')
  if (failed === undefined) return Promise.all(starts)
  for (const result of results) {
    if (result.status === 'rejected') continue
    const adopted = 'adopted' in result.value.process && result.value.process.adopted
    if (!adopted) await result.value.stop()
  }
  throw failed.reason
}
