/**
 * Home: the files in the state folder of one machine, private to their owner.
 * @module
 */
import { globSync } from 'node:fs'
import { chmod, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder } from '../../sdk/folder.ts'
import { infraError } from '../errors.ts'

/** Set on shared folders like /tmp, whose mode must not be changed. */
const stickyBit = 0o1000

export interface Home {
  readonly root: string
  readonly credentials: string
  /** {url, token} for the command line, as long as the platform is up. */
  readonly client: string
  /** The running processes and their ports: up-file.ts. */
  readonly up: string
  /** Held by the `up` that runs. */
  readonly lock: string
  readonly nats: string
  /** Of several nats-servers. */
  readonly natsCluster: string
  readonly minimesos: string
  readonly zookeeper: string
  readonly minimesosCredentials: string
  /** What minimesos is told of its agents, where there are several. */
  readonly minimesosAgents: string
  log(name: string): string
}

/**
 * Creates the home folder, or makes an existing one private.
 * @throws {CodedError} ERR_USAGE if it cannot be private, ERR_FOLDER
 */
export async function makeHome(root: string): Promise<Home> {
  makeFolder(root, 0o700)
  await closeToOthers(root)
  makeFolder(join(root, 'logs'), 0o700)
  return homeOf(root)
}

async function closeToOthers(root: string): Promise<void> {
  const { mode } = await stat(root)
  if ((mode & stickyBit) !== 0) {
    throw infraError(
      'ERR_USAGE',
      `Cannot use ${root} as the home: everybody uses it. Name a folder in it, such as ${join(root, 'concord')}`,
    )
  }
  if ((mode & 0o077) === 0) return
  await chmod(root, 0o700).catch((cause: Error) => {
    throw infraError(
      'ERR_USAGE',
      `Cannot close the home ${root} to others: ${cause.message}. Name a folder of your own`,
      { cause },
    )
  })
}

export function homeOf(root: string): Home {
  return {
    root,
    credentials: join(root, 'credentials.json'),
    client: join(root, 'client.json'),
    up: join(root, 'up.json'),
    lock: join(root, 'up.lock'),
    nats: join(root, 'nats'),
    natsCluster: join(root, 'nats-cluster'),
    minimesos: join(root, 'minimesos'),
    zookeeper: join(root, 'zookeeper'),
    minimesosCredentials: join(root, 'minimesos-credentials.json'),
    minimesosAgents: join(root, 'minimesos-agents.json'),
    log: (name) => join(root, 'logs', `${name}.log`),
  }
}

/** With how many ZooKeeper servers the home began; 0: its store is a file. */
export function zookeepersOf({ zookeeper }: Home): number {
  return globSync(join(zookeeper, 'server-*', 'data', 'version-2')).length
}

/** Once the gateway has gone, others may listen on its port: they must not be sent the token. */
export async function forgetClient({ client }: Home): Promise<void> {
  await rm(client, { force: true }).catch(() => {}) // on a disk that cannot be written
}
