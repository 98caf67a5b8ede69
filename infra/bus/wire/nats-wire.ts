/**
 * NatsWire: the data plane's own connection to NATS, on which frames, credits and claims travel.
 *
 *     connecting ──INFO, CONNECT, PING, PONG──► connected ──lost──► waiting ──100 ms──► connecting …    closed
 *
 * The client library serves control, bundles and logs. For frames it would make three copies in fresh memory, which was a
 * third of a runner's CPU (docs/design/0013-data-connection.md). So there is one buffer to read into, and frames are
 * written from where they are, in one system call per turn of the event loop.
 *
 * Invariants: those of Wire, and
 *  W4. Until it is closed it reconnects for ever, to the configured servers and those that they announce.
 *  W5. A server silent for `pingEveryMs` × `pingsOutMax` counts as lost.
 *  W6. What keeps records from passing is reported (`onTrouble`) once per connection: a refused subject, a server that
 *      accepts no frames of full size, a refused reconnect.
 *  W7. An error thrown by a receiver or a reconnect listener is a bug: it goes to `onBroken`, which by default ends the
 *      process. The connection stays, since losing it would bring the same message again.
 * @module
 */
import { createConnection, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { CodedError } from '../../../sdk/errors.ts'
import { frameBytesMax } from '../../../sdk/wire/frame.ts'
import {
  type BusOptions,
  distrustError,
  payloadError,
  reconnectWaitMs,
  refusedError,
  unreachableError,
} from './connect.ts'
import { takeMemory } from './frame-memory.ts'
import { throwLater } from './listen.ts'
import { type NatsHandler, NatsParser } from './nats-parser.ts'
import { NatsWriter } from './nats-writer.ts'
import { dialTls, isDistrust, type NatsTls } from './tls.ts'
import type { Wire } from './wire.ts'

const readBytes = 256 * 1024
const connectTimeoutMs = 10_000
const pingEveryMs = 10_000
const pingsOutMax = 2

interface Subscription {
  readonly subject: string
  readonly receive: (bytes: Uint8Array, subject: string) => void
}

interface ServerInfo {
  readonly tls_required?: boolean
  readonly connect_urls?: readonly string[]
  readonly max_payload?: number
}

export interface WireOptions extends BusOptions {
  /** Index of the server tried first. Default: random, so that connections spread over all servers. */
  readonly first?: number
  /** Default: thrown where nobody catches it. */
  readonly onBroken?: (error: unknown) => void
}

/** A connection for the channels. `close` ends it at once: `flush` first to lose nothing. */
export interface NatsWire extends Wire {
  close(): void
}

/**
 * Connects, and keeps connected until closed.
 * @throws {CodedError} ERR_NATS_UNREACHABLE if no server answers within 10 s, ERR_NATS_REFUSED on wrong credentials,
 *   ERR_NATS_PAYLOAD if the server accepts no frames of full size.
 */
export async function connectWire(options: WireOptions): Promise<NatsWire> {
  const wire = new Connection(options)
  await wire.open()
  return wire
}

class Connection implements NatsWire, NatsHandler {
  readonly #options: WireOptions
  readonly #servers: string[]
  readonly #subscriptions = new Map<number, Subscription>()
  readonly #listeners = new Set<() => void>()
  /** Messages reported since the connection was made. */
  readonly #told = new Set<string>()
  /** One entry per expected PONG, in the order of the PINGs. */
  #pongs: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = []
  #socket: Socket | undefined
  #writer: NatsWriter | undefined
  #connected = false
  /** True once the subscriptions were sent on this connection; later ones are sent as they come. */
  #greeted = false
  #closed = false
  #sidNext = 1
  #serverNext: number
  #pingsOut = 0
  #pings: NodeJS.Timeout | undefined
  /** Resolved by the first INFO of a connection; rejected by what ends it before it is connected. */
  #opening: PromiseWithResolvers<void> | undefined

  constructor(options: WireOptions) {
    this.#options = options
    this.#servers = options.url.split(',')
    this.#serverNext = options.first ?? Math.floor(Math.random() * this.#servers.length)
  }

  get connected(): boolean {
    return this.#connected
  }

  /** Connects for the first time, trying each server once. */
  async open(): Promise<void> {
    let failure: unknown
    for (const _ of this.#servers) {
      try {
        return await this.#connect()
      } catch (error) {
        failure = error
        if (error instanceof CodedError) break
      }
    }
    this.close()
    throw failure instanceof CodedError ? failure : unreachableError(this.#options, failure)
  }

  publish(subject: string, bytes: Uint8Array): void {
    if (!this.#connected) return
    this.#writer!.publish(subject, bytes)
  }

  subscribe(subject: string, receive: Subscription['receive']): () => void {
    const sid = this.#sidNext++
    this.#subscriptions.set(sid, { subject, receive })
    if (this.#greeted) this.#writer?.line(`SUB ${subject} ${sid}`)
    return () => {
      if (this.#subscriptions.delete(sid) && this.#greeted) this.#writer?.line(`UNSUB ${sid}`)
    }
  }

  async flush(): Promise<void> {
    if (!this.#connected) throw new Error('the connection to NATS is down')
    await this.#ping()
  }

  onReconnect(reconnected: () => void): () => void {
    this.#listeners.add(reconnected)
    return () => this.#listeners.delete(reconnected)
  }

  close(): void {
    this.#closed = true
    this.#lose(new Error('the connection was closed'))
  }

  info(json: string): void {
    const { connect_urls: urls = [], max_payload: payloadBytesMax, ...info } = JSON.parse(json) as ServerInfo
    const known = new Set(this.#servers.map(addressOf))
    for (const url of urls) if (!known.has(addressOf(url))) this.#servers.push(url)
    if (info.tls_required === true && this.#options.tls === undefined)
      return this.#lose(distrustError(this.#options, undefined))
    if (payloadBytesMax !== undefined && payloadBytesMax < frameBytesMax)
      return this.#lose(payloadError(this.#options, payloadBytesMax, frameBytesMax))
    this.#opening?.resolve()
  }

  message(sid: number, subject: string, payload: Uint8Array): void {
    this.#guarded(() => this.#subscriptions.get(sid)?.receive(payload, subject))
  }

  #guarded(call: () => void): void {
    try {
      call()
    } catch (error) {
      const { onBroken = throwLater } = this.#options
      onBroken(error)
    }
  }

  ping(): void {
    this.#writer?.line('PONG')
  }

  pong(): void {
    this.#pingsOut = 0
    this.#pongs.shift()?.resolve()
  }

  /** Refused credentials and the like end the connection: the server closes it. A refused subject does not. */
  error(text: string): void {
    if (/^permissions violation/i.test(text))
      return this.#tell(
        `NATS refuses what the channels need: ${text}. Do its users have the permissions that Concord names?`,
      )
    const error = /authorization|authentication/i.test(text) ? refusedError(this.#options) : new Error(text)
    this.#lose(error)
  }

  /** One attempt, at the next server. */
  async #connect(): Promise<void> {
    const { host, port } = hostOf(this.#servers[this.#serverNext++ % this.#servers.length]!)
    const parser = new NatsParser(this, takeMemory)
    const { tls } = this.#options
    const secure = tls === undefined ? undefined : await this.#dial(host, port, tls)
    const socket = secure?.socket ?? this.#plain(host, port, parser)
    const opening = Promise.withResolvers<void>()
    this.#opening = opening
    this.#socket = socket
    this.#writer = new NatsWriter(socket)
    const lost = (error?: Error): void => {
      if (socket === this.#socket) this.#lose(this.#reasonOf(error))
    }
    socket.on('error', lost).on('close', () => lost())
    const timeout = setTimeout(() => lost(new Error('no answer in time')), connectTimeoutMs)
    try {
      if (secure !== undefined) {
        this.#feed(parser, secure.greeting, secure.greeting.length)
        secure.socket.on('data', (bytes) => {
          if (socket === this.#socket) this.#feed(parser, bytes, bytes.length)
        })
      }
      await opening.promise
      this.#greet()
      await this.#ping()
    } finally {
      clearTimeout(timeout)
      this.#opening = undefined
    }
    if (this.#socket !== socket) throw new Error('the connection was lost at once')
    this.#connected = true
    this.#pingsOut = 0
    this.#pings = setInterval(() => this.#keepAlive(), pingEveryMs).unref()
    this.#told.clear()
    for (const listener of [...this.#listeners]) this.#guarded(listener)
  }

  #plain(host: string, port: number, parser: NatsParser): Socket {
    const buffer = Buffer.allocUnsafeSlow(readBytes)
    const socket = createConnection({
      host,
      port,
      noDelay: true,
      onread: {
        buffer,
        callback: (bytes) => {
          if (socket === this.#socket) this.#feed(parser, buffer, bytes)
          return true
        },
      },
    })
    return socket
  }

  async #dial(host: string, port: number, tls: NatsTls) {
    const dialled = await dialTls(host, port, tls).catch((error: Error) => {
      throw this.#reasonOf(error)
    })
    if (!this.#closed) return dialled
    dialled.socket.destroy() // `close` could not: it was not ours yet
    throw new Error('the connection was closed')
  }

  /** Why a connection ended. A server that does not trust our certificate says so only after the handshake. */
  #reasonOf(error = new Error('the server closed the connection')): Error {
    return this.#options.tls !== undefined && isDistrust(error) ? distrustError(this.#options, error) : error
  }

  #feed(parser: NatsParser, buffer: Buffer, bytes: number): void {
    try {
      parser.feed(buffer, bytes)
    } catch (error) {
      this.#lose(new Error(`the server sent ${(error as Error).message}`))
    }
  }

  #greet(): void {
    const { user, password, name } = this.#options
    const login = user === undefined ? {} : { user, pass: password ?? '' }
    const greeting = {
      verbose: false,
      pedantic: false,
      lang: 'concord',
      version: '1',
      protocol: 1,
      headers: false,
    }
    this.#writer?.line(`CONNECT ${JSON.stringify({ ...greeting, name, ...login })}`)
    this.#greeted = true
    for (const [sid, { subject }] of this.#subscriptions) this.#writer?.line(`SUB ${subject} ${sid}`)
  }

  #ping(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#pongs.push({ resolve, reject })
    this.#writer?.line('PING')
    return promise
  }

  #keepAlive(): void {
    if (this.#pingsOut >= pingsOutMax) return this.#lose(new Error('the server does not answer'))
    this.#pingsOut += 1
    this.#ping().catch(() => undefined)
  }

  /** The connection is lost: waiters are rejected, and another one is tried. */
  #lose(error: Error): void {
    const socket = this.#socket
    if (socket === undefined) return
    const wasConnected = this.#connected
    this.#socket = this.#writer = undefined
    this.#connected = this.#greeted = false
    clearInterval(this.#pings)
    socket.destroy()
    const pongs = this.#pongs
    this.#pongs = []
    for (const { reject } of pongs) reject(error)
    this.#opening?.reject(error)
    if (wasConnected && !this.#closed) void this.#reconnect()
  }

  /** W6 */
  #tell(message: string): void {
    if (this.#told.has(message)) return
    this.#told.add(message)
    const { onTrouble = (text) => process.emitWarning(text) } = this.#options
    onTrouble(message)
  }

  async #reconnect(): Promise<void> {
    for (let refusals = 0; ; ) {
      await delay(reconnectWaitMs(refusals))
      if (this.#closed) return
      try {
        return await this.#connect()
      } catch (error) {
        if (!(error instanceof CodedError)) continue // W4
        this.#tell(`Records wait: ${error.message}`)
        refusals += 1
      }
    }
  }
}

function addressOf(server: string): string {
  const { host, port } = hostOf(server)
  return `${host} ${port}`
}

function hostOf(server: string): { host: string; port: number } {
  const url = new URL(server.includes('://') ? server : `nats://${server}`)
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || 4222) }
}
