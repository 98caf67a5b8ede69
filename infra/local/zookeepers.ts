/**
 * ZooKeepers: the servers of a cluster on one machine, one or three, each kept running; and what processes are told, so that
 * they keep the store there and find the Mesos master there.
 * @module
 */

import { processId } from '../process.ts'
import { planEnsemble, type ZooKeeperServer } from '../zookeeper/index.ts'
import { Keeper } from './keeper.ts'
import type { PlatformOptions } from './platform.ts'

/** Sessions may last 1 to 10 s by it. */
const tickMs = 500
/** Control is back within two of these; and a machine may not run a process for so long. */
const sessionTimeoutMs = 6_000

export interface ZooKeepers {
  /** For gateways and schedulers. */
  readonly storeEnv: Readonly<Record<string, string>>
  /** Where the masters say that they are. */
  readonly mastersUrl: string
  stop(): Promise<void>
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
