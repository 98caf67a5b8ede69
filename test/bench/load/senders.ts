/**
 * How a load producer sends: through a channel of Concord's, as bare frames, or one message a record.
 *
 * Bare frames and messages have no credits, so the sink tells now and then how many records of each producer it has, and
 * a sender keeps no more than a window of them on their way: else it would queue without bound. All go over the same kind of
 * connection, so that what is compared is what stands in the middle.
 * @module
 */
import { connectWire, originOf, Producer, takeMemory, type Wire } from '../../../infra/bus/index.ts'
import { systemClock } from '../../../infra/clock.ts'
import { headerBytesV1, recordHeaderBytes } from '../../../sdk/wire/frame.ts'
import { namespace, streamOf } from '../stage/runner.ts'
import { partitions, recordStride, type TapeFrame } from './workload.ts'

export type Transport = 'channel' | 'frames' | 'messages'

/** Records on their way from one producer, without a channel. */
export const windowRecords = 30_000

export interface Sender {
  /** Sends a frame of a tape, whose records were numbered before. */
  send(frame: TapeFrame): void
  /** Undefined if there is room. */
  room(): Promise<void> | undefined
  /** Resolves when all has left. */
  settled(): Promise<void>
}

export interface SenderOptions {
  readonly url: string
  readonly transport: Transport
  /** The stream's name, or the prefix of the subjects. */
  readonly stream: string
  readonly consumer: string
  readonly index: number
}

export async function openSender(options: SenderOptions): Promise<Sender> {
  const wire = await connectWire({ url: options.url, name: `bench-producer-${options.index}` })
  return options.transport === 'channel' ? new ChannelSender(wire, options) : new BareSender(wire, options)
}

class ChannelSender implements Sender {
  readonly #producer: Producer
  readonly #stream: string

  constructor(wire: Wire, { stream, consumer, index }: SenderOptions) {
    this.#stream = stream
    const origin = originOf(namespace, 'load', index)
    this.#producer = new Producer({ wire, namespace, origin, epoch: 1, clock: systemClock, isFirst: true })
    this.#producer.setStream(streamOf(stream, partitions, [consumer]))
  }

  /** A copy: the producer keeps it until it is acknowledged. */
  send(frame: TapeFrame): void {
    const bytes = takeMemory(frame.bytes.length)
    bytes.set(frame.bytes)
    this.#producer.send(this.#stream, frame.partition, bytes, frame.count)
  }

  room(): Promise<void> | undefined {
    return this.#producer.writable(this.#stream) ? undefined : this.#producer.ready(this.#stream)
  }

  settled(): Promise<void> {
    return this.#producer.settled()
  }
}

class BareSender implements Sender {
  readonly #wire: Wire
  readonly #subjects: readonly string[]
  readonly #messages: boolean
  #sent = 0
  #received = 0
  #wake: () => void = () => undefined

  constructor(wire: Wire, { transport, stream, index }: SenderOptions) {
    this.#wire = wire
    this.#messages = transport === 'messages'
    this.#subjects = Array.from({ length: partitions }, (_, p) => `${namespace}.${stream}.${p}`)
    wire.subscribe(receivedSubject(index), (bytes) => {
      this.#received = Number(new TextDecoder().decode(bytes))
      this.#wake()
    })
  }

  /** Where they lie: a frame's turn comes again only when what was sent after it was received. */
  send({ bytes, partition, count }: TapeFrame): void {
    const subject = this.#subjects[partition]!
    this.#sent += count
    if (!this.#messages) return this.#wire.publish(subject, bytes)
    for (let i = 0, at = headerBytesV1; i < count; i++, at += recordStride)
      this.#wire.publish(subject, bytes.subarray(at + recordHeaderBytes, at + recordStride))
  }

  room(): Promise<void> | undefined {
    return this.#sent - this.#received < windowRecords ? undefined : this.#halfEmpty()
  }

  settled(): Promise<void> {
    return this.#wire.flush()
  }

  async #halfEmpty(): Promise<void> {
    while (this.#sent - this.#received > windowRecords / 2)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
  }
}

/** Where the sink tells a producer how many of its records have come. */
export function receivedSubject(index: number): string {
  return `${namespace}.received.${index}`
}
