/**
 * SimNet: a NATS server and its connections in memory, for property tests of the channels: order kept on each
 * connection, everything in flight lost when one is cut, and a cut noticed only when the test says so.
 * @module
 */
import type { Wire } from './wire.ts'

interface Message {
  readonly subject: string
  readonly bytes: Uint8Array
}

type Outbound = Message | { readonly pong: () => void; readonly lost: () => void }
type Inbound =
  | { readonly receive: (bytes: Uint8Array, subject: string) => void; readonly message: Message }
  | { readonly pong: () => void; readonly lost: () => void }

type Receivers = Set<(bytes: Uint8Array, subject: string) => void>
const none: Receivers = new Set()

/** Messages are copied into this until it is full: memory of its own for each would take most of a history's time. */
let pool = new Uint8Array(0)
let pooled = 0
const poolBytes = 65_536

export class SimNet {
  readonly #clients: SimClient[] = []

  connect(): SimClient {
    const client = new SimClient()
    this.#clients.push(client)
    return client
  }

  /** Moves one queued message on; `choice` picks which. @returns Whether anything was queued. */
  step(choice: number): boolean {
    let moves = 0
    for (const { outbound, inbound } of this.#clients)
      moves += (outbound.length > 0 ? 1 : 0) + (inbound.length > 0 ? 1 : 0)
    if (moves === 0) return false
    let left = choice % moves
    for (const client of this.#clients) {
      if (client.outbound.length > 0 && left-- === 0) this.#toServer(client)
      else if (client.inbound.length > 0 && left-- === 0) toClient(client)
      else continue
      break
    }
    return true
  }

  /** The server reads all that a client has written so far. */
  drain(client: SimClient): void {
    while (client.outbound.length > 0) this.#toServer(client)
  }

  #toServer(from: SimClient): void {
    const sent = from.outbound.shift()!
    if ('pong' in sent) {
      from.inbound.push(sent)
      return
    }
    for (const client of this.#clients) if (!client.cut) client.hear(sent)
  }
}

function toClient(client: SimClient): void {
  const received = client.inbound.shift()!
  if ('pong' in received) received.pong()
  else received.receive(received.message.bytes, received.message.subject)
}

/** A publisher may use its memory again at once. */
function copyOf(bytes: Uint8Array): Uint8Array {
  if (bytes.length > poolBytes / 8) return bytes.slice()
  if (pooled + bytes.length > pool.length) {
    pool = new Uint8Array(poolBytes)
    pooled = 0
  }
  const copy = pool.subarray(pooled, pooled + bytes.length)
  copy.set(bytes)
  pooled += bytes.length
  return copy
}

function matches(want: readonly string[], have: readonly string[]): boolean {
  return want.length === have.length && want.every((token, i) => token === '*' || token === have[i])
}

export class SimClient implements Wire {
  connected = true
  /** True while the link is broken, noticed or not. */
  cut = false
  killed = false
  outbound: Outbound[] = []
  inbound: Inbound[] = []
  /** By subject, and by pattern. */
  readonly #exact = new Map<string, Receivers>()
  readonly #patterns = new Map<string, Receivers>()
  readonly #listeners = new Set<() => void>()

  publish(subject: string, bytes: Uint8Array): void {
    if (!this.cut) this.outbound.push({ subject, bytes: copyOf(bytes) })
  }

  subscribe(subject: string, receive: (bytes: Uint8Array, subject: string) => void): () => void {
    const subscriptions = subject.includes('*') ? this.#patterns : this.#exact
    const receivers: Receivers = subscriptions.get(subject) ?? new Set()
    receivers.add(receive)
    subscriptions.set(subject, receivers)
    return () => receivers.delete(receive)
  }

  /** The server passes a message on to who has subscribed to it. */
  hear(message: Message): void {
    const { subject } = message
    for (const receive of this.#exact.get(subject) ?? none) this.inbound.push({ receive, message })
    if (this.#patterns.size === 0) return
    const have = subject.split('.')
    for (const [pattern, receivers] of this.#patterns)
      if (matches(pattern.split('.'), have))
        for (const receive of receivers) this.inbound.push({ receive, message })
  }

  flush(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.cut) this.#orphans.push(() => reject(new Error('disconnected')))
      else this.outbound.push({ pong: resolve, lost: () => reject(new Error('disconnected')) })
    })
  }

  onReconnect(reconnected: () => void): () => void {
    this.#listeners.add(reconnected)
    return () => this.#listeners.delete(reconnected)
  }

  /** Breaks the link: everything in flight, both ways, is lost. */
  break(): void {
    this.cut = true
    for (const flight of [...this.outbound, ...this.inbound])
      if ('lost' in flight) this.#orphans.push(flight.lost)
    this.outbound = []
    this.inbound = []
  }

  /** The client notices, as nats.js does: from its status, before it dials. */
  notice(): void {
    if (this.cut) this.connected = false
  }

  /** Reconnects: pending flushes fail, then the listeners are called. */
  reconnect(): void {
    if (!this.cut) return
    this.connected = false
    for (const lost of this.#orphans.splice(0)) lost()
    this.cut = false
    this.connected = true
    for (const listener of [...this.#listeners]) listener()
  }

  /** Kills the process: it neither sends nor receives any more. */
  kill(): void {
    this.killed = true
    this.break()
    this.#exact.clear()
    this.#patterns.clear()
    this.#listeners.clear()
  }

  readonly #orphans: (() => void)[] = []
}
