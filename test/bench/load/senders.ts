/**
 * How a load producer sends: through a channel of Concord's, as bare frames, or one message a record.
 *
 * Bare frames and messages have no credits, so the sink tells now and then how many records of each producer it has, and
 * a sender keeps no more than a window of them on their way: else the client would queue without bound.
 * @module
 */
import {
  connectBus,
  connectWire,
  type NatsConnection,
  originOf,
  Producer,
  takeMemory,
  type Wire,
} from '../../../infra/bus/index.ts'
import { systemClock } from '../../../infra/clock.ts'
import { headerBytesV1, recordHeaderBytes } from '../../../sdk/frame.ts'
import { namespace, streamOf } from '../stage/runner.ts'
import { partitions, recordStride, type TapeFrame, writeNumbers } from './workload.ts'

export type Transport = 'channel' | 'frames' | 'messages'

/** Records on their way from one producer, without a channel. */
export const windowRecords = 30_000

export interface Sender {
  /** Numbers the records of a frame of the tape from `first`, and sends them. */
  send(frame: TapeFrame, first: number): void
  /** Undefined if there is room. */
  room(): Promise<void> | undefined
  /** Resolves when all is received. */
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
  const connection = { url: options.url, name: `bench-producer-${options.index}` }
  return options.transport === 'channel'
    ? new ChannelSender(await connectWire(connection), options)
    : new BareSender(await connectBus(connection), options)
}

class ChannelSender implements Sender {
  readonly #producer: Producer
  readonly #stream: string

  constructor(wire: Wire, { stream, consumer, index }: SenderOptions) {
    this.#stream = stream
    const origin = originOf(namespace, 'load', index)
    this.#producer = new Producer({ wire, namespace, origin, epoch: 1, clock: systemClock })
    this.#producer.setStream(streamOf(stream, partitions, [consumer]))
  }

  /** A copy: the producer keeps it until it is acknowledged. */
  send(frame: TapeFrame, first: number): void {
    const bytes = takeMemory(frame.bytes.length)
    bytes.set(writeNumbers(frame, first))
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
  readonly #nc: NatsConnection
  readonly #subjects: readonly string[]
  readonly #messages: boolean
  #sent = 0
  #received = 0
  #wake: () => void = () => undefined

  constructor(nc: NatsConnection, { transport, stream, index }: SenderOptions) {
    this.#nc = nc
    this.#messages = transport === 'messages'
    this.#subjects = Array.from({ length: partitions }, (_, p) => `${namespace}.${stream}.${p}`)
    nc.subscribe(receivedSubject(index), {
      callback: (_, message) => {
        this.#received = Number(message.string())
        this.#wake()
      },
    })
  }

  send(frame: TapeFrame, first: number): void {
    const bytes = writeNumbers(frame, first)
    const subject = this.#subjects[frame.partition]!
    this.#sent += frame.count
    if (!this.#messages) return this.#nc.publish(subject, bytes)
    for (let i = 0, at = headerBytesV1; i < frame.count; i++, at += recordStride)
      this.#nc.publish(subject, bytes.subarray(at + recordHeaderBytes, at + recordStride))
  }

  room(): Promise<void> | undefined {
    return this.#sent - this.#received < windowRecords ? undefined : this.#until(windowRecords / 2)
  }

  settled(): Promise<void> {
    return this.#until(0)
  }

  async #until(onTheirWay: number): Promise<void> {
    while (this.#sent - this.#received > onTheirWay)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
  }
}

/** Where the sink tells a producer how many of its records have come. */
export function receivedSubject(index: number): string {
  return `${namespace}.received.${index}`
}
