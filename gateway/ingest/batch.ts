/**
 * Batch: collects records of one stream into frames, one frame a partition at a time.
 *
 *   B1. Records of one key keep their order: they go to the same partition, and its frames leave in order.
 *   B2. No waiting frame exceeds `frameBytesAimed` when a record is added.
 * @module
 */
import type { Producer } from '../../infra/bus/index.ts'
import type { StreamDescriptor } from '../../infra/control/messages/streams.ts'
import {
  frameBytesAimed,
  frameBytesMax,
  frameOf,
  headerBytesV1,
  type RawRecord,
  recordBytes,
} from '../../sdk/wire/frame.ts'
import { partitionOf } from '../../sdk/wire/hash.ts'

interface OpenFrame {
  readonly records: RawRecord[]
  bytes: number
}

/** The partition for records without a key; it moves on by one with each frame. */
export interface Turn {
  partition: number
}

export class Batch {
  readonly #producer: Pick<Producer, 'send'>
  readonly #stream: StreamDescriptor
  readonly #turn: Turn
  readonly #frames = new Map<number, OpenFrame>()
  /** Records handed to the producer. */
  sent = 0

  constructor(producer: Pick<Producer, 'send'>, stream: StreamDescriptor, turn: Turn) {
    this.#producer = producer
    this.#stream = stream
    this.#turn = turn
  }

  /** @param partition Overrides the partition of the key's hash. */
  add(record: RawRecord, partition = this.#partitionOf(record.key)): void {
    const bytes = recordBytes(record.key.length, record.value.length)
    const before = this.#frames.get(partition)
    if (before !== undefined && before.bytes + bytes > frameBytesMax) this.#send(partition, before)
    const frame = this.#frames.get(partition) ?? { records: [], bytes: headerBytesV1 }
    this.#frames.set(partition, frame)
    frame.records.push(record)
    frame.bytes += bytes
    if (frame.bytes >= frameBytesAimed) this.#send(partition, frame)
  }

  /** Sends the frames that are left. */
  flush(): void {
    for (const [partition, frame] of this.#frames) this.#send(partition, frame)
  }

  #partitionOf(key: Uint8Array): number {
    const { keyed, partitions } = this.#stream
    return keyed || key.length > 0 ? partitionOf(key, partitions) : this.#turn.partition % partitions
  }

  #send(partition: number, { records }: OpenFrame): void {
    this.#frames.delete(partition)
    this.#producer.send(this.#stream.name, partition, frameOf(records), records.length)
    this.sent += records.length
    if (partition === this.#turn.partition % this.#stream.partitions) this.#turn.partition = partition + 1
  }
}
