/**
 * Consumer: the receiving side of one owner: it takes frames of the partitions it owns, each once and in order, and
 * tells their producers how far it has come. Protocol and reasons: docs/design/0002-channels.md.
 *
 * Owns the queue of frames that were accepted and not yet taken. Invariants:
 *  C1. `take` answers the records of one producer in one partition in the order of their sequences, none twice (I2).
 *  C2. The queue holds at most the windows granted, plus one frame for each channel.
 *  C3. received = processed + dropped + queued or in the caller's hands; a gap is counted, once, when it is proven.
 *  C4. A frame of an epoch that its origin has left behind is refused (I8).
 */
import { randomBytes } from 'node:crypto'
import { type FrameHeader, frameFlags, parseFrame } from '../../sdk/frame.ts'
import type { Clock } from '../clock.ts'
import type { InputLedger } from '../control/messages.ts'
import { type Beacon, decodeBeacon } from './beacon.ts'
import { type Claim, encodeClaim, readClaim } from './claim.ts'
import { ContainedRecords, type StatePositions } from './contained.ts'
import { type CreditEntry, creditFlags, encodeCredit } from './credit.ts'
import {
  creditOf,
  type InChannel,
  type InPosition,
  oneMore,
  openChannel,
  positionOf,
  release,
} from './in-channel.ts'
import { claimSubject, creditSubject, partitionSubject } from './subjects.ts'
import type { Wire } from './wire.ts'

/** Bytes that all producers of an owner together may have outstanding. */
export const windowBytesDefault = 8 * 1024 * 1024
const channelWindowMin = 16 * 1024
const channelWindowMax = 1024 * 1024
const resendEveryMs = 50
/** A channel silent for so long is forgotten; should its producer speak again, it is asked anew where it stands. */
const forgetAfterMs = 600_000

/** A frame in the caller's hands. */
export interface TakenFrame {
  readonly stream: string
  readonly partition: number
  /** The whole frame, checked by `parseFrame`. */
  readonly bytes: Uint8Array
  readonly header: FrameHeader
  /** Records at its start that an owner processed before. */
  readonly skip: number
  /** Records done by us, behind `skip`; kept by `done`. */
  finished: number
}

interface QueuedFrame extends TakenFrame {
  readonly channel: InChannel
}

export interface ConsumerOptions {
  readonly wire: Wire
  readonly namespace: string
  /** The consuming function, or `follower.ID`. */
  readonly name: string
  /** Grows with each owner of these partitions. */
  readonly epoch: number
  readonly clock: Clock
  readonly windowBytes?: number
  /** Called when a frame has come into an empty queue. */
  readonly onFrames: () => void
  /** What the state that the owner begins with contains of a partition; undefined: there is no such state. */
  readonly contains?: (stream: string, partition: number) => StatePositions | undefined
  /** Called when somebody claims a partition of ours with a higher epoch: stop at once. */
  readonly onSuperseded?: (claim: Claim) => void
}

/** How far channels were at some moment. */
export type Mark = Map<InChannel, InPosition>
interface InPartition {
  readonly stream: string
  readonly partition: number
  readonly contained: ContainedRecords
  readonly channels: Map<string, InChannel>
  readonly unsubscribe: () => void
}

type Account = {
  -readonly [K in keyof InputLedger]: InputLedger[K] extends number ? number : InputLedger[K]
} & {
  dropped: Record<string, number>
  refused: Record<string, number>
}

export class Consumer {
  /** This incarnation, 16 hex digits. */
  readonly owner = randomBytes(8).toString('hex')
  readonly #options: ConsumerOptions
  readonly #partitions = new Map<string, InPartition>()
  readonly #fences = new Map<string, number>()
  readonly #accounts = new Map<string, Account>()
  readonly #stops: (() => void)[]
  #queue: QueuedFrame[] = []
  #head = 0
  #channelCount = 0
  #queuedBytes = 0
  /** It takes nothing any more. */
  #leaving = false
  #closed = false

  constructor(options: ConsumerOptions) {
    this.#options = options
    const { wire, namespace, name } = options
    this.#stops = [
      wire.subscribe(claimSubject(namespace, name), (bytes) => this.#onClaim(bytes)),
      wire.onReconnect(() => this.#onReconnect()),
    ]
  }

  /** Takes partitions of a stream as its own and claims them. Those owned already stay. */
  own(stream: string, partitions: readonly number[]): void {
    const { wire, namespace } = this.#options
    this.#account(stream)
    for (const partition of partitions) {
      const key = `${stream}.${partition}`
      if (this.#partitions.has(key)) continue
      const channels = new Map<string, InChannel>()
      const receive = (bytes: Uint8Array): void => this.#onFrame(owned, bytes)
      const unsubscribe = wire.subscribe(partitionSubject(namespace, stream, partition), receive)
      const contained = new ContainedRecords(this.#options.contains?.(stream, partition))
      const owned: InPartition = { stream, partition, contained, channels, unsubscribe }
      this.#partitions.set(key, owned)
    }
    this.#claim()
  }

  /** What the state contains of a partition at this moment, as the next owner is to be told. */
  positions(stream: string, partition: number): StatePositions {
    const owned = this.#partitions.get(`${stream}.${partition}`)
    return owned?.contained.with(owned.channels.values()) ?? { lost: 0, positions: [] }
  }

  /** Bytes in the queue. */
  get queuedFrames(): number {
    return this.#queue.length - this.#head
  }

  /** Takes queued frames, in order of arrival, until `bytesMax` is reached; at least one if there is any. */
  take(bytesMax: number): TakenFrame[] {
    const taken: TakenFrame[] = []
    let bytes = 0
    while (this.#head < this.#queue.length) {
      const frame = this.#queue[this.#head]!
      if (taken.length > 0 && bytes + frame.bytes.length > bytesMax) break
      taken.push(frame)
      frame.channel.taken = frame.header.sequence + frame.header.count
      bytes += frame.bytes.length
      this.#head += 1
    }
    this.#queuedBytes -= bytes
    if (this.#head === this.#queue.length || this.#head > 4096) {
      this.#queue = this.#queue.slice(this.#head)
      this.#head = 0
    }
    return taken
  }

  /** Marks the next `records` of a taken frame as done; the frames of a channel in the order taken. */
  done(frame: TakenFrame, records: number): void {
    frame.finished += records
    this.#account(frame.stream).processed += records
    const { channel } = frame as QueuedFrame
    channel.through = frame.header.sequence + frame.skip + frame.finished
    channel.open -= records
    channel.dirty = true
  }

  /**
   * Of a frame's records that are done, one was not processed but dropped, and why. Before they are acknowledged.
   * @param mark The mark that covers it, if one was made since it was done.
   */
  drop(frame: TakenFrame, reason: string, mark?: Mark): void {
    const account = this.#account(frame.stream)
    account.processed -= 1
    account.dropped[reason] = (account.dropped[reason] ?? 0) + 1
    const { channel } = frame as QueuedFrame
    channel.dropped = oneMore(channel.dropped, reason)
    const position = mark?.get(channel)
    if (position !== undefined) position.dropped = oneMore(position.dropped, reason)
  }

  /** Remembers what is done by now, to be acknowledged when what comes of it is safe. */
  mark(): Mark {
    const mark: Mark = new Map()
    for (const { channels } of this.#partitions.values())
      for (const channel of channels.values()) if (channel.dirty) mark.set(channel, positionOf(channel))
    return mark
  }

  /**
   * Tells the producers what is done: call it when the outputs of all that is done were sent.
   * @param mark Only what was done by then. Marks are acknowledged in the order made.
   */
  acknowledge(mark?: Mark): void {
    if (mark === undefined) this.#release()
    else for (const [channel, position] of mark) release(channel, position)
    this.#sendCredits((channel) => channel.dirty, 0)
  }

  /**
   * Tells the producers what was accepted, where they do not know: call it before an output of what was taken is sent.
   * What a killed owner had not announced, it had not touched; the next one gets it.
   */
  announce(): void {
    this.#sendCredits((channel) => channel.taken > channel.told, 0)
  }

  /** What is done and not acknowledged counts as dropped: its outputs will never be sent. Before `leave`. */
  giveUp(reason: string): void {
    for (const { stream, channels } of this.#partitions.values()) {
      for (const channel of channels.values()) {
        const records = channel.through - channel.acknowledged
        if (!channel.dirty || records <= 0) continue
        const account = this.#account(stream)
        account.processed -= records
        account.dropped[reason] = (account.dropped[reason] ?? 0) + records
        channel.dropped = oneMore(channel.dropped, reason, records)
      }
    }
  }

  /** One row a stream (I7). */
  ledger(): InputLedger[] {
    const partitions = [...this.#partitions.values()]
    return [...this.#accounts.values()].map((a) => ({
      ...a,
      stateLost: partitions.reduce((sum, p) => sum + (p.stream === a.stream ? p.contained.lost : 0), 0),
      dropped: { ...a.dropped },
      refused: { ...a.refused },
    }))
  }

  /**
   * Ends cleanly: what is done is acknowledged, the rest is left to the next owner. Said again after a reconnect, until
   * the server has heard it. @throws the signal's reason; then it has ended without a word.
   */
  async leave(signal?: AbortSignal): Promise<void> {
    if (this.#leaving) return
    this.#leaving = true
    this.#release()
    this.#queue = []
    const { wire } = this.#options
    try {
      for (;;) {
        const reconnected = nextReconnect(wire, signal)
        this.#sendCredits((channel) => channel.expected !== undefined, creditFlags.leaving)
        const heard = wire.flush().then(
          () => true,
          () => false,
        )
        // A server that is frozen neither answers nor breaks the connection: only the deadline ends that.
        if (await Promise.race([heard, reconnected.then(() => false)])) return
        await reconnected
      }
    } finally {
      this.close()
    }
  }

  /** Stops receiving, without a word to anyone. */
  close(): void {
    if (this.#closed) return
    this.#leaving = this.#closed = true
    for (const stop of this.#stops) stop()
    for (const { unsubscribe } of this.#partitions.values()) unsubscribe()
    this.#queue = []
    this.#head = 0
  }

  #onFrame(owned: InPartition, bytes: Uint8Array): void {
    if (this.#leaving) return
    const account = this.#account(owned.stream)
    let header: FrameHeader
    let beacon: Beacon | undefined
    try {
      header = parseFrame(bytes)
      if ((header.flags & frameFlags.beacon) !== 0) beacon = decodeBeacon(bytes, header)
    } catch (error) {
      refuse(account, (error as { code?: string }).code === 'ERR_FRAME_VERSION' ? 'version' : 'malformed')
      return
    }
    if (header.partition !== owned.partition) return refuse(account, 'misrouted')
    if (this.#isFenced(header)) return refuse(account, 'fenced')
    const channel = owned.channels.get(header.producer) ?? this.#open(owned, header)
    channel.heardMs = this.#options.clock.monotonicMs()
    if (beacon !== undefined) this.#onBeacon(owned, channel, header, beacon, account)
    else if (header.count > 0) this.#onRecords(owned, channel, header, bytes, account)
  }

  #isFenced(header: FrameHeader): boolean {
    const highest = this.#fences.get(header.origin) ?? -1
    if (header.epoch < highest) return true
    if (header.epoch > highest) {
      this.#fences.set(header.origin, header.epoch)
      this.#dropOlder(header.origin, header.epoch)
    }
    return false
  }

  /** The slot has a new holder: its older producers will not speak again. */
  #dropOlder(origin: string, epoch: number): void {
    for (const { channels, contained } of this.#partitions.values()) {
      contained.dropOlder(origin, epoch)
      for (const [producer, channel] of channels) {
        if (channel.origin !== origin || channel.epoch >= epoch) continue
        channels.delete(producer)
        this.#channelCount -= 1
      }
    }
  }

  #open(owned: InPartition, header: FrameHeader): InChannel {
    const channel = openChannel(header, this.#options.clock.monotonicMs())
    this.#forgetSilent(owned)
    owned.channels.set(header.producer, channel)
    this.#channelCount += 1
    return channel
  }

  #forgetSilent(owned: InPartition): void {
    const beforeMs = this.#options.clock.monotonicMs() - forgetAfterMs
    for (const [producer, channel] of owned.channels) {
      if (channel.open > 0 || channel.heardMs > beforeMs) continue
      owned.contained.end(channel)
      owned.channels.delete(producer)
      this.#channelCount -= 1
    }
  }

  #onBeacon(
    owned: InPartition,
    channel: InChannel,
    header: FrameHeader,
    beacon: Beacon,
    account: Account,
  ): void {
    const mine = beacon.entries.find((entry) => entry.consumer === this.#options.name)
    if (mine === undefined) return // it does not know us yet: it will beacon again when it does
    if (channel.expected === undefined) {
      if (mine.epoch !== this.#options.epoch) return this.#sendCredit(owned, channel, creditFlags.fresh)
      const position = owned.contained.begin(header.producer, mine)
      channel.expected = position
      channel.through = position
      channel.acknowledged = position
    }
    if (beacon.oldest > channel.expected) {
      account.gaps += beacon.oldest - channel.expected
      channel.expected = beacon.oldest
      channel.dirty = true
    }
    this.#sendCredit(owned, channel, header.sequence > channel.expected ? creditFlags.resend : 0)
  }

  #onRecords(
    owned: InPartition,
    channel: InChannel,
    header: FrameHeader,
    bytes: Uint8Array,
    account: Account,
  ): void {
    if (channel.expected === undefined) return this.#askResend(owned, channel, creditFlags.fresh)
    const end = header.sequence + header.count
    if (end <= channel.expected) {
      account.repeats += header.count
      channel.dirty = true
      return this.#askResend(owned, channel, 0)
    }
    if (header.sequence > channel.expected) return this.#askResend(owned, channel, creditFlags.resend)
    const skip = channel.expected - header.sequence
    if (this.#queuedBytes > 2 * this.#budget()) return refuse(account, 'overrun') // its producer heeds no window
    account.received += header.count - skip
    account.repeats += skip
    channel.expected = end
    channel.open += header.count - skip
    this.#queuedBytes += bytes.length
    const { stream, partition } = owned
    this.#queue.push({ stream, partition, bytes, header, skip, finished: 0, channel })
    if (this.queuedFrames === 1) this.#options.onFrames()
  }

  /** At most one answer in a while to a flood of frames that cannot be taken. */
  #askResend(owned: InPartition, channel: InChannel, flags: number): void {
    const nowMs = this.#options.clock.monotonicMs()
    if (nowMs - channel.resendAskedMs < resendEveryMs) return
    channel.resendAskedMs = nowMs
    this.#sendCredit(owned, channel, flags)
  }

  #sendCredit(owned: InPartition, channel: InChannel, flags: number): void {
    this.#publish(channel.producer, [this.#entry(owned, channel, flags)])
  }

  #sendCredits(which: (channel: InChannel) => boolean, flags: number): void {
    const byProducer = new Map<string, CreditEntry[]>()
    for (const owned of this.#partitions.values()) {
      for (const channel of owned.channels.values()) {
        if (!which(channel)) continue
        const entries = byProducer.get(channel.producer) ?? []
        entries.push(this.#entry(owned, channel, channel.expected === undefined ? creditFlags.fresh : flags))
        byProducer.set(channel.producer, entries)
      }
    }
    for (const [producer, entries] of byProducer) this.#publish(producer, entries)
  }

  #release(): void {
    for (const { channels } of this.#partitions.values()) {
      for (const channel of channels.values()) if (channel.dirty) release(channel, positionOf(channel))
    }
  }

  #entry({ stream, partition }: InPartition, channel: InChannel, flags: number): CreditEntry {
    return { stream, partition, ...creditOf(channel, flags, this.#windowBytes()) }
  }

  #budget(): number {
    return Math.max(this.#options.windowBytes ?? windowBytesDefault, this.#channelCount * channelWindowMin)
  }

  /** The budget shared among the channels, but enough for some records each. */
  #windowBytes(): number {
    return Math.min(channelWindowMax, Math.floor(this.#budget() / Math.max(1, this.#channelCount)))
  }

  #publish(producer: string, entries: readonly CreditEntry[]): void {
    const { wire, namespace, name, epoch } = this.#options
    if (!wire.connected) return // after the reconnect every channel is told anew
    wire.publish(
      creditSubject(namespace, producer),
      encodeCredit({ consumer: name, owner: this.owner, epoch, entries }),
    )
  }

  #claim(): void {
    const partitions: Record<string, number[]> = {}
    for (const { stream, partition } of this.#partitions.values()) {
      const list = partitions[stream] ?? []
      list.push(partition)
      partitions[stream] = list
    }
    const { wire, namespace, name, epoch } = this.#options
    const claim: Claim = { schema: 1, consumer: name, owner: this.owner, epoch, partitions }
    if (wire.connected) wire.publish(claimSubject(namespace, name), encodeClaim(claim))
  }

  #onClaim(bytes: Uint8Array): void {
    const claim = readClaim(bytes)
    if (claim === undefined || claim.owner === this.owner) return
    const mine = Object.entries(claim.partitions).some(([stream, list]) =>
      list.some((p) => this.#partitions.has(`${stream}.${p}`)),
    )
    if (!mine) return
    if (claim.epoch > this.#options.epoch) this.#options.onSuperseded?.(claim)
    else if (claim.epoch < this.#options.epoch) this.#claim() // one who comes back late hears who holds it now
  }

  #onReconnect(): void {
    if (this.#leaving) return
    this.#claim()
    this.#sendCredits(() => true, creditFlags.resend)
  }

  #account(stream: string): Account {
    let account = this.#accounts.get(stream)
    if (account === undefined) {
      account = {
        stream,
        received: 0,
        processed: 0,
        dropped: {},
        repeats: 0,
        gaps: 0,
        stateLost: 0,
        refused: {},
      }
      this.#accounts.set(stream, account)
    }
    return account
  }
}

/** Resolves when the wire is back once more. */
function nextReconnect(wire: Wire, signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const stop = wire.onReconnect(resolve)
  signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
  promise.finally(stop).catch(() => undefined)
  return promise
}

function refuse(account: Account, reason: string): void {
  account.refused[reason] = (account.refused[reason] ?? 0) + 1
}
