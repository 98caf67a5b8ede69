/**
 * ZooKeepers: the servers of a cluster on one machine, one or three, each kept running; and what processes are told, so that
 * they keep the store there and find the Mesos master there.
 *
 * What is deployed with one store another does not know, and its gateway would delete the checkpoints as those of removed
 * functions: so a home stays with the store that it began with, a file or so many servers.
 * @module
 */
import { existsSync, globSync } from 'node:fs'
import { join } from 'node:path'
import { infraError } from '../errors.ts'
import { processId } from '../process.ts'
import { planEnsemble, type ZooKeeperServer } from '../zookeeper/index.ts'
import { Keeper } from './keeper.ts'
import type { PlatformOptions } from './platform-options.ts'

/** Sessions may last 1 to 10 s by it. */
const tickMs = 500
/** Control is back within two of these; and a machine may not run a process for so long. */
const sessionTimeoutMs = 6_000

export interface ZooKeepers {
  /** For gateways and schedulers. */
  readonly storeEnv: Readonly<Record<string, string>> & { readonly CONCORD_STORE_URL: string }
  /** Where the masters say that they are. */
  readonly mastersUrl: string
  stop(): Promise<void>
}

/** @throws {CodedError} ERR_USAGE if the home began with another store than a file (0 servers), or than so many servers */
export function refuseAnotherStore({ home, config }: PlatformOptions, servers: number): void {
  const { length: began } = globSync(join(home.zookeeper, 'server-*', 'data', 'version-2'))
  const file = /^sqlite:(.*)$/.exec(config.store.url)?.[1]
  const hasFile = file !== undefined && existsSync(file)
  if (began === servers || (began === 0 && !hasFile)) return
  if (hasFile && began > 0) return // of a home from before this was refused: nobody knows which of them counts
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
    return Keeper.start({
      ...{ name, clock, log },
      start: () => plan.start(index),
      started({ pid }) {
        const id = processId(pid)
        if (id !== undefined) started(name, id)
      },
    })
  }
  // All at once: one alone of three serves nobody.
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
