/**
 * Session: one ZooKeeper session, as promises. It is connected when it is made, survives lost connections, and ends
 * once: expired, closed, or given up by the client. A new session needs a new object.
 *
 *   ZC1. Calls wait for a connection until their signal aborts. Reads are repeated after a lost connection. A write
 *        is not, since it may have taken effect: it fails with `connectionLoss`, and the caller checks.
 *   ZC2. `open` succeeds or fails within its deadline: the client would retry for ever, silently.
 *   ZC3. The session ends if our event loop stands still for its timeout, or the client process dies.
 * Design: docs/design/0020-store-on-zookeeper.md
 * @module
 */
import { type ChildProcess, fork } from 'node:child_process'
import { setTimeout as wait } from 'node:timers/promises'
import { assertNever, isCode } from '../../../sdk/errors.ts'
import { infraError } from '../../errors.ts'
import { programFile } from '../../programs.mjs'
import type { ZooKeeperAddress } from './address.ts'
import { findClientModule, moduleError } from './client-module.ts'
import {
  type AclEntry,
  type ClientCalls,
  type ClientMethod,
  codes,
  type FromClient,
  type NodeEvent,
  type Stat,
  type ToClient,
} from './client-protocol.ts'
import { describeServers, findServers } from './servers.ts'

export interface SessionOptions {
  readonly address: ZooKeeperAddress
  readonly user: string
  readonly password: string
  /** The requested timeout; servers have bounds of their own. */
  readonly timeoutMs: number
  /** For all of `open`. */
  readonly connectMs: number
  /** Ends `open` before its time. */
  readonly signal?: AbortSignal
}

/** An error code of ZooKeeper; it never leaves this folder. */
class ZooKeeperError extends Error {
  readonly rc: number
  constructor(rc: number, text: string, what: string) {
    super(`${what}: ${text} (${rc})`)
    this.rc = rc
  }
}

export function isRc(error: unknown, ...rcs: readonly number[]): boolean {
  return error instanceof ZooKeeperError && rcs.includes(error.rc)
}

/** Whether the connection was lost: a write may or may not have taken effect. */
export function isLoss(error: unknown): boolean {
  return isRc(error, codes.connectionLoss, codes.operationTimeout)
}

export interface FoundNode {
  readonly data: Buffer
  readonly stat: Stat
}

const retryMs = 200
const attemptMs = 10_000
const closeMs = 2_000
const beatsPerTimeout = 6

interface Call {
  readonly what: string
  readonly resolve: (results: readonly unknown[]) => void
  readonly reject: (error: unknown) => void
}

export class Session {
  readonly #client: ChildProcess
  readonly #servers: string
  readonly #ended = new AbortController()
  readonly #listeners = new Map<string, Set<(event: NodeEvent) => void>>()
  readonly #calls = new Map<number, Call>()
  readonly #beat: NodeJS.Timeout
  #callsMade = 0
  #beatsUnanswered = 0
  #timeoutMs: number
  #connected = Promise.withResolvers<void>()
  #isConnected = false
  #closing = false
  /** Called for each watch that fires, before the listeners of its path. */
  onNode: (path: string, event: NodeEvent) => void = () => {}
  /** Called when the connection is lost (false) or back (true). */
  onConnection: (up: boolean) => void = () => {}

  /** @throws {CodedError} ERR_STORE_MODULE, ERR_STORE_UNAVAILABLE */
  static async open(options: SessionOptions): Promise<Session> {
    const module = findClientModule()
    const timeout = AbortSignal.timeout(options.connectMs)
    const deadline = options.signal === undefined ? timeout : AbortSignal.any([timeout, options.signal])
    let why = 'no server answered in time'
    while (!deadline.aborted) {
      const found = await findServers(options.address, deadline)
      if (found.kind === 'none') {
        why = found.why
        await wait(retryMs, undefined, { signal: deadline }).catch(() => {})
        continue
      }
      const session = new Session(options, module, found.connect)
      try {
        // A client whose first attempt fails at once does nothing more, so each attempt has its own time limit.
        const attempt = AbortSignal.any([
          deadline,
          AbortSignal.timeout(Math.max(options.timeoutMs, attemptMs)),
        ])
        await session.#authenticate(options, attempt)
        return session
      } catch (error) {
        await session.close()
        if (isCode(error, 'ERR_STORE_MODULE')) throw error
        why = 'a server takes connections, but gives no session: is there a quorum?'
      }
    }
    throw infraError(
      'ERR_STORE_UNAVAILABLE',
      `Cannot reach ZooKeeper at ${describeServers(options.address)}: ${why}. Is it running there?`,
    )
  }

  private constructor({ address, timeoutMs }: SessionOptions, module: string, connect: string) {
    this.#servers = describeServers(address)
    this.#timeoutMs = timeoutMs
    this.#connected.promise.catch(() => {})
    const { TMPDIR, NODE_COMPILE_CACHE } = process.env
    this.#client = fork(programFile('infra/store/zookeeper/client-process.ts'), {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      execArgv: ['--disable-warning=ExperimentalWarning'],
      env: { ...(TMPDIR && { TMPDIR }), ...(NODE_COMPILE_CACHE && { NODE_COMPILE_CACHE }) },
    })
    this.#client.on('message', (message: FromClient) => this.#take(message))
    this.#client.on('error', () => this.#end())
    this.#client.on('exit', () => this.#end())
    this.#beat = setInterval(() => this.#sendBeat(), timeoutMs / beatsPerTimeout).unref()
    this.#send({ kind: 'open', module, connect, timeoutMs })
  }

  /** Aborted when the session has ended; the reason says how. */
  get ended(): AbortSignal {
    return this.#ended.signal
  }

  get connected(): boolean {
    return this.#isConnected
  }

  /** As negotiated. */
  get timeoutMs(): number {
    return this.#timeoutMs
  }

  async get(path: string, watch: boolean, signal: AbortSignal): Promise<FoundNode | undefined> {
    const found = await this.#read<[Stat, Buffer | null]>(`read ${path}`, signal, 'a_get', [path, watch])
    return found && { data: found[1] ?? Buffer.alloc(0), stat: found[0] }
  }

  async exists(path: string, watch: boolean, signal: AbortSignal): Promise<Stat | undefined> {
    const found = await this.#read<[Stat]>(`look at ${path}`, signal, 'a_exists', [path, watch])
    return found?.[0]
  }

  /** Names of the children. Undefined if the node does not exist; then no watch is set. */
  async children(path: string, watch: boolean, signal: AbortSignal): Promise<string[] | undefined> {
    const found = await this.#read<[string[]]>(`list ${path}`, signal, 'a_get_children2', [path, watch])
    return found?.[0]
  }

  /** Creates an empty node that everybody may write: the client cannot do otherwise. @returns Its path. */
  async create(path: string, flags: number, signal: AbortSignal): Promise<string> {
    const [made] = await this.#call<[string]>(`create ${path}`, signal, 'a_create', [
      path,
      Buffer.alloc(0),
      flags,
    ])
    return made
  }

  async set(path: string, data: Buffer, version: number, signal: AbortSignal): Promise<Stat> {
    const [stat] = await this.#call<[Stat]>(`write ${path}`, signal, 'a_set', [path, data, version])
    return stat
  }

  async setAcl(path: string, acl: readonly AclEntry[], aversion: number, signal: AbortSignal): Promise<void> {
    await this.#call(`set the ACL of ${path}`, signal, 'a_set_acl', [path, aversion, acl])
  }

  async delete(path: string, version: number, signal: AbortSignal): Promise<void> {
    await this.#call(`delete ${path}`, signal, 'a_delete_', [path, version])
  }

  /** Calls `listener` when a watch on the path fires. @returns What stops it. */
  on(path: string, listener: (event: NodeEvent) => void): () => void {
    const listeners = this.#listeners.get(path) ?? new Set()
    this.#listeners.set(path, listeners.add(listener))
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0 && this.#listeners.get(path) === listeners) this.#listeners.delete(path)
    }
  }

  /** Ends the session; at the server too, if it is in reach. */
  async close(): Promise<void> {
    this.#closing = true
    if (this.#ended.signal.aborted) return
    this.#send({ kind: 'close' })
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(() => this.#client.kill('SIGKILL'), closeMs)
    this.#ended.signal.addEventListener('abort', () => resolve(), { once: true })
    await promise
    clearTimeout(timer)
  }

  async #authenticate({ user, password }: SessionOptions, signal: AbortSignal): Promise<void> {
    await this.#answer('authenticate', signal, 'add_auth', ['digest', `${user}:${password}`])
    await this.#whenConnected(signal)
  }

  async #read<R extends unknown[]>(
    what: string,
    signal: AbortSignal,
    method: ClientMethod,
    args: ClientCalls[ClientMethod],
  ): Promise<R | undefined> {
    for (;;) {
      try {
        return await this.#call<R>(what, signal, method, args)
      } catch (error) {
        if (isRc(error, codes.noNode)) return undefined
        if (!isLoss(error)) throw error // ZC1
      }
    }
  }

  async #call<R extends unknown[]>(
    what: string,
    signal: AbortSignal,
    method: ClientMethod,
    args: ClientCalls[ClientMethod],
  ): Promise<R> {
    await this.#whenConnected(signal)
    return this.#answer<R>(what, signal, method, args)
  }

  #answer<R extends unknown[]>(
    what: string,
    signal: AbortSignal,
    method: ClientMethod,
    args: ClientCalls[ClientMethod],
  ): Promise<R> {
    return this.#within(signal, (resolve, reject) => {
      const id = this.#callsMade++
      this.#calls.set(id, { what, resolve: (results) => resolve(results as R), reject })
      this.#send({ kind: 'call', id, method, args })
    })
  }

  #whenConnected(signal: AbortSignal): Promise<void> {
    if (this.#isConnected && !signal.aborted && !this.#ended.signal.aborted) return Promise.resolve()
    return this.#within(signal, (resolve, reject) => this.#connected.promise.then(resolve, reject))
  }

  #within<T>(
    signal: AbortSignal,
    start: (resolve: (value: T) => void, reject: (error: unknown) => void) => void,
  ): Promise<T> {
    if (this.#ended.signal.aborted) return Promise.reject(this.#ended.signal.reason)
    if (signal.aborted) return Promise.reject(this.#unavailable())
    return new Promise<T>((resolve, reject) => {
      const giveUp = () =>
        reject(this.#ended.signal.aborted ? this.#ended.signal.reason : this.#unavailable())
      signal.addEventListener('abort', giveUp, { once: true })
      const done = () => signal.removeEventListener('abort', giveUp)
      const resolveOnce = (value: T) => {
        done()
        resolve(value)
      }
      const rejectOnce = (error: unknown) => {
        done()
        reject(error)
      }
      start(resolveOnce, rejectOnce)
    })
  }

  #errorOf(rc: number, text: string, what: string): unknown {
    if (([codes.closing, codes.invalidState, codes.sessionExpired] as number[]).includes(rc))
      return this.#endedError()
    if (rc === codes.noAuth)
      return infraError(
        'ERR_STORE_REFUSED',
        `Cannot ${what} in ZooKeeper at ${this.#servers}: the node belongs to others than store.user with store.password. ` +
          'Use the credentials that the store was made with, or another path in store.url',
      )
    return new ZooKeeperError(rc, text, what)
  }

  #endedError(): Error {
    if (this.#ended.signal.aborted) return this.#ended.signal.reason as Error
    if (this.#closing)
      return infraError('ERR_STORE_CLOSED', `Cannot use the store at ${this.#servers}: it was closed`)
    return infraError(
      'ERR_STORE_SESSION',
      `The session with ZooKeeper at ${this.#servers} has ended: it was silent for ${this.timeoutMs} ms, or its client has died. What it held is lost`,
    )
  }

  #unavailable(): Error {
    return infraError(
      'ERR_STORE_UNAVAILABLE',
      `ZooKeeper at ${this.#servers} does not answer. Try again when it is back; a write that was under way may have taken place`,
    )
  }

  #connection(up: boolean): void {
    if (this.#ended.signal.aborted || this.#isConnected === up) return
    this.#isConnected = up
    if (up) this.#connected.resolve()
    else {
      this.#connected = Promise.withResolvers()
      this.#connected.promise.catch(() => {})
    }
    this.onConnection(up)
  }

  /**
   * Ends a client that was silent for two timeouts. Beats are counted instead of time, since our own loop may have
   * stood still too.
   */
  #sendBeat(): void {
    this.#send({ kind: 'beat' })
    if (this.#beatsUnanswered++ > 2 * beatsPerTimeout) this.#client.kill('SIGKILL')
  }

  #send(message: ToClient): void {
    if (this.#client.connected) this.#client.send(message, () => {}) // where that fails, the client is ending
  }

  #take(message: FromClient): void {
    this.#beatsUnanswered = 0
    switch (message.kind) {
      case 'up':
        this.#timeoutMs = message.timeoutMs
        return this.#connection(true)
      case 'down':
        return this.#connection(false)
      case 'beat':
        return
      case 'answer':
        return this.#answered(message)
      case 'event':
        return this.#tell(message.path, message.event)
      case 'unusable':
        return this.#end(moduleError(message.why))
      case 'ended':
        return this.#end()
      default:
        return assertNever(message)
    }
  }

  #answered({ id, rc, text, results }: FromClient & { readonly kind: 'answer' }): void {
    const call = this.#calls.get(id)
    this.#calls.delete(id)
    if (rc === codes.ok) call?.resolve(results)
    else call?.reject(this.#errorOf(rc, text, call.what))
  }

  #end(reason: Error = this.#endedError()): void {
    if (this.#ended.signal.aborted) return
    this.#isConnected = false
    clearInterval(this.#beat)
    this.#connected.reject(reason)
    this.#listeners.clear()
    this.#ended.abort(reason)
    for (const call of this.#calls.values()) call.reject(reason)
    this.#calls.clear()
  }

  #tell(path: string, event: NodeEvent): void {
    this.onNode(path, event)
    for (const listener of [...(this.#listeners.get(path) ?? [])]) listener(event)
  }
}
