/**
 * Platform: the four processes of one machine: started and stopped in order, and kept running in between.
 *
 *   nats-server ─┬─ gateway
 *                └─ scheduler
 *   minimesos ──────┘            its tasks outlive a crash of these processes; only `stop` ends them
 *
 * A *cluster* has several agents in minimesos, several schedulers of which one leads, and, if configured, three nats-servers and
 * several minimesos of which one leads.
 *
 * Invariants:
 *  U1. If one part cannot be started, those that were started are stopped again, except a nats-server that ran before.
 *  U2. `stop` goes downstream: the gateway settles accepted records while functions still run; then the schedulers drain the tasks
 *      and wait for their last updates, so that the store names no task that is gone; then the other parts end. A part that does not
 *      answer delays the stop for a limited time: tasks that the schedulers did not end in time are ended without them.
 * Design: docs/design/0003-processes-and-store.md
 * @module
 */
import { availableParallelism, totalmem } from 'node:os'
import type { Config } from '../config/index.ts'
import type { Log } from '../log.ts'
import { type AgentSpec, endTasks, memShare, powerOn } from '../minimesos/index.ts'
import { writePrivate } from '../private-file.ts'
import { programFile } from '../programs.mjs'
import { type Child, type LastWords, startChild } from './child.ts'
import { writeRefusal } from './disk-check.ts'
import { JetStreamWatch } from './jetstream-watch.ts'
import { Keeper } from './keeper.ts'
import { type NatsServers, startNatsServers } from './nats-servers.ts'
import type { PlatformOptions } from './platform-options.ts'
import { usablePort } from './ports.ts'
import type { PortName } from './up-file.ts'
import { refuseAnotherStore, startZooKeepers, type ZooKeepers } from './zookeepers.ts'

export interface Platform {
  readonly url: string
  readonly natsUrl: string
  readonly ports: Readonly<Record<PortName, number>>
  /** The port of each minimesos. */
  readonly masters: Readonly<Record<string, number>>
  /** By key: settings that the processes were told, which may differ from the configuration. */
  readonly settings: Readonly<Record<string, string | number>>
  /** Stops everything, tasks included. */
  stop(): Promise<Stopped>
}

export interface Stopped {
  /** Accepted records that were given up; absent: the gateway or a scheduler ended without saying so. */
  readonly givenUpRecords?: number
  /** That number is an upper bound. */
  readonly givenUpIsAtMost?: true
  /**
   * Instances that did not end in order, each with the reason: their last records may be unaccounted. Absent: no scheduler said
   * which.
   */
  readonly killedInstances?: readonly string[]
  /** Tasks that no scheduler ended: they may have been lost sight of, and may still be in the store. */
  readonly tasksLeft: number
}

/** How long a task may take to end before minimesos kills it; a runner drains within it. */
export const taskGraceMs = 10_000
/** Short, so that the loss of an agent shows while somebody watches. */
const clusterAgentTimeoutMs = 5_000
/** How long the schedulers may take to drain all tasks; hung tasks are killed after `taskGraceMs`. */
export const emptyMs = taskGraceMs + 10_000
/** How long the gateway may take to settle, with a margin. */
export const childGraceMs = 15_000

/** @throws {CodedError} ERR_PORT_TAKEN, ERR_NATS_SERVER_MISSING, ERR_NATS_SERVER_FAILED, ERR_UP_CHILD */
export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const servers = options.cluster?.zookeepers ?? 0
  refuseAnotherStore(options, servers)
  if (servers === 0) return await startParts(options, undefined)
  const zookeepers = await startZooKeepers(options, servers)
  const platform = await startParts(options, zookeepers).catch(async (error: unknown) => {
    await zookeepers.stop() // U1
    throw error
  })
  const stop = async () => {
    const stopped = await platform.stop()
    await zookeepers.stop()
    return stopped
  }
  return { ...platform, stop }
}

async function startParts(given: PlatformOptions, zookeepers: ZooKeepers | undefined): Promise<Platform> {
  const options: PartOptions = { ...given, zookeepers }
  const { home, config, credentials, ports, clock, log } = options
  const gatewayPort = await usablePort(ports.gateway, config.gateway.host)
  const mesosPort = await usablePort(ports.mesos)

  // In parallel, unless one needs another's address.
  const natsStart = startNatsServers(options)
  const mastersStart = startMasters(options, mesosPort)
  const gatewayStart = natsStart.then(({ url }) => startGateway(options, url, gatewayPort))
  // A scheduler that starts runners from an archive needs the gateway's address.
  const named = config.runnerArchive.file === undefined ? undefined : gatewayStart
  const [gateway, scheduler, masters, nats] = await allOrNone([
    gatewayStart,
    Promise.all([natsStart, mastersStart, named]).then((on) =>
      startScheduler(options, { nats: on[0].url, mesos: on[1].url, gateway: on[2]?.process.url }, 0),
    ),
    mastersStart,
    natsStart,
  ])
  const urls = { nats: nats.url, mesos: masters.url, gateway: gateway.process.url }
  const standbys = await startStandbys(options, urls).catch(async (error: unknown) => {
    for (const part of [gateway, scheduler, masters, nats]) await stopStarted(part)
    throw error
  })
  const watch = new JetStreamWatch({
    connection: { url: nats.url, ...credentials.nats.gateway },
    stores: nats.stores,
    restart: () => nats.restartOne(),
    clock,
    log,
  })
  return {
    url: gateway.process.url,
    natsUrl: nats.url,
    ports: { gateway: gateway.process.port, nats: nats.port, mesos: Number(new URL(masters.url).port) },
    masters: masters.ports,
    settings: {
      'gateway.port': gateway.process.port,
      ...{ 'nats.port': nats.port, 'nats.url': nats.url },
      'mesos.port': Number(new URL(masters.url).port),
      'mesos.url': mesosUrl(options, masters.url),
      'store.url': storeEnv(options).CONCORD_STORE_URL,
    },
    async stop() {
      watch.close()
      await gateway.stop() // U2
      // The leader drains; the others find nothing left when their turn comes.
      const drain = (process: Child) => process.stop('SIGUSR2', emptyMs)
      const schedulers = [scheduler, ...standbys]
      await Promise.all(schedulers.map((each) => each.stop(drain)))
      const tasksLeft = await endTasks(home.minimesos, taskGraceMs)
      if (tasksLeft > 0) log.warn({ tasksLeft }, 'no scheduler was there to drain them: ended without it')
      await masters.stop()
      await nats.stop()
      const said = [gateway, ...schedulers].map(({ process }) => process.said)
      const givenUp = said.map(({ givenUpRecords }) => givenUpRecords)
      const killed = said.flatMap(({ killedInstances }) => (killedInstances ? [killedInstances] : []))
      return {
        // One that was killed while it drained takes its part of the sum along.
        ...(givenUp.every((each) => each !== undefined) && {
          givenUpRecords: givenUp.reduce((sum, records) => sum + records, 0),
        }),
        ...(said.some(({ givenUpIsAtMost }) => givenUpIsAtMost) && { givenUpIsAtMost: true }),
        ...(killed.length > 0 && { killedInstances: killed.flat() }),
        tasksLeft,
      }
    },
  }
}

interface PartOptions extends PlatformOptions {
  readonly zookeepers: ZooKeepers | undefined
}

type Part = Keeper<Child> | NatsServers | Masters

/**
 * Starts parts together. If one fails, those that have started are stopped in this order, and its error is thrown
 * (U1).
 */
async function allOrNone<Parts extends Part[]>(
  starts: readonly [...{ [I in keyof Parts]: Promise<Parts[I]> }],
): Promise<Parts> {
  const results: PromiseSettledResult<Part>[] = await Promise.allSettled(starts)
  const failed = results.find((result) => result.status === 'rejected')
  for (const result of results) {
    if (failed !== undefined && result.status === 'fulfilled') await stopStarted(result.value)
  }
  if (failed !== undefined) throw failed.reason
  return (await Promise.all(starts)) as Parts
}

/** U1. */
async function stopStarted(part: Part): Promise<void> {
  if (!('adopted' in part && part.adopted)) await part.stop()
}

interface Masters {
  /** Of the first one. */
  readonly url: string
  readonly ports: Readonly<Record<string, number>>
  stop(): Promise<void>
}

/** Starts the masters: the first leads; the others stand by on the same folder. */
async function startMasters(options: PartOptions, firstPort: number): Promise<Masters> {
  const { home, config, credentials, cluster } = options
  await writePrivate(home.minimesosCredentials, JSON.stringify(credentials.mesos))
  const agents = cluster === undefined ? [] : agentsOf(config, cluster.agents)
  if (agents.length > 0) await writePrivate(home.minimesosAgents, JSON.stringify(agents))
  powerOn(home.minimesos)
  const count = cluster?.masters ?? 1
  const keepers = new Map<string, Keeper<Child>>()
  const stop = async () => {
    for (const keeper of [...keepers.values()].reverse()) await keeper.stop()
  }
  try {
    for (let index = 0; index < count; index++) {
      const name = count === 1 ? 'minimesos' : `minimesos-${index + 1}`
      keepers.set(name, await startMinimesos(options, index === 0 ? firstPort : 0, name))
    }
  } catch (error) {
    await stop() // U1
    throw error
  }
  const [first] = keepers.values()
  const ports = Object.fromEntries([...keepers].map(([name, { process }]) => [name, process.port]))
  return { url: first!.process.url, ports, stop }
}

function startMinimesos(options: PartOptions, firstPort: number, name: string): Promise<Keeper<Child>> {
  const { home, config, cluster } = options
  const { cpus, memMib, diskMib } = config.agent
  const fleet = ['--agents', home.minimesosAgents, '--agent-timeout-ms', String(clusterAgentTimeoutMs)]
  const masters = options.zookeepers && ['--zookeeper', options.zookeepers.mastersUrl]
  const resources = Object.entries({ cpus, mem: memMib, disk: diskMib }).filter(
    ([, value]) => value !== undefined,
  )
  const launch = (port = firstPort) => ({
    args: [
      ...['--port', String(port), '--state', home.minimesos, '--credentials', home.minimesosCredentials],
      ...resources.flatMap(([flag, value]) => [`--${flag}`, String(value)]),
      ...(cluster === undefined ? [] : fleet),
      ...(masters ?? []),
    ],
  })
  return startNodeChild(options, 'minimesos', launch, name)
}

/** Agents share the machine's resources; there are three zones, and two agents to a rack. */
function agentsOf({ agent }: Config, count: number): AgentSpec[] {
  const memBytes = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY)
  const memMib = Math.floor((agent.memMib ?? (memBytes * memShare) / 2 ** 20) / count)
  const cpus = Math.max(1, (agent.cpus ?? availableParallelism()) / count)
  return Array.from({ length: count }, (_, i) => ({
    name: `agent-${i + 1}`,
    ...{ cpus, memMib },
    attributes: `zone:${'abc'[i % 3]};rack:r${Math.floor(i / 2) + 1}`,
  }))
}

function startGateway(options: PartOptions, natsUrl: string, firstPort: number): Promise<Keeper<Child>> {
  const { config, credentials } = options
  return startNodeChild(options, 'gateway', (port = firstPort) => ({
    env: {
      CONCORD_NATS_URL: natsUrl,
      CONCORD_NATS_USER: credentials.nats.gateway.user,
      CONCORD_NATS_PASSWORD: credentials.nats.gateway.password,
      ...storeEnv(options),
      CONCORD_GATEWAY_PORT: String(port),
      CONCORD_GATEWAY_TOKEN_FILE: config.gateway.tokenFile,
      CONCORD_DEAD_LETTERS_MAX_MIB: String(config.deadLetters.maxMib),
      CONCORD_DEAD_LETTERS_MAX_AGE_HOURS: String(config.deadLetters.maxAgeHours),
    },
  }))
}

function storeEnv({ config, zookeepers }: PartOptions): ZooKeepers['storeEnv'] {
  return zookeepers?.storeEnv ?? { CONCORD_STORE_URL: config.store.url }
}

/** Where schedulers find the master. */
function mesosUrl({ zookeepers }: PartOptions, url: string): string {
  return zookeepers?.mastersUrl ?? url
}

/** The schedulers that stand by for the first. */
function startStandbys(options: PartOptions, urls: Urls): Promise<Keeper<Child>[]> {
  const count = (options.cluster?.schedulers ?? 1) - 1
  return Promise.all(Array.from({ length: count }, (_, i) => startScheduler(options, urls, i + 1)))
}

/** The addresses that a scheduler needs. */
interface Urls {
  readonly nats: string
  readonly mesos: string
  readonly gateway?: string | undefined
}

function startScheduler(options: PartOptions, urls: Urls, index: number): Promise<Keeper<Child>> {
  const { credentials } = options
  const env = {
    CONCORD_NATS_URL: urls.nats,
    ...(urls.gateway && { CONCORD_RUNNER_ARCHIVE_GATEWAY_URL: urls.gateway }),
    CONCORD_NATS_USER: credentials.nats.scheduler.user,
    CONCORD_NATS_PASSWORD: credentials.nats.scheduler.password,
    CONCORD_NATS_RUNNER_USER: credentials.nats.runner.user,
    CONCORD_NATS_RUNNER_PASSWORD: credentials.nats.runner.password,
    CONCORD_MESOS_URL: mesosUrl(options, urls.mesos),
    CONCORD_MESOS_PRINCIPAL: credentials.mesos.principal,
    CONCORD_MESOS_SECRET: credentials.mesos.secret,
    CONCORD_MESOS_ON_REMOVED: 'registerAnew', // a minimesos that lost its state folder does not know us any more
    ...storeEnv(options),
  }
  if (options.cluster === undefined) return startNodeChild(options, 'scheduler', () => ({ env }))
  const name = `scheduler-${index + 1}`
  const isReady = () => options.leads(name)
  return startNodeChild(
    options,
    'scheduler',
    (portBefore) => ({ env, isReady, standsBy: index > 0 || portBefore !== undefined }),
    name,
  )
}

/**
 * Bounds the young heap. By default V8 lets it grow to 96 MiB in a process that is busy for minutes; these processes
 * keep little for long, so a quarter suffices (docs/benchmarks/channels.md, overload).
 */
const nodeFlags = ['--max-semi-space-size=8', '--disable-warning=ExperimentalWarning']

const scripts = {
  gateway: 'gateway/main.ts',
  scheduler: 'scheduler/main.ts',
  minimesos: 'infra/minimesos/main.ts',
} as const

/** At once: where the disk is full it may be the only one that knows. */
function tellLosses(log: Log, child: string, { settled, givenUpRecords = 0, isUncounted }: LastWords): void {
  if (givenUpRecords === 0) return
  const records = givenUpRecords === 1 ? '1 accepted record' : `${givenUpRecords} accepted records`
  if (settled)
    log.error(
      { child },
      `gives up ${records} that no reader took in time: \`concord stream inspect\` shows whose`,
    )
  if (isUncounted)
    log.error({ child }, `its store did not take the account: ${records} that it gave up are in no ledger`)
}

interface Launch {
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly standsBy?: boolean
  readonly isReady?: () => void
}

/** Starts a child process; its arguments may contain the port that it had before. */
function startNodeChild(
  { home, config, started, clock, log }: PlatformOptions,
  program: keyof typeof scripts,
  launch: (portBefore?: number) => Launch,
  name: string = program,
): Promise<Keeper<Child>> {
  const script = programFile(scripts[program])
  return Keeper.start({
    name,
    start(before) {
      const { args = [], env = {}, ...readiness } = launch(before?.port)
      return startChild({
        name,
        command: [process.execPath, ...nodeFlags, script, ...args],
        env: { ...process.env, CONCORD_HOME: home.root, CONCORD_LOG_LEVEL: config.log.level, ...env },
        logFile: home.log(name),
        graceMs: childGraceMs,
        onSaid: (words) => tellLosses(log, name, words),
        ...readiness,
      })
    },
    started: (child) => started(name, child.id),
    hindered: () => writeRefusal(home.root),
    clock,
    log,
  })
}
