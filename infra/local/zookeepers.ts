/**
 * ZooKeepers: the one or three servers of a cluster on one machine, each kept running, and the settings with which
 * processes find the store and the Mesos master there.
 *
 * A home keeps the store that it began with, a file or a number of servers: another store would not know what was
 * deployed, and its gateway would delete the checkpoints as those of removed functions.
 * @module
 */
import { existsSync } from 'node:fs'
import { infraError } from '../errors.ts'
import { processId } from '../process.ts'
import { planEnsemble, type ZooKeeperServer } from '../zookeeper/index.ts'
import { writeRefusal } from './disk-check.ts'
import { zookeepersOf } from './home.ts'
import { Keeper } from './keeper.ts'
import type { PlatformOptions } from './platform-options.ts'

/** With this tick, sessions may last 1 to 10 s. */
const tickMs = 500
/** Control is restored within two of these. Not shorter: a busy machine may not run a process for seconds. */
const sessionTimeoutMs = 6_000

export interface ZooKeepers {
  /** For gateways and schedulers. */
  readonly storeEnv: Readonly<Record<string, string>> & { readonly CONCORD_STORE_URL: string }
  /** The address at which masters announce themselves. */
  readonly mastersUrl: string
  stop(): Promise<void>
}

/** @throws {CodedError} ERR_USAGE if the home began with another store than a file (0 servers), or than so many servers */
export function refuseAnotherStore({ home, config }: PlatformOptions, servers: number): void {
  const began = zookeepersOf(home)
  const file = /^sqlite:(.*)$/.exec(config.store.url)?.[1]
  const hasFile = file !== undefined && existsSync(file)
  if (began === servers || (began === 0 && !hasFile)) return
  // both exist in an old home, from before this was refused: it is unknown which one counts
  if (hasFile && began > 0) return
  const [wanted, lies, how] =
    began > 0
      ? [nameOf(servers), `in ${nameOf(began)}`, `say --zookeeper ${began} ('concord cluster up')`]
      : [nameOf(servers), `in the file ${file}`, 'leave --zookeeper out']
  throw infraError(
    'ERR_USAGE',
    `Cannot start with the store in ${wanted}: what is deployed in ${home.root} lies ${lies}, and would not be found. To go on with it, ${how}; to begin anew, name another --home`,
  )
}

function nameOf(servers: number): string {
  if (servers === 0) return 'a file'
  return servers === 1 ? 'one ZooKeeper server' : `${servers} ZooKeeper servers`
}

/** @throws {CodedError} ERR_ZOOKEEPER_MISSING, ERR_ZOOKEEPER_FAILED */
export async function startZooKeepers(options: PlatformOptions, servers: number): Promise<ZooKeepers> {
  const { home, credentials, clock, log, started } = options
  const plan = await planEnsemble({ dir: home.zookeeper, servers, tickMs })
  const keep = (index: number): Promise<Keeper<ZooKeeperServer>> => {
    const name = `zookeeper-${index + 1}`
    /** Not when it serves: if we are killed before, the next one must know it. */
    const spawned = (pid: number) => {
      const id = processId(pid)
      if (id !== undefined) started(name, id)
    }
    return Keeper.start({
      ...{ name, clock, log, hindered: () => writeRefusal(home.root) },
      start: () => plan.start(index, spawned),
    })
  }
  // In parallel: one of three alone serves nobody.
  const results = await Promise.allSettled(Array.from({ length: servers }, (_, index) => keep(index)))
  const keepers = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  const stop = async () => void (await Promise.all(keepers.map((keeper) => keeper.stop())))
  const failed = results.find((result) => result.status === 'rejected')
  if (failed !== undefined) {
    await stop()
    throw failed.reason
  }
  return {
    storeEnv: {
      CONCORD_STORE_URL: `zk://${plan.connect}/concord`,
      CONCORD_STORE_USER: 'concord',
      CONCORD_STORE_PASSWORD: credentials.gatewayToken,
      CONCORD_STORE_SESSION_TIMEOUT_MS: String(sessionTimeoutMs),
    },
    mastersUrl: `zk://${plan.connect}/mesos`,
    stop,
  }
}
