/**
 * NatsServers: the one nats-server of a machine, or the three of a cluster on it, each kept running.
 *
 * A home keeps the number of servers that it began with: the JetStream data of one set-up is not in the other, and
 * the store would refer to bundles that do not exist.
 * @module
 */
import { existsSync, statfsSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { isCode } from '../../sdk/errors.ts'
import { connectBus } from '../bus/index.ts'
import { infraError } from '../errors.ts'
import {
  type NatsServer,
  natsClusterSize,
  planNatsCluster,
  startNatsServer,
  storeFolder,
} from '../nats/index.ts'
import { processId } from '../process.ts'
import { writeRefusal } from './disk-check.ts'
import type { Home } from './home.ts'
import { Keeper } from './keeper.ts'
import type { PlatformOptions } from './platform-options.ts'

export interface NatsServers {
  /** All servers, separated by commas. */
  readonly url: string
  /** The port of the first server. */
  readonly port: number
  /** Where each of them stores. */
  readonly stores: readonly string[]
  /** They were running already. */
  readonly adopted: boolean
  /** Kills one server, in turn, and it is started again. Of several, the others continue. */
  restartOne(): Promise<void>
  stop(): Promise<void>
}

const singleName = 'nats-server'
const memberName = (index: number): string => `nats-${index + 1}`
/** Enough for what the streams reserve, also on a small disk. */
const storeBytesMin = 1024 * 1024 * 1024
/** Servers elect a JetStream leader, which takes 4 to 9 s. */
const quorumMs = 60_000

/** Whether a process of the platform is a nats-server: these outlive a killed `up`. */
export function isNatsServer(name: string): boolean {
  return name === singleName || /^nats-\d+$/.test(name)
}

/** @throws {CodedError} ERR_PORT_TAKEN, ERR_NATS_SERVER_MISSING, ERR_NATS_SERVER_FAILED, ERR_USAGE */
export async function startNatsServers(options: PlatformOptions): Promise<NatsServers> {
  const servers = options.cluster?.natsServers ?? 1
  await refuseAnotherNumber(options.home, servers)
  return servers === 1 ? await startSingle(options) : await startCluster(options, servers)
}

async function refuseAnotherNumber(home: Home, servers: number): Promise<void> {
  const clustered = await natsClusterSize(home.natsCluster)
  const before = clustered > 0 ? clustered : existsSync(storeFolder(home.nats)) ? 1 : servers
  if (before === servers) return
  const how = before === 1 ? 'leave --nats out' : `say --nats ${before} ('concord cluster up')`
  throw infraError(
    'ERR_USAGE',
    `Cannot start ${servers === 1 ? 'one nats-server' : `${servers} nats-servers`}: what is deployed in ${home.root} lies on ${before}, and would not be found. To go on with it, ${how}; to begin anew, name another --home`,
  )
}

async function startSingle(options: PlatformOptions): Promise<NatsServers> {
  const { home, ports } = options
  const startOn = (port: number) =>
    startNatsServer({ ...common(options), dir: home.nats, port, logFile: home.log(singleName) })
  const keeper = await keep(options, singleName, (before) => {
    if (before !== undefined) return startOn(before.port)
    return startOn(ports.nats.port).catch((error) => {
      if (ports.nats.free && isCode(error, 'ERR_PORT_TAKEN')) return startOn(0)
      throw error
    })
  })
  const { url, port, adopted } = keeper.process
  return {
    ...{ url, port, adopted, stores: [storeFolder(home.nats)] },
    restartOne: () => keeper.process.stop('SIGKILL'),
    stop: () => keeper.stop(),
  }
}

async function startCluster(options: PlatformOptions, servers: number): Promise<NatsServers> {
  const { home } = options
  const plan = await planNatsCluster({
    ...common(options),
    ...{ dir: home.natsCluster, servers },
    logFile: (index) => home.log(memberName(index)),
  })
  const starts = plan.ports.map((_, index) => keep(options, memberName(index), () => plan.start(index)))
  const results = await Promise.allSettled(starts)
  const keepers = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  const stop = async () => void (await Promise.all(keepers.map((keeper) => keeper.stop())))
  const adopted = keepers.some(({ process }) => process.adopted)
  const failed = results.find((result) => result.status === 'rejected')
  if (failed !== undefined) {
    if (!adopted) await stop()
    throw failed.reason
  }
  await untilQuorum(options, plan.url)
  let next = 0
  return {
    ...{ url: plan.url, port: plan.ports[0]!, adopted, stores: plan.dirs.map(storeFolder) },
    restartOne: () => keepers[next++ % servers]!.process.stop('SIGKILL'),
    stop,
  }
}

function common({ home, config, credentials }: PlatformOptions) {
  const storeBytesMax = storeBytesOf(home.root)
  return { users: credentials.nats, command: config.nats.serverCommand, storeBytesMax }
}

/**
 * What JetStream may store: a share of the disk, whatever is free. By itself a server takes a share of what is free when it
 * starts: started anew on a disk with little room, it refuses streams that it has stored, and all that is new.
 */
function storeBytesOf(dir: string): number {
  const { blocks, bsize } = statfsSync(dir)
  return Math.max(storeBytesMin, Math.floor((blocks * bsize * 3) / 4))
}

function keep(
  { home, started, clock, log }: PlatformOptions,
  name: string,
  start: (before: NatsServer | undefined) => Promise<NatsServer>,
): Promise<Keeper<NatsServer>> {
  return Keeper.start({
    ...{ name, start, clock, log, hindered: () => writeRefusal(home.root) },
    started({ pid }) {
      const id = processId(pid)
      if (id !== undefined) started(name, id)
    },
  })
}

/** Waits until several servers have elected a JetStream leader: before that nothing can be deployed. */
async function untilQuorum({ credentials, log }: PlatformOptions, url: string): Promise<void> {
  const nc = await connectBus({ url, name: 'concord up', ...credentials.nats.gateway })
  try {
    for (const endMs = performance.now() + quorumMs; performance.now() < endMs; await delay(50)) {
      const answer = await nc.request('$JS.API.INFO', undefined, { timeout: 1_000 }).catch(() => undefined)
      if (answer !== undefined && !('error' in answer.json<object>())) return
    }
    log.warn({}, 'the JetStream of the nats-servers has no quorum yet: nothing can be deployed until it has')
  } finally {
    await nc.close()
  }
}
