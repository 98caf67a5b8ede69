/**
 * Producer: the sending side of one process incarnation: an instance's outputs, or a gateway's ingest.
 *
 * Owns an OutPartition for each partition to which it has sent, stamps and publishes what credits allow, listens for
 * credits and claims, and sends beacons. How far what it has taken is, and who waits for it, is up to its Milestones. Protocol
 * and reasons: docs/design/0002-channels.md.
 *
 * Invariants:
 *  P5. Frames of a partition are published in the order of their sequences (I2).
 *  P6. At most twice `unconfirmedBytesMax` (confirmation.ts) and a frame are in the client's buffers without confirmation.
 *  P7. Nothing is published while the connection is known to be down; when it is back, everything unconfirmed is sent again.
 * @module
 */
import { randomBytes } from 'node:crypto'
import { CodedError } from '../../../sdk/errors.ts'
import { isQueueMode } from '../../../sdk/manifest/back-pressure.ts'
import { type Id64, parseId64, stampHeader } from '../../../sdk/wire/frame.ts'
import type { Clock } from '../../clock.ts'
import type { AllowanceRow, OutputLedger } from '../../control/messages/accounts.ts'
import type { StreamDescriptor } from '../../control/messages/streams.ts'
import { creditVersionMax, readCredit } from '../messages/credit.ts'
import { creditSubject, outSubject } from '../messages/subjects.ts'
import { windowFor } from '../messages/windows.ts'
import { giveBackMemory } from '../wire/frame-memory.ts'
import { unlessAborted } from '../wire/waiters.ts'
import type { Wire } from '../wire/wire.ts'
import { Beacons } from './beacons.ts'
import { ClaimListener } from './claim-listener.ts'
import { Confirmation } from './confirmation.ts'
import type { Lane, Spill } from './lane.ts'
import type { LaneBasis } from './lanes.ts'
import { Milestones } from './milestones.ts'
import type { OutFrame } from './out-frames.ts'
import { OutPartition } from './out-partition.ts'
import {
  allowancesOf,
  allowancesWith,
  bufferedBytes,
  eachPart,
  newStream,
  type OutStream,
  outputLedger,
  partsOf,
} from './out-stream.ts'

export interface ProducerOptions {
  readonly wire: Wire
  readonly namespace: string
  /** The producing slot, 16 hex digits: see `originOf`. */
  readonly origin: string
  /** Grows with each holder of the slot. */
  readonly epoch: number
  readonly clock: Clock
  /** Bytes held and retained for one stream beyond which `writable` is false. */
  readonly bufferBytesMax?: number
  /** Where `enqueue` stores frames; without it they stay in memory, up to the same bound. */
  readonly spill?: Spill | undefined
  /** It has no inputs to acknowledge, so what a killed owner has not touched can go to the next one (0002). */
  readonly isFirst?: boolean
  /** Called when something begins to wait for a consumer without an owner, which the scheduler may have to start. */
  readonly onWant?: () => void
  /**
   * Called with the bounds of all streams before more is sent than the last ones cover, or to one more partition; and with
   * what a gone owner has left before the next one continues. Absent if nobody hears them.
   */
  readonly onAllowance?: ((rows: readonly AllowanceRow[]) => void) | undefined
}

export class Producer {
  readonly id = randomBytes(8).toString('hex')
  readonly #options: ProducerOptions
  readonly #id64: Id64
  readonly #origin64: Id64
  /** The version of credits that it asks for: from version 2 on they tell what was touched. */
  readonly #creditVersion: number
  readonly #streams = new Map<string, OutStream>()
  readonly #claims: ClaimListener
  readonly #confirmation: Confirmation
  readonly #beacons: Beacons
  readonly #laneBasis: LaneBasis
  readonly #milestones: Milestones
  /** Raised epochs, by origin; raised again after a reconnect. */
  readonly #fences = new Map<string, number>()
  readonly #stops: (() => void)[]
  #closed = false

  constructor(options: ProducerOptions) {
    this.#options = options
    this.#id64 = parseId64(this.id)
    this.#origin64 = parseId64(options.origin)
    const { wire, namespace, spill, clock, epoch, bufferBytesMax, isFirst = false } = options
    this.#creditVersion = isFirst ? creditVersionMax : 1
    this.#beacons = new Beacons(options, this.#id64, this.#origin64, this.#creditVersion)
    this.#milestones = new Milestones({
      ...{ clock, streams: this.#streams, bufferBytesMax },
      ask: (out) => this.#beacons.send(out),
      confirm: () => this.#confirmation.now(),
    })
    this.#claims = new ClaimListener({
      ...{ wire, namespace, streams: this.#streams, tell: (out) => this.#beacons.send(out) },
    })
    this.#confirmation = new Confirmation({
      ...{ wire, clock, isAwaited: () => this.#milestones.awaitsServer },
      onConfirmed: (ticket) => this.#onConfirmed(ticket),
    })
    this.#laneBasis = {
      ...{ spill, clock, onMoved: (out) => this.#onMoved(out) },
      onReading: (stream, records) => this.#streams.get(stream)?.allowance?.spend(records),
      stamp: { id: this.id, producer: this.#id64, origin: this.#origin64, epoch },
    }
    this.#stops = [
      wire.subscribe(creditSubject(namespace, this.id), (bytes) => this.#onCredit(bytes)),
      wire.onReconnect(() => this.#onReconnect()),
    ]
  }

  /**
   * Makes a stream known, or changes its consumers. Its number of partitions can change only while nobody reads it, when it
   * was removed and created again; sequences continue, so that no record is taken for a repeat.
   * @throws {CodedError} ERR_STREAM_PARTITIONS
   */
  setStream(descriptor: StreamDescriptor): void {
    const stream = this.#streams.get(descriptor.name)
    if (stream === undefined) {
      const tell = this.#options.onAllowance && (() => this.#tellAllowances())
      this.#streams.set(descriptor.name, newStream(descriptor, this.#laneBasis, tell))
    } else {
      const read = stream.descriptor.consumers.length > 0 || bufferedBytes(stream) > 0
      if (read && stream.descriptor.partitions !== descriptor.partitions) {
        throw new CodedError(
          'ERR_STREAM_PARTITIONS',
          `Cannot change stream '${descriptor.name}' from ${stream.descriptor.partitions} to ${descriptor.partitions} partitions while it is written`,
        )
      }
      // Held records were spread without regard to keys: they are not for a new consumer that groups.
      const regrouped = descriptor.keyed && !stream.descriptor.keyed
      stream.closed.change(descriptor, partsOf(stream))
      stream.descriptor = descriptor
      for (const partition of stream.partitions)
        if (partition !== undefined) this.#setConsumers(partition, descriptor, regrouped ? 'next' : 'unsent')
      stream.lanes.set(descriptor)
      stream.allowance?.changed()
      stream.told = undefined
    }
    this.#claims.listen()
    if (stream === undefined) return
    this.#pumpAll(stream)
    this.#milestones.look()
  }

  /** Makes the producer known to the owners downstream ahead of time, so that the first frame need not wait for credit. */
  open(names: readonly string[]): void {
    for (const stream of names.flatMap((name) => this.#streams.get(name) ?? []))
      for (let index = 0; index < stream.descriptor.partitions; index++) this.#partition(stream, index)
  }

  /** The stream as it was last set. */
  stream(name: string): StreamDescriptor | undefined {
    return this.#streams.get(name)?.descriptor
  }

  /**
   * Sends a frame made by `frameOf` or the runtime: header space first, unstamped. It is always taken; callers ask
   * `writable` first. Ownership of the bytes passes.
   * @throws {CodedError} ERR_STREAM_UNKNOWN if `setStream` was not called.
   */
  send(streamName: string, partition: number, frame: Uint8Array, count: number): void {
    const stream = this.#known(streamName)
    const out = this.#partition(stream, partition)
    const nowMs = this.#options.clock.monotonicMs()
    for (const lane of stream.lanes) {
      this.#add(stream, lane.partition(partition), frame, count, nowMs) // it copies
      stream.allowance?.spend(count)
    }
    this.#add(stream, out, frame, count, nowMs)
  }

  /** The lane of a consumer that queues. */
  lane(consumer: string, streamName: string): Lane | undefined {
    return this.#streams.get(streamName)?.lanes.of(consumer)
  }

  #add(stream: OutStream, out: OutPartition, frame: Uint8Array, count: number, nowMs: number): void {
    const waited = out.lacksOwner
    out.add(frame, count, nowMs)
    this.#pump(stream, out)
    this.#beacons.plan(out)
    if (!waited && out.lacksOwner) this.#options.onWant?.()
  }

  /** False when more than the bound is held or retained for the stream: wait for `ready`. */
  writable(streamName: string): boolean {
    return this.#milestones.hasRoom(this.#known(streamName))
  }

  /** Resolves when the stream is writable. @throws the signal's reason */
  async ready(streamName: string, signal?: AbortSignal): Promise<void> {
    await this.#milestones.ready(this.#known(streamName), signal)
  }

  /** Bytes taken and not sent yet, of all streams. */
  get heldBytes(): number {
    return this.#milestones.heldBytes
  }

  /** Records taken and not acknowledged by all consumers that they wait for: `close` gives them up. */
  get unsettledRecords(): number {
    return this.#milestones.unsettledRecords
  }

  /** True when everything taken was sent at least once, to an owner of each consumer that it waits for. */
  get isSent(): boolean {
    return this.#milestones.isSent
  }

  /** Resolves when everything taken was sent so. @throws the signal's reason */
  sent(signal?: AbortSignal): Promise<void> {
    return this.#milestones.sent(signal)
  }

  /**
   * Resolves when everything taken until now was accepted: it is in the queues of the owners downstream, in order. They are
   * asked once it was sent, once for all waiters, since by themselves they would say so only with their next batch. Those of lanes
   * have half a second (MS2 of milestones.ts).
   * @throws the signal's reason
   */
  accepted(signal?: AbortSignal): Promise<void> {
    return this.#milestones.accepted(signal)
  }

  /** True when everything taken is safe: with the owners downstream, in order, or stored if it queues. */
  get isSafe(): boolean {
    return this.#milestones.isSafe
  }

  /** Resolves when everything taken until now is safe; with false if this was closed before. @throws the signal's reason */
  safe(signal?: AbortSignal): Promise<boolean> {
    return this.#milestones.safe(signal)
  }

  /**
   * Makes receivers refuse frames of lower epochs of this slot, or of another slot whose holder is gone (I8). Called before
   * inputs are claimed, so that whatever an earlier holder still sends comes too late.
   */
  fence(origin = this.#options.origin, epoch = this.#options.epoch): void {
    this.#fences.set(origin, epoch)
    this.#beacons.raise(origin, epoch, this.#streams.values())
  }

  /** True when every frame is acknowledged by all consumers that it waits for. */
  get isSettled(): boolean {
    return this.#milestones.isSettled
  }

  /** Resolves when every frame is acknowledged by all consumers that it waits for. @throws the signal's reason */
  settled(signal?: AbortSignal): Promise<void> {
    return this.#milestones.settled(signal)
  }

  /** One row per (stream, consumer), partitions added up (I7), with allowances until it is closed. */
  ledger(): OutputLedger[] {
    const nowMs = this.#closed ? undefined : this.#options.clock.monotonicMs()
    return outputLedger(this.#streams.values(), this.id, nowMs)
  }

  /** Stops sending. What is held or unacknowledged is forgotten: await `settled` first to lose nothing. */
  async close(signal?: AbortSignal): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#confirmation.stop()
    this.#beacons.stop()
    for (const { lanes } of this.#streams.values()) lanes.close()
    for (const stop of this.#stops) stop()
    this.#claims.stop()
    this.#milestones.close()
    if (!this.#options.wire.connected) return
    const flushed = this.#options.wire.flush().catch(() => undefined)
    await unlessAborted(flushed, signal) // a frozen server never answers
  }

  #known(name: string): OutStream {
    const stream = this.#streams.get(name)
    if (stream !== undefined) return stream
    throw new CodedError(
      'ERR_STREAM_UNKNOWN',
      `Cannot write stream '${name}': this producer was not told of it`,
    )
  }

  #partition(stream: OutStream, index: number): OutPartition {
    const { name, partitions } = stream.descriptor
    if (index >= partitions) {
      throw new RangeError(`Cannot write partition ${index} of '${name}', which has ${partitions}`)
    }
    const existing = stream.partitions[index]
    if (existing !== undefined) return existing
    const made = new OutPartition(name, index, giveBackMemory, {
      ownerlessBytes: windowFor(undefined, partitions),
    })
    this.#setConsumers(made, stream.descriptor)
    stream.partitions[index] = made
    return made
  }

  #setConsumers(out: OutPartition, descriptor: StreamDescriptor, from?: 'unsent' | 'next'): void {
    const consumers = descriptor.consumers
      .filter((c) => !isQueueMode(c.backPressure))
      .map((c) => ({ name: c.name, blocking: c.backPressure === 'block', instead: c.instead }))
    if (out.setConsumers(consumers, from)) this.#beacons.send(out)
  }

  #onMoved(out: OutPartition): void {
    const stream = this.#streams.get(out.stream)
    if (stream !== undefined) this.#pump(stream, out)
    this.#beacons.plan(out)
    this.#milestones.look()
  }

  /** Publishes what credits allow. */
  #pump(stream: OutStream, out: OutPartition): void {
    const { wire, namespace } = this.#options
    while (wire.connected && !this.#closed && this.#confirmation.hasRoom) {
      const frame = out.send(this.#confirmation.ticket)
      if (frame === undefined) break
      if (out.begins.length > 0)
        this.#options.onAllowance?.(allowancesWith(this.#streams.values(), stream, out.begins))
      stream.allowance?.spend(frame.count) // after the frame was counted, since it may add everything up
      const bytes = bytesOf(frame)
      stampHeader(bytes, {
        flags: 0,
        partition: out.partition,
        producer: this.#id64,
        origin: this.#origin64,
        epoch: this.#options.epoch,
        count: frame.count,
        sequence: frame.sequence,
        creditVersion: this.#creditVersion,
      })
      wire.publish(outSubject(namespace, out), bytes)
      this.#confirmation.published(bytes.length)
    }
    this.#confirmation.inTime()
  }

  #pumpAll(stream: OutStream): void {
    for (const out of partsOf(stream)) this.#pump(stream, out)
  }

  #tellAllowances(): void {
    this.#options.onAllowance?.(allowancesOf(this.#streams.values()))
  }

  #onConfirmed(ticket: number): void {
    if (this.#closed) return
    for (const stream of this.#streams.values())
      eachPart(stream, (out) => {
        out.confirm(ticket)
        if (out.waiting) this.#pump(stream, out)
      })
    this.#confirmation.inTime()
    this.#milestones.look()
  }

  #onReconnect(): void {
    this.#confirmation.restart()
    this.#tellAllowances() // what was told meanwhile may be lost
    for (const [origin, epoch] of this.#fences) this.#beacons.raise(origin, epoch, this.#streams.values())
    for (const stream of this.#streams.values()) {
      for (const out of partsOf(stream)) {
        out.rewind()
        if (out.waiting || out.hasAside) this.#beacons.send(out)
      }
    }
    // After the consumer has repeated what it touched, which the same reconnect makes it do: that was not heard meanwhile (0002).
    queueMicrotask(() => {
      for (const stream of this.#streams.values()) this.#pumpAll(stream)
      this.#milestones.look()
    })
  }

  #onCredit(bytes: Uint8Array): void {
    const credit = readCredit(bytes)
    giveBackMemory(bytes)
    if (credit === undefined) return
    for (const entry of credit.entries) {
      const stream = this.#streams.get(entry.stream)
      const lane = stream?.lanes.of(credit.consumer)
      const out = (lane ?? stream)?.partitions[entry.partition]
      if (stream === undefined || out === undefined) continue
      const { beacon, moved, settles } = out.credit(credit.consumer, credit.owner, credit.epoch, entry)
      if (settles) this.#tellAllowances() // before the next owner takes anything behind it
      if (beacon) this.#beacons.send(out)
      if (moved) {
        this.#beacons.heard(out)
        this.#pump(stream, out)
        this.#beacons.plan(out)
      }
    }
    this.#milestones.look()
  }
}

function bytesOf({ buffer, length }: OutFrame): Uint8Array {
  return buffer.length === length ? buffer : buffer.subarray(0, length)
}
