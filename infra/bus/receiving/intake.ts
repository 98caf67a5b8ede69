/**
 * Intake: decides about each frame that a consumer hears: refused, kept for later, a repeat, behind a gap, or queued.
 *
 * Owns the known epochs of producers' slots, and opens and closes channels. It keeps C1, C2 and C4 of consumer.ts.
 * Protocol and reasons: docs/design/0002-channels.md.
 * @module
 */
import { type FrameHeader, frameFlags, parseFrame } from '../../../sdk/wire/frame.ts'
import { type Beacon, decodeBeacon } from '../messages/beacon.ts'
import { creditFlags } from '../messages/credit.ts'
import { budgetFor } from '../messages/windows.ts'
import type { ConsumerOptions } from './consumer-options.ts'
import type { ConsumerVoice } from './consumer-voice.ts'
import { type InAccount, type InAccounts, refuse } from './in-account.ts'
import { awaitsTried, type ChannelPosition, type InChannel, openAt, openChannel } from './in-channel.ts'
import { allChannels, type InPartition } from './in-partition.ts'
import type { InQueue } from './in-queue.ts'
import type { PassedFrame } from './passed.ts'

/** A channel is forgotten after this silence; if its producer is heard again, it is asked for its position. */
const forgetAfterMs = 600_000

export interface IntakeOptions extends Pick<ConsumerOptions, 'clock' | 'onFrames'> {
  readonly windowBytes: number | undefined
  readonly partitions: ReadonlyMap<string, InPartition>
  /** Where this owner has left channels earlier, by partition and producer. */
  readonly left: ReadonlyMap<string, ReadonlyMap<string, number>>
  readonly accounts: InAccounts
  readonly queue: InQueue
  readonly voice: ConsumerVoice
}

export class Intake {
  readonly #options: IntakeOptions
  /** The highest epoch known of each origin. */
  readonly #fences = new Map<string, number>()
  #mayHaveTried = false
  /** Bytes kept of each partition that is awaited. */
  passedBytes = 0

  constructor(options: IntakeOptions) {
    this.#options = options
  }

  /** True while a record that has ended an owner is expected, or here. */
  get hasTried(): boolean {
    this.#mayHaveTried &&= allChannels(this.#options.partitions).some(awaitsTried)
    return this.#mayHaveTried
  }

  /** Takes a frame of a partition that is heard. */
  take(owned: InPartition, bytes: Uint8Array): void {
    const account = this.#options.accounts.of(owned.stream)
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
    if (owned.suspended) return
    if (owned.epoch === undefined) {
      if (header.count > 0) owned.passed.keep(header, bytes, this.passedBytes)
      return
    }
    // A producer that does not know this consumer yet, or only raises its fence, sends another beacon later.
    if (beacon?.entries.some((entry) => entry.consumer === owned.consumer) === false) return
    const channel = owned.channels.get(header.producer) ?? this.#open(owned, header)
    channel.heardMs = this.#options.clock.monotonicMs()
    channel.creditVersion = header.creditVersion
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

  /** The slot has a new holder: its older producers will not be heard again. */
  #dropOlder(origin: string, epoch: number): void {
    for (const owned of this.#options.partitions.values()) {
      owned.contained.dropOlder(origin, epoch)
      for (const channel of owned.channels.values())
        if (channel.origin === origin && channel.epoch < epoch) this.#close(owned, channel)
    }
  }

  #open(owned: InPartition, header: Pick<FrameHeader, 'producer' | 'origin' | 'epoch'>): InChannel {
    const nowMs = this.#options.clock.monotonicMs()
    const channel = openChannel(header, nowMs)
    channel.dropped = channel.acknowledgedDropped = owned.former.resume(header.producer, nowMs)
    this.#forgetSilent(owned)
    owned.channels.set(header.producer, channel)
    this.#options.voice.channels += 1
    return channel
  }

  /** Opens a channel where an earlier owner has left it. */
  openAt(owned: InPartition, at: ChannelPosition): void {
    if ((this.#fences.get(at.origin) ?? -1) > at.epoch) return
    this.#fences.set(at.origin, at.epoch)
    const { producer, through, attempts = 0 } = at
    const channel = this.#open(owned, at)
    channel.from = at.from
    channel.promised = at.accepted ?? through
    const position = openAt(channel, owned.contained.begin(producer, { position: through, from: through }))
    if (position === through) this.#remember(channel, attempts)
  }

  #forgetSilent(owned: InPartition): void {
    const beforeMs = this.#options.clock.monotonicMs() - forgetAfterMs
    for (const channel of owned.channels.values()) {
      if (channel.open > 0 || channel.aside > 0 || channel.heardMs > beforeMs) continue
      owned.contained.end(channel)
      this.#close(owned, channel)
    }
  }

  #close(owned: InPartition, channel: InChannel): void {
    owned.channels.delete(channel.producer)
    owned.former.add(channel, this.#options.clock.monotonicMs())
    this.#options.voice.channels -= 1
  }

  #onBeacon(
    owned: InPartition,
    channel: InChannel,
    header: FrameHeader,
    beacon: Beacon,
    account: InAccount,
  ): void {
    const mine = beacon.entries.find((entry) => entry.consumer === owned.consumer)
    if (mine === undefined) return
    const isOurs = mine.epoch === owned.epoch // else it goes back by itself when our credit arrives
    channel.from = mine.from
    if (channel.expected === undefined) {
      if (!isOurs) return this.#options.voice.credit(owned, channel, 0)
      // This owner may have returned, and its last credit be late: what it has done itself is not done again.
      const left = this.#options.left.get(`${owned.stream}.${owned.partition}`)?.get(header.producer) ?? 0
      const position = Math.max(mine.position, left)
      channel.expected = openAt(channel, owned.contained.begin(header.producer, { ...mine, position }))
      if (mine.position === channel.expected) this.#remember(channel, mine.attempts)
    }
    if (beacon.oldest > channel.expected) {
      account.gaps += beacon.oldest - channel.expected
      channel.expected = beacon.oldest
      channel.dirty = true
    }
    this.#options.voice.credit(
      owned,
      channel,
      isOurs && header.sequence > channel.expected ? creditFlags.resend : 0,
    )
  }

  /** Notes that the record at which a channel continues has ended owners before. */
  #remember(channel: InChannel, attempts: number): void {
    if (attempts === 0) return
    channel.tried = { sequence: channel.through, attempts }
    this.#mayHaveTried = true
  }

  #onRecords(
    owned: InPartition,
    channel: InChannel,
    header: FrameHeader,
    bytes: Uint8Array,
    account: InAccount,
  ): void {
    if (channel.expected === undefined) return this.#options.voice.askResend(owned, channel, 0)
    const end = header.sequence + header.count
    if (end <= channel.expected) {
      account.repeats += header.count
      channel.dirty = true
      return this.#options.voice.askResend(owned, channel, 0)
    }
    if (header.sequence > channel.expected)
      return this.#options.voice.askResend(owned, channel, creditFlags.resend)
    if (this.#options.queue.bytes > 2 * budgetFor(this.#options.windowBytes, this.#options.voice.channels))
      return refuse(account, 'overrun') // its producer ignores the window
    this.accept(owned, channel, { header, bytes })
  }

  /** Queues a frame that begins at `expected`, or straddles it. */
  accept(owned: InPartition, channel: InChannel, { header, bytes }: PassedFrame, isMoved = false): void {
    const end = header.sequence + header.count
    const skip = channel.expected! - header.sequence
    const account = this.#options.accounts.of(owned.stream)
    account.received += header.count - skip
    account.repeats += skip
    channel.creditVersion = header.creditVersion // also known from frames kept while awaiting
    channel.expected = end
    channel.open += header.count - skip
    const { stream, partition } = owned
    const frame = { stream, partition, bytes, header, skip, finished: 0, channel }
    if (isMoved) this.#options.queue.addMoved(frame)
    else this.#options.queue.add(frame)
    if (this.#options.queue.frames === 1) this.#options.onFrames()
  }
}
