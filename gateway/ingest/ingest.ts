/**
 * Ingest: the one producer of a gateway process; everything from outside enters the streams through it.
 *
 * Owns the Producer, and keeps it informed about the streams.
 *   G1. The producer knows a stream as the catalog last showed it before anything is sent to it.
 *      A stream that it cannot take as it is shown keeps none of the others back, accepts nothing, and is tried again.
 *   G2. Nothing is accepted for a stream without room; a caller that has waited `roomWaitMs` is refused.
 * @module
 */
import { isDeepStrictEqual } from 'node:util'
import { type Lane, originOf, Producer, type Spill, type Wire } from '../../infra/bus/index.ts'
import type { Clock } from '../../infra/clock.ts'
import type { OutputLedger } from '../../infra/control/messages/accounts.ts'
import type { StreamDescriptor } from '../../infra/control/messages/streams.ts'
import { type CatalogView, descriptorOf } from '../catalog/catalog.ts'
import { refuse } from '../errors.ts'
import { Batch, type Turn } from './batch.ts'

/** The wait for each chunk of a body. A body that is accepted at the pace of the consumers may take any time in total. */
export const roomWaitMs = 2000
/** Until a stream that could not be taken is tried again: mostly the server has yet to confirm what was sent before. */
const againMs = 250

export interface IngestOptions {
  readonly wire: Wire
  readonly namespace: string
  readonly gatewayId: string
  readonly clock: Clock
  readonly bufferBytesMax?: number | undefined
  /** The disk queue for consumers that use one. */
  readonly spill?: Spill | undefined
}

export class Ingest {
  readonly #producer: Producer
  readonly #clock: Clock
  readonly #turns = new Map<string, Turn>()
  #known: ReadonlySet<string> = new Set()
  /** Streams that the producer could not take as they are shown (G1). */
  #untaken: ReadonlySet<string> = new Set()
  #cancelAgain: () => void = () => undefined
  #closed = false
  /** Called when records begin to wait for a function without an instance. */
  onWant: () => void = () => undefined

  constructor({ wire, namespace, gatewayId, clock, bufferBytesMax, spill }: IngestOptions) {
    this.#clock = clock
    this.#producer = new Producer({
      ...{ wire, namespace, clock, spill },
      origin: originOf(namespace, 'ingest', gatewayId),
      epoch: 1,
      isFirst: true,
      ...(bufferBytesMax === undefined ? {} : { bufferBytesMax }),
      onWant: () => this.onWant(),
    })
  }

  /** Passes changes of the streams to the producer (G1). @returns Whether there were any. @throws what the first had that failed */
  adopt(view: CatalogView): boolean {
    this.#cancelAgain()
    let changed = false
    const failed = new Map<string, unknown>()
    this.#known = new Set(view.streams.keys())
    for (const stream of view.streams.values()) {
      const descriptor = descriptorOf(view, stream)
      if (isDeepStrictEqual(this.#producer.stream(stream.name), descriptor)) continue
      try {
        this.#setStream(descriptor)
        changed = true
      } catch (error) {
        failed.set(stream.name, error)
      }
    }
    this.#untaken = new Set(failed.keys())
    if (failed.size === 0) return changed
    if (!this.#closed) this.#cancelAgain = this.#clock.after(againMs, () => this.#adoptAgain(view))
    throw failed.values().next().value
  }

  #adoptAgain(view: CatalogView): void {
    try {
      this.adopt(view)
    } catch {} // it was thrown before, and is tried again
  }

  /** Where it has other partitions now, it was removed and made again: who read it before is gone, though no view showed that. */
  #setStream(descriptor: StreamDescriptor): void {
    const before = this.#producer.stream(descriptor.name)
    if (before !== undefined && before.partitions !== descriptor.partitions)
      this.#producer.setStream({ ...before, consumers: [] })
    this.#producer.setStream(descriptor)
  }

  knows(stream: string): boolean {
    return this.#known.has(stream)
  }

  /** Whether this gateway's own records wait for the consumer. */
  heeds(stream: string, consumer: string): boolean {
    return this.#producer.stream(stream)?.consumers.some(({ name }) => name === consumer) ?? false
  }

  /** A batch for a known stream. */
  batch(stream: string): Batch {
    const turn = this.#turns.get(stream) ?? { partition: 0 }
    this.#turns.set(stream, turn)
    return new Batch(this.#producer, this.#producer.stream(stream)!, turn)
  }

  /** @throws {CodedError} ERR_RECORD_INVALID if the stream has no such partition. */
  mustHave(name: string, partition: number): void {
    const { partitions } = this.#producer.stream(name)!
    if (partition < partitions) return
    const text = `Cannot send a record to partition ${partition} of '${name}': it has 0 to ${partitions - 1}.`
    throw refuse('ERR_RECORD_INVALID', text)
  }

  /** Whether the producer has the stream as the catalog last showed it (G1). */
  hasTaken(stream: string): boolean {
    return !this.#untaken.has(stream)
  }

  writable(stream: string): boolean {
    return this.hasTaken(stream) && this.#producer.writable(stream)
  }

  /** Waits for room (G2). @throws {CodedError} ERR_STREAM_FULL, or the signal's reason */
  async room(stream: string, signal: AbortSignal): Promise<void> {
    if (!this.#producer.writable(stream)) await this.#ready(stream, signal)
    if (this.hasTaken(stream)) return
    throw refuse(
      'ERR_STREAM_FULL',
      `Stream '${stream}' takes no more for now: it has other partitions than before, and what was sent to those is not confirmed yet. Go on after a second, behind the records accepted.`,
    )
  }

  async #ready(stream: string, signal: AbortSignal): Promise<void> {
    const full = refuse(
      'ERR_STREAM_FULL',
      `Stream '${stream}' takes no more for now: its consumers are behind. Go on after a second, behind the records accepted.`,
    )
    const deadline = new AbortController()
    const stop = this.#clock.after(roomWaitMs, () => deadline.abort(full))
    try {
      await this.#producer.ready(stream, AbortSignal.any([deadline.signal, signal]))
    } finally {
      stop()
    }
  }

  /** The lane to a consumer that queues. */
  lane(consumer: string, stream: string): Lane | undefined {
    return this.#producer.lane(consumer, stream)
  }

  ledger(): OutputLedger[] {
    return this.#producer.ledger()
  }

  /**
   * Waits until everything is acknowledged or the signal aborts, then closes.
   * @returns How many records are given up.
   */
  async close(signal: AbortSignal): Promise<number> {
    await this.#producer.settled(signal).catch(() => undefined)
    this.#closed = true
    this.#cancelAgain()
    const records = this.#producer.unsettledRecords
    await this.#producer.close()
    return records
  }
}
