/**
 * Consumer: the receiving side of one owner. It takes frames of its partitions, each once and in order, and tells their
 * producers how far it is. Protocol and reasons: docs/design/0002-channels.md.
 *
 * Owns the queue of frames that were accepted and not yet taken. Invariants:
 *  C1. `take` returns the records of one producer in one partition in the order of their sequences, none twice (I2).
 *  C2. The queue holds at most the granted windows, plus one frame per channel.
 *  C3. received = processed + dropped + set aside + queued or taken by the caller; a gap is counted once, when it is proven.
 *  C4. A frame with a lower epoch than the highest known of its origin is refused (I8).
 *  C5. A partition keeps the epoch under which it was claimed; a released one is silent (docs/design/0011-handover.md).
 */

import { randomBytes } from 'node:crypto'
import type { StateFormat } from '../../../sdk/function.ts'
import { oneMore } from '../../control/counts.ts'
import type { GoneProducer, InputLedger } from '../../control/messages/accounts.ts'
import type { InstanceReport } from '../../control/messages/heartbeat.ts'
import { creditFlags, type NextOwner } from '../messages/credit.ts'
import { claimSubject, outSubject } from '../messages/subjects.ts'
import { passedBytesFor } from '../messages/windows.ts'
import { heard } from '../wire/wire.ts'
import type { ConsumerOptions } from './consumer-options.ts'
import { ConsumerVoice } from './consumer-voice.ts'
import { ContainedRecords, type StatePositions } from './contained.ts'
import { InAccounts } from './in-account.ts'
import {
  type ChannelPosition,
  type HandoverPositions,
  type InChannel,
  leftOf,
  type Mark,
  markOf,
  positionOf,
  release,
  releaseAt,
  throughOf,
  unsaidOf,
} from './in-channel.ts'
import { channelsOf, type InPartition, newPartition, receivedFrom } from './in-partition.ts'
import { endOf, InQueue, nextOf, type QueuedFrame, type TakenFrame } from './in-queue.ts'
import { Intake } from './intake.ts'
import { Pace } from './pace.ts'
import type { PassedFrame } from './passed.ts'
import { Rivals } from './rivals.ts'

export class Consumer {
  /** This incarnation, 16 hex digits. */
  readonly owner: string
  readonly #options: ConsumerOptions
  readonly #partitions = new Map<string, InPartition>()
  /** Where it has left channels of partitions that it no longer owns, by partition and producer. */
  readonly #left = new Map<string, ReadonlyMap<string, number>>()
  readonly #accounts = new InAccounts()
  readonly #rivals: Rivals
  readonly #stop: () => void
  readonly #queue = new InQueue()
  readonly #voice: ConsumerVoice
  readonly #intake: Intake
  readonly #pace: Pace
  /** True when it takes nothing more. */
  #leaving = false
  #closed = false

  constructor(options: ConsumerOptions) {
    this.#options = options
    this.owner = options.owner ?? randomBytes(8).toString('hex')
    this.#voice = new ConsumerVoice(options, this.owner, this.#partitions)
    this.#intake = new Intake({
      ...{ clock: options.clock, windowBytes: options.windowBytes, onFrames: options.onFrames },
      ...{ partitions: this.#partitions, left: this.#left },
      ...{ accounts: this.#accounts, queue: this.#queue, voice: this.#voice },
    })
    this.#pace = new Pace(options.clock, () => this.announce())
    const { wire, namespace, onSuperseded = () => undefined } = options
    this.#rivals = new Rivals({
      ...{ wire, namespace, owner: this.owner, partitions: this.#partitions, onSuperseded },
      onLate: () => this.#voice.claim(),
    })
    this.#stop = wire.onReconnect(() => this.#onReconnect())
  }

  /**
   * Takes partitions of a stream as its own and claims them. Those owned already stay as they are.
   * @param epoch Default: that of the options.
   * @param from What the owner before has left, if it handed over: channels that it names continue there. Other
   *   producers are asked for their position.
   */
  own(
    stream: string,
    partitions: readonly number[],
    epoch = this.#options.epoch,
    from: HandoverPositions = { since: epoch, channels: [] },
  ): void {
    this.#accounts.of(stream)
    const taken = partitions.flatMap((p) => {
      const owned = this.#subscribed(stream, p)
      return owned.epoch === undefined ? [owned] : []
    })
    const whole: InChannel[] = []
    for (const owned of taken) {
      owned.epoch = epoch
      owned.since = from.since
      owned.contained = new ContainedRecords(this.#options.contains?.(stream, owned.partition))
      owned.contained.useFormat(this.#options.format?.())
      for (const at of from.channels)
        if (at.partition === owned.partition && at.stream === stream) this.#intake.openAt(owned, at)
      const accept = (channel: InChannel, one: PassedFrame): void =>
        this.#intake.accept(owned, channel, one, true)
      if (from.next !== this.owner) owned.passed.drop()
      else whole.push(...owned.passed.handOn(owned.channels, accept))
    }
    this.#voice.claim(taken)
    this.#voice.credits((channel) => whole.includes(channel), 0)
    const lacks = (channel: InChannel): boolean => !whole.includes(channel)
    this.#voice.credits((channel, owned) => taken.includes(owned) && lacks(channel), creditFlags.resend)
  }

  /** Listens to partitions that it will own, keeps what passes, and lets their producers know. */
  await(stream: string, partitions: readonly number[]): void {
    const { wire, namespace } = this.#options
    for (const partition of partitions) this.#subscribed(stream, partition)
    this.#intake.passedBytes = passedBytesFor([...this.#partitions.values()], this.#options.passedBytes)
    if (wire.connected) wire.publish(claimSubject(namespace, this.#nameOf(stream)), new Uint8Array(0))
  }

  /** Takes nothing more of these partitions, and drops their queued frames. Frames already taken may still be finished. */
  suspend(stream: string, partitions: readonly number[]): void {
    for (const partition of partitions) {
      const owned = this.#partitions.get(`${stream}.${partition}`)
      if (owned !== undefined) owned.suspended = true
    }
    const dropped = this.#queue.drop((f) => f.stream === stream && partitions.includes(f.partition))
    for (const { header, skip } of dropped) this.#accounts.of(stream).received -= header.count - skip
  }

  /**
   * Releases suspended partitions, when the caller has no frame of them and all their outputs are safe.
   * @param next The next owner, if known: producers continue with it.
   * @returns Where the next owner continues.
   */
  release(stream: string, partitions: readonly number[], next?: NextOwner): HandoverPositions {
    const left: ChannelPosition[] = []
    let since = 0
    const leaving = partitions.flatMap((p) => this.#partitions.get(`${stream}.${p}`) ?? [])
    for (const owned of leaving) {
      since = Math.max(since, owned.since)
      for (const channel of owned.channels.values()) {
        if (channel.expected === undefined) continue
        release(channel, positionOf(channel))
        left.push(leftOf(owned, channel))
      }
    }
    this.#voice.credits(
      (channel, owned) => leaving.includes(owned) && channel.expected !== undefined,
      creditFlags.leaving,
      next,
    )
    for (const { partition, epoch, channels, passed, unsubscribe } of leaving) {
      if (epoch !== undefined) this.#left.set(`${stream}.${partition}`, throughOf(left, partition))
      unsubscribe()
      passed.drop()
      this.#voice.channels -= channels.size
      this.#partitions.delete(`${stream}.${partition}`)
    }
    return { since, ...(next && { next: next.owner }), channels: left }
  }

  /** Says that state is used in this format from now on; between two batches. */
  useFormat(format: StateFormat): void {
    for (const { contained } of this.#partitions.values()) contained.useFormat(format)
  }

  /** Counts finished records of a frame whose effects on state are in a format that may be withdrawn. */
  addOpen({ stream, partition }: TakenFrame, format: number, records: number): void {
    this.#partitions.get(`${stream}.${partition}`)?.contained.addOpen(format, records)
  }

  /**
   * What the state contains of a partition at this moment, for the next owner.
   * @param at Of the records that are done, or only of those that are acknowledged.
   */
  positions(stream: string, partition: number, at: 'done' | 'acknowledged' = 'done'): StatePositions {
    const owned = this.#partitions.get(`${stream}.${partition}`)
    return owned?.contained.with(owned.channels.values(), at) ?? { lost: 0, positions: [] }
  }

  /** Grants smaller windows from now on, since memory is short, or those of before. */
  narrow(isNarrow: boolean): void {
    this.#voice.isNarrow = isNarrow
  }

  get queuedFrames(): number {
    return this.#queue.frames
  }

  /** Takes queued frames, in order of arrival, until `bytesMax` is reached; at least one if there is any. */
  take(bytesMax: number): TakenFrame[] {
    return this.#queue.take(bytesMax)
  }

  /** Takes frames that came with partitions that were handed over, since they have waited longest. */
  takeMoved(): TakenFrame[] {
    return this.#queue.takeMoved()
  }

  /** Marks the next `records` of a taken frame as done; frames of a channel in the order in which they were taken. */
  done(frame: TakenFrame, records: number): void {
    frame.finished += records
    this.#accounts.of(frame.stream).processed += records
    const { channel } = frame as QueuedFrame
    channel.through = nextOf(frame)
    channel.open -= records
    channel.dirty = true
    if (frame.skip + frame.finished === frame.header.count) this.#pace.add(frame.bytes.length)
  }

  /** Notes that one finished record of a frame was set aside for a retry. The channel continues, and its producer is told. */
  setAside(frame: TakenFrame): void {
    this.#accounts.of(frame.stream).processed -= 1
    const { channel } = frame as QueuedFrame
    channel.aside += 1
    channel.dirty = true
  }

  /** Notes that a record that was set aside is done. */
  settle(frame: TakenFrame): void {
    this.#accounts.of(frame.stream).processed += 1
    const { channel } = frame as QueuedFrame
    channel.aside -= 1
    channel.dirty = true
  }

  /** Notes that finished records of a frame (one) were dropped, before they are acknowledged. @param mark A mark that covers them. */
  drop(
    frame: TakenFrame,
    reason: string,
    { mark, records = 1 }: { readonly mark?: Mark; readonly records?: number } = {},
  ): void {
    const account = this.#accounts.of(frame.stream)
    account.processed -= records
    account.dropped[reason] = (account.dropped[reason] ?? 0) + records
    const { channel } = frame as QueuedFrame
    const position = mark?.get(channel)
    for (const at of position === undefined ? [channel] : [channel, position])
      at.dropped = oneMore(at.dropped, reason, records)
  }

  /** True while a record that has ended an owner is expected, or here. */
  get hasTried(): boolean {
    return this.#intake.hasTried
  }

  /**
   * Notes what is done by now, to be acknowledged when its outputs are safe.
   * @param isHeld Partitions of which nothing may be acknowledged yet; default: none.
   */
  mark(isHeld?: (stream: string, partition: number) => boolean): Mark {
    const mayGo = ({ stream, partition }: InPartition): boolean => isHeld?.(stream, partition) !== true
    return markOf([...this.#partitions.values()].filter(mayGo).flatMap(channelsOf))
  }

  /** Acknowledges what is done (by `mark`, in the order in which marks were made) once its outputs are safe: at once or soon (pace.ts). */
  acknowledge(mark = this.mark()): void {
    releaseAt(mark)
    this.#pace.soon()
  }

  /**
   * Tells producers what was touched, and what is done. Must be called before an output of a taken record is sent: then what
   * a killed owner had not announced has put out nothing, and of a first producer the next owner gets it.
   */
  announce(): void {
    if (this.#leaving) return
    this.#pace.told()
    this.#voice.credits((channel) => channel.taken > channel.toldTouched || channel.dirty, 0)
  }

  /** Whether the producers of taken frames were told that these were touched. */
  isAnnounced(frames: readonly TakenFrame[]): boolean {
    return frames.every((frame) => (frame as QueuedFrame).channel.toldTouched >= endOf(frame))
  }

  /**
   * Counts what is done and not acknowledged as dropped, since its outputs will never be sent, or its state is lost. Before `leave`.
   * @param isLost Default: of all partitions.
   */
  giveUp(reason: string, isLost: (stream: string, partition: number) => boolean = () => true): void {
    for (const owned of this.#partitions.values()) {
      if (!isLost(owned.stream, owned.partition)) continue
      for (const channel of channelsOf(owned)) {
        const records = unsaidOf(channel)
        if (!channel.dirty || records <= 0) continue
        const account = this.#accounts.of(owned.stream)
        account.processed -= records
        account.dropped[reason] = (account.dropped[reason] ?? 0) + records
        channel.dropped = oneMore(channel.dropped, reason, records)
      }
    }
  }

  /** One row per stream (I7). */
  ledger(): InputLedger[] {
    return this.#accounts.ledger().map((account) => {
      const lost: Record<string, number> = {}
      let stateLost = 0
      for (const { stream, partition, contained } of this.#partitions.values()) {
        if (stream !== account.stream || contained.lost === 0) continue
        lost[partition] = contained.lost
        stateLost += contained.lost
      }
      return { ...account, stateLost, lost }
    })
  }

  /** What it has taken, and how far it is with killed producers (I7). */
  account(gone: readonly GoneProducer[]): Pick<InstanceReport, 'inputs' | 'received'> {
    const { namespace } = this.#options
    return { inputs: this.ledger(), ...receivedFrom(namespace, this.#partitions.values(), gone) }
  }

  /**
   * Ends cleanly: acknowledges what is done and leaves the rest to the next owner. Repeated after a reconnect until the
   * server has heard it. @throws the signal's reason; then nobody may have heard it.
   */
  async leave(signal?: AbortSignal): Promise<void> {
    if (this.#leaving) return
    this.#leaving = true
    releaseAt(this.mark())
    this.#queue.drop(() => true)
    this.#sayLeaving()
    try {
      await heard(this.#options.wire, signal)
    } finally {
      this.close()
    }
  }

  /** Stops receiving, and tells nobody. */
  close(): void {
    if (this.#closed) return
    this.#leaving = this.#closed = true
    this.#stop()
    this.#pace.close()
    this.#rivals.close()
    for (const { unsubscribe } of this.#partitions.values()) unsubscribe()
    this.#queue.drop(() => true)
  }

  #subscribed(stream: string, partition: number): InPartition {
    const key = `${stream}.${partition}`
    const found = this.#partitions.get(key)
    if (found !== undefined) return found
    const { wire, namespace, hasLane } = this.#options
    const consumer = this.#nameOf(stream)
    this.#rivals.hear(consumer)
    const place = { stream, partition, ...(hasLane?.(stream) && { consumer }) }
    const unsubscribe = wire.subscribe(outSubject(namespace, place), (bytes) => {
      if (!this.#leaving) this.#intake.take(made, bytes)
    })
    const made = newPartition({ stream, partition, consumer, unsubscribe })
    this.#partitions.set(key, made)
    return made
  }

  #nameOf(stream: string): string {
    return this.#options.nameOf?.(stream) ?? this.#options.name
  }

  #sayLeaving(): void {
    this.#voice.credits((channel) => channel.expected !== undefined, creditFlags.leaving)
  }

  #onReconnect(): void {
    if (this.#leaving) return this.#sayLeaving()
    this.#voice.claim()
    this.#voice.credits(() => true, creditFlags.resend)
  }
}
