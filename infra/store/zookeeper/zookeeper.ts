/**
 * ZooKeeperStore: the store of a cluster. Under the node of its URL are `docs` (the documents) and `leaders`.
 *
 * It has one session, and opens another when that has ended: reads and writes wait a little and continue. What
 * depends on a session ends with it: leaderships are lost, and do not come back by themselves.
 *
 * Invariants: DO1–DO4 of store.ts. DO1, DO4 by tree.ts, DO2 by watch-tree.ts, DO3 by election.ts.
 * Design: docs/design/0020-store-on-zookeeper.md
 * @module
 */
import { setTimeout as wait } from 'node:timers/promises'
import { isCode } from '../../../sdk/errors.ts'
import { infraError } from '../../errors.ts'
import { leaderStore } from '../leader-store.ts'
import { checkLeaderName, checkPath, checkPrefix, covers } from '../path.ts'
import type { Leadership, Store, StoredDocument } from '../store.ts'
import { Watchers } from '../watchers.ts'
import { parseAddress } from './address.ts'
import type { AclEntry } from './client-protocol.ts'
import { campaign, readSealed } from './election.ts'
import { NodeCache } from './node-cache.ts'
import { Nodes, ownAcl } from './nodes.ts'
import { describeServers } from './servers.ts'
import { Session } from './session.ts'
import { Tree } from './tree.ts'
import { WatchTree } from './watch-tree.ts'

export interface ZooKeeperStoreOptions {
  readonly url: string
  readonly user: string | undefined
  readonly password: string | undefined
  /** How long this process may be silent before another takes over its leaderships. Default 10 s. */
  readonly sessionTimeoutMs?: number | undefined
  /**
   * How long a call waits for ZooKeeper before it fails; a leader's calls wait as long as their session lives.
   * Default 3 s.
   */
  readonly patienceMs?: number | undefined
  readonly log?: StoreLog | undefined
  /** How long opening it waits for ZooKeeper. Default 30 s. */
  readonly connectMs?: number | undefined
}

export interface StoreLog {
  info(text: string): void
  warn(text: string): void
}

export const sessionTimeoutDefaultMs = 10_000
const patienceDefaultMs = 3_000
const connectDefaultMs = 30_000
const reopenMaxMs = 2_000

/** @throws {CodedError} ERR_STORE_URL, ERR_STORE_MODULE, ERR_STORE_REFUSED, ERR_STORE_UNAVAILABLE */
export async function openZooKeeperStore(options: ZooKeeperStoreOptions): Promise<Store> {
  const address = parseAddress(options.url)
  const { user, password } = options
  if (user === undefined || password === undefined || user.includes(':'))
    throw infraError(
      'ERR_STORE_REFUSED',
      `Cannot open ${options.url}: set store.user (without ':') and store.password (CONCORD_STORE_USER, CONCORD_STORE_PASSWORD). ` +
        'All that is stored there will be readable and writable by these alone; choose them freely, the same for every process',
    )
  const closing = new AbortController()
  const open = () =>
    Session.open({
      ...{ address, user, password, signal: closing.signal },
      connectMs: options.connectMs ?? connectDefaultMs,
      timeoutMs: options.sessionTimeoutMs ?? sessionTimeoutDefaultMs,
    })
  const session = await open()
  try {
    const acl = ownAcl(user, password)
    await makeRoot(session, address.root, acl)
    return new ZooKeeperStore(options, address.root, describeServers(address), acl, session, open, closing)
  } catch (error) {
    await session.close()
    throw error
  }
}

async function makeRoot(session: Session, root: string, acl: readonly AclEntry[]): Promise<void> {
  const signal = AbortSignal.any([session.ended, AbortSignal.timeout(connectDefaultMs)])
  const above = root.slice(0, root.lastIndexOf('/'))
  if (above !== '' && (await session.exists(above, false, signal)) === undefined)
    throw infraError(
      'ERR_STORE_URL',
      `Cannot make the ZooKeeper node ${root}: there is no ${above}. Make that first (for example 'zkCli.sh create ${above}'), or use another path`,
    )
  const nodes = new Nodes(session, acl, signal)
  for (const node of [root, `${root}/docs`, `${root}/leaders`]) await nodes.ensure(node)
}

class ZooKeeperStore implements Store {
  readonly #options: ZooKeeperStoreOptions
  readonly #root: string
  readonly #servers: string
  readonly #acl: readonly AclEntry[]
  readonly #open: () => Promise<Session>
  readonly #watchers = new Watchers()
  /** By prefix: its watch tree in the current session, and the number of watchers. */
  readonly #watched = new Map<string, { count: number; tree: WatchTree | undefined }>()
  readonly #sealed = new Map<string, Promise<number>>()
  #cache: NodeCache | undefined
  readonly #closing: AbortController
  #session: Session | undefined
  #next = Promise.withResolvers<Session>()

  constructor(
    options: ZooKeeperStoreOptions,
    root: string,
    servers: string,
    acl: readonly AclEntry[],
    session: Session,
    open: () => Promise<Session>,
    closing: AbortController,
  ) {
    this.#options = options
    this.#root = root
    this.#servers = servers
    this.#acl = acl
    this.#open = open
    this.#closing = closing
    this.#adopt(session)
  }

  async get<T>(path: string): Promise<StoredDocument<T> | undefined> {
    checkPath(path)
    return this.#read((tree) => tree.get<T>(path))
  }

  async create(path: string, value: unknown): Promise<number> {
    checkPath(path)
    return this.#write((tree) => tree.create(path, value))
  }

  async update(path: string, value: unknown, version: number): Promise<number> {
    checkPath(path)
    return this.#write((tree) => tree.update(path, value, version))
  }

  async remove(path: string, version?: number): Promise<void> {
    checkPath(path)
    return this.#write((tree) => tree.remove(path, version))
  }

  async list(path: string): Promise<string[]> {
    checkPrefix(path)
    return this.#read((tree) => tree.list(path))
  }

  watch(path: string, changed: () => void): () => void {
    checkPrefix(path)
    this.#closing.signal.throwIfAborted()
    // The first watcher of a path is called once its nodes are watched.
    const stop = this.#watchers.add(path, changed, this.#watched.has(path))
    const watched = this.#watched.get(path) ?? { count: 0, tree: this.#watchTree(path) }
    this.#watched.set(path, watched)
    watched.count++
    let stopped = false
    return () => {
      if (stopped) return
      stopped = true
      stop()
      if (--watched.count > 0) return
      watched.tree?.stop()
      this.#watched.delete(path)
    }
  }

  async lead(name: string, signal: AbortSignal): Promise<Leadership> {
    checkLeaderName(name)
    const waiting = AbortSignal.any([signal, this.#closing.signal])
    for (;;) {
      waiting.throwIfAborted()
      const session = await this.#living(waiting)
      const nodes = new Nodes(session, this.#acl, waiting)
      try {
        const won = await campaign({ session, nodes, top: this.#leaderNode(name), signal: waiting })
        const { epoch, lost } = won
        const tree = this.#tree(session, session.ended, { name, epoch })
        return {
          epoch,
          lost,
          store: leaderStore(this, tree, lost), // in the session in which it was elected, and in no other (DO4)
          seal: () => won.seal(),
          release: () => won.release(),
        }
      } catch (error) {
        waiting.throwIfAborted()
        if (!isCode(error, 'ERR_STORE_SESSION')) throw error // otherwise start again in another session
      }
    }
  }

  async isLed(name: string): Promise<boolean> {
    checkLeaderName(name)
    const queue = await this.#read((_, session, signal) =>
      session.children(this.#leaderNode(name), false, signal),
    )
    return queue !== undefined && queue.length > 0
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return
    const error = infraError('ERR_STORE_CLOSED', `Cannot use the store at ${this.#servers}: it was closed`)
    this.#closing.abort(error)
    this.#next.reject(error)
    this.#watchers.clear()
    await this.#session?.close()
  }

  /** Runs a read in the current session, or in the next if that ends; waits at most `patienceMs`. */
  #read<T>(work: (tree: Tree, session: Session, signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#within(async (signal) => {
      for (;;) {
        const session = await this.#living(signal)
        try {
          return await work(this.#tree(session, signal), session, signal)
        } catch (error) {
          if (!isCode(error, 'ERR_STORE_SESSION')) throw error
        }
      }
    })
  }

  /** Runs a write. It is not repeated in another session: there its outcome could not be determined. */
  #write<T>(work: (tree: Tree) => Promise<T>): Promise<T> {
    return this.#within(async (signal) => {
      const session = await this.#living(signal)
      try {
        return await work(this.#tree(session, signal))
      } catch (error) {
        if (!isCode(error, 'ERR_STORE_SESSION')) throw error
        throw infraError(
          'ERR_STORE_UNAVAILABLE',
          `${error.message}. The write may have taken place: look, and try again`,
        )
      }
    })
  }

  async #within<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const patience = new AbortController()
    const timer = setTimeout(() => patience.abort(), this.#options.patienceMs ?? patienceDefaultMs)
    try {
      return await work(patience.signal)
    } finally {
      clearTimeout(timer)
    }
  }

  /** The session, or the next one. */
  #living(signal: AbortSignal): Promise<Session> {
    if (this.#session !== undefined) return Promise.resolve(this.#session)
    const { promise, resolve, reject } = Promise.withResolvers<Session>()
    const giveUp = () =>
      reject(
        this.#closing.signal.reason ??
          infraError(
            'ERR_STORE_UNAVAILABLE',
            `ZooKeeper at ${this.#servers} does not answer. Try again when it is back`,
          ),
      )
    if (signal.aborted) giveUp()
    signal.addEventListener('abort', giveUp, { once: true })
    this.#next.promise.then(resolve, reject)
    return promise.finally(() => signal.removeEventListener('abort', giveUp))
  }

  #tree(session: Session, signal: AbortSignal, leader?: { name: string; epoch: number }): Tree {
    return new Tree({
      ...{ session, signal },
      nodes: new Nodes(session, this.#acl, signal),
      root: `${this.#root}/docs`,
      sealed: (name) => this.#sealedBy(session, name),
      cache: (path) => (session === this.#session && this.#isWatched(path) ? this.#cache : undefined),
      ...(leader === undefined ? {} : { leader }),
    })
  }

  #sealedBy(session: Session, name: string): Promise<number> {
    if (session !== this.#session) return readSealed(session, this.#leaderNode(name), () => {})
    const known = this.#sealed.get(name)
    if (known !== undefined) return known
    const reading = readSealed(session, this.#leaderNode(name), () => this.#sealed.delete(name))
    this.#sealed.set(name, reading)
    reading.catch(() => this.#sealed.delete(name))
    return reading
  }

  #isWatched(path: string): boolean {
    for (const prefix of this.#watched.keys()) if (covers(prefix, path)) return true
    return false
  }

  #leaderNode(name: string): string {
    return `${this.#root}/leaders/${name}`
  }

  #watchTree(path: string): WatchTree | undefined {
    const session = this.#session
    if (session === undefined) return undefined
    const docs = `${this.#root}/docs`
    return new WatchTree(
      session,
      path === '/' ? docs : docs + path,
      (nodes) => {
        for (const node of nodes) this.#watchers.touch(node.slice(docs.length) || '/')
      },
      (error) => this.#options.log?.warn(`cannot watch ${path}: ${(error as Error).message}`),
    )
  }

  #adopt(session: Session): void {
    this.#session = session
    this.#cache = new NodeCache(session)
    this.#sealed.clear()
    const { log } = this.#options
    session.onConnection = (up) => {
      if (!up) return log?.warn('the connection to ZooKeeper is lost')
      log?.info('ZooKeeper answers again')
      this.#watchers.touch(undefined) // watchers that could not read meanwhile read now
    }
    const ended = () => void this.#reopen(session.ended.reason as Error)
    if (session.ended.aborted) ended()
    else session.ended.addEventListener('abort', ended, { once: true })
    for (const [path, watched] of this.#watched) watched.tree = this.#watchTree(path)
    this.#next.resolve(session)
  }

  async #reopen(why: Error): Promise<void> {
    this.#session = undefined
    if (this.#closing.signal.aborted) return
    this.#options.log?.warn(why.message)
    this.#next = Promise.withResolvers()
    this.#next.promise.catch(() => {})
    for (;;) {
      try {
        const session = await this.#open()
        if (this.#closing.signal.aborted) return await session.close()
        this.#options.log?.info('a new session with ZooKeeper has begun')
        this.#adopt(session)
        this.#watchers.touch(undefined) // changes between the two sessions were not seen
        return
      } catch (error) {
        if (this.#closing.signal.aborted) return
        this.#options.log?.warn((error as Error).message)
        await wait(Math.random() * reopenMaxMs, undefined, { ref: false })
      }
    }
  }
}
