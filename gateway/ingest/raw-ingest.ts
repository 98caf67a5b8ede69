/**
 * RawIngest: accepts raw records, one a message, from any NATS client (`concord.NS.in.STREAM`).
 *
 * Runs only in the leading gateway of a namespace. Core NATS has no back-pressure, so records for a stream without
 * room are dropped and counted.
 *   W1. Each message is accepted once: only the leader subscribes.
 *   W2. Every message that is not accepted is counted, with the reason.
 * @module
 */
import type { Msg } from '@nats-io/transport-node'
import { listen, type NatsConnection, subjects } from '../../infra/bus/index.ts'
import type { Clock } from '../../infra/clock.ts'
import type { Log } from '../../infra/log.ts'
import { checkRecordSize } from '../../sdk/wire/frame.ts'
import type { GatewayMetrics } from '../metrics.ts'
import type { Batch } from './batch.ts'
import type { Ingest } from './ingest.ts'

/** Header values are text, so a binary key is sent in base64. */
export const keyHeader = 'Concord-Key'
export const keyBase64Header = 'Concord-Key-Base64'

const complainEveryMs = 10_000

export interface RawIngestOptions {
  readonly nc: NatsConnection
  readonly namespace: string
  readonly ingest: Ingest
  readonly clock: Clock
  readonly metrics: GatewayMetrics
  readonly log: Log
}

/** `malformed`: its headers cannot be read. */
export type RawDropReason = 'unknownStream' | 'malformed' | 'noRoom' | 'tooLarge'

export class RawIngest {
  readonly #options: RawIngestOptions
  readonly #batches = new Map<string, Batch>()
  #complainedAtMs = Number.NEGATIVE_INFINITY
  /** Counts since the start of the process, reported in the heartbeat. */
  readonly dropped: Record<RawDropReason, number> = { unknownStream: 0, malformed: 0, noRoom: 0, tooLarge: 0 }

  constructor(options: RawIngestOptions) {
    this.#options = options
    // A counter that begins with its first loss hides it: Prometheus sees no increase.
    for (const reason of Object.keys(this.dropped)) options.metrics.rawDropped.inc({ reason }, 0)
  }

  /** Starts to accept records. @returns A function that stops it. */
  start(): () => void {
    const { nc, namespace } = this.#options
    const stop = listen(nc, subjects.ingestSubject(namespace, '*'), (message) => this.#take(message))
    return () => {
      stop()
      this.#flush()
    }
  }

  #take(message: Msg): void {
    const { ingest, clock, metrics } = this.#options
    const stream = message.subject.slice(message.subject.lastIndexOf('.') + 1)
    const { data: value } = message
    if (!ingest.knows(stream)) return this.#drop(stream, 'unknownStream')
    const key = keyOf(message)
    if (key === undefined) return this.#drop(stream, 'malformed')
    if (!ingest.writable(stream)) return this.#drop(stream, 'noRoom')
    if (!fits(key, value)) return this.#drop(stream, 'tooLarge')
    this.#batch(stream).add({ key, value, timeMs: clock.nowMs() })
    metrics.rawTaken.inc({ stream })
  }

  /** Messages that arrive together share a batch: it ends with the turn of the event loop. */
  #batch(stream: string): Batch {
    const open = this.#batches.get(stream)
    if (open !== undefined) return open
    if (this.#batches.size === 0) setImmediate(() => this.#flush())
    const batch = this.#options.ingest.batch(stream)
    this.#batches.set(stream, batch)
    return batch
  }

  #flush(): void {
    for (const batch of this.#batches.values()) batch.flush()
    this.#batches.clear()
  }

  #drop(stream: string, reason: RawDropReason): void {
    const { clock, metrics, log } = this.#options
    this.dropped[reason] += 1
    metrics.rawDropped.inc({ reason })
    if (clock.monotonicMs() - this.#complainedAtMs < complainEveryMs) return
    this.#complainedAtMs = clock.monotonicMs()
    log.warn({ stream: stream.slice(0, 100), reason, dropped: this.dropped }, 'raw records are dropped')
  }
}

/** @returns Undefined if its headers cannot be read: the client library decodes them only now. */
function keyOf(message: Msg): Uint8Array | undefined {
  try {
    const key = message.headers?.get(keyHeader) ?? ''
    const keyBase64 = message.headers?.get(keyBase64Header) ?? ''
    return keyBase64 === '' ? Buffer.from(key) : Buffer.from(keyBase64, 'base64')
  } catch {
    return undefined
  }
}

function fits(key: Uint8Array, value: Uint8Array): boolean {
  try {
    checkRecordSize(key.length, value.length)
    return true
  } catch {
    return false
  }
}
