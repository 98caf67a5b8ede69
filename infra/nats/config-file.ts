/**
 * ConfigFile: the configuration file of nats-server. The same input gives the same text, so that a running server can
 * be compared with the wanted one.
 * @module
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { inboxOf } from '../bus/wire/connect.ts'
import { type NatsRole, natsPermissions, natsRoles } from './permissions.ts'

export interface NatsUser {
  readonly user: string
  readonly password: string
}
export type NatsUsers = Readonly<Record<NatsRole, NatsUser>>

export interface NatsConfig {
  /** See `serverNameOf`. */
  readonly name: string
  /** Absolute: holds the server's data and files. */
  readonly dir: string
  /** 0: a free one, chosen by the server. */
  readonly port: number
  /** Who may connect; omitted: anybody, for everything. */
  readonly users?: NatsUsers | undefined
  /** Most that JetStream may store; omitted: three quarters of the disk, as nats-server counts it. */
  readonly storeBytesMax?: number | undefined
  /** Its place among servers that know one another; omitted: it stands alone. */
  readonly cluster?: NatsMembership | undefined
}

export interface NatsMembership {
  /** Where the other servers reach it. */
  readonly port: number
  /** Where it reaches each of them; its own may be among them. */
  readonly routes: readonly number[]
  /** What the servers know one another by. */
  readonly password: string
}

/**
 * The server's name. It tells our server from another one on the same port, and servers of a cluster know one another's copies
 * by it: one that comes back under another name is a stranger, and the data of the one that is missing is removed. So a
 * folder that is moved or restored elsewhere keeps the name that its configuration had.
 * @param before The text of the configuration that the folder has; empty: none.
 */
export function serverNameOf(dir: string, before: string): string {
  const kept = /^server_name: (\S+)$/m.exec(before)?.[1]
  return kept ?? `concord-${createHash('sha256').update(dir).digest('hex').slice(0, 16)}`
}

/** Where a server stores. It may be a volume of its own. */
export function storeFolder(dir: string): string {
  return join(dir, 'data')
}

export function natsConfigText(config: NatsConfig): string {
  const { name, dir, port, users, storeBytesMax, cluster } = config
  const lines = [
    `server_name: ${name}`,
    'host: "127.0.0.1"',
    `port: ${port === 0 ? -1 : port}`,
    `ports_file_dir: ${quoted(dir)}`,
    'max_payload: 1048576',
    // Bytes for one client that does not read, before it is cut off. Its channels lose nothing by that.
    'max_pending: 33554432',
    'write_deadline: "10s"',
    'jetstream {',
    `  store_dir: ${quoted(storeFolder(dir))}`,
    '  max_memory_store: 67108864',
    ...(storeBytesMax === undefined ? [] : [`  max_file_store: ${storeBytesMax}`]),
    '}',
    ...(cluster === undefined ? [] : membership(cluster)),
    ...(users === undefined ? [] : usersWith(users)),
  ]
  return `${lines.join('\n')}\n`
}

function membership({ port, routes, password }: NatsMembership): string[] {
  const login = `concord:${encodeURIComponent(password)}`
  return [
    'cluster {',
    '  name: concord',
    '  host: "127.0.0.1"',
    `  port: ${port}`,
    `  authorization { user: concord, password: ${quoted(password)} }`,
    `  routes: [${routes.map((route) => quoted(`nats-route://${login}@127.0.0.1:${route}`)).join(', ')}]`,
    '}',
  ]
}

function usersWith(users: NatsUsers): string[] {
  return authorization(natsRoles.flatMap((role) => userBlock(role, users[role], quoted)))
}

/**
 * The users of servers that others start. The servers take the passwords from their environment.
 * @param namespaces Each gets users of its own, named after it, with its subjects alone; none: the users, named like their
 *   roles, are for all namespaces.
 */
export function usersFromEnvironment(namespaces: readonly string[]): string {
  const block = (role: NatsRole, user: string, namespace?: string) => {
    const password = `$CONCORD_NATS_${user.toUpperCase().replaceAll('-', '_')}`
    return userBlock(role, { user, password }, (variable) => variable, namespace)
  }
  const blocks =
    namespaces.length === 0
      ? natsRoles.map((role) => block(role, role))
      : namespaces.flatMap((namespace) =>
          natsRoles.map((role) => block(role, `${namespace}-${role}`, namespace)),
        )
  return `${authorization(blocks.flat()).join('\n')}\n`
}

function authorization(users: readonly string[]): string[] {
  return ['authorization {', '  users = [', ...users, '  ]', '}']
}

function userBlock(
  role: NatsRole,
  { user, password }: NatsUser,
  passwordText: (text: string) => string,
  namespace = '*',
): string[] {
  const { publish, subscribe, asks, respond } = natsPermissions[role]
  const own = (subject: string): string => subject.replace(/^concord\.\*/, `concord.${namespace}`)
  const heard = asks ? [...subscribe, `${inboxOf(user)}.>`] : subscribe
  const list = (subjects: readonly string[]): string =>
    `[${subjects.map((subject) => quoted(own(subject))).join(', ')}]`
  return [
    `    { user: ${quoted(user)}, password: ${passwordText(password)}, permissions: {`,
    `      publish: ${list(publish)}`,
    `      subscribe: ${list(heard)}`,
    ...(respond ? ['      allow_responses: true'] : []),
    '    } }',
  ]
}

/** nats-server's strings take the escapes that we need of JSON's. */
function quoted(text: string): string {
  return JSON.stringify(text)
}
