/**
 * OutPartition: the sending end of the channels of one (producer, stream, partition). Pure: it decides, its
 * Producer publishes. Protocol: docs/design/0002-channels.md.
 *
 * Owns what is known about the consumers, and the frames that they wait for (out-frames.ts).
 *
 * Invariants:
 *  P1. A frame leaves retention only when each blocking consumer has acknowledged it and the server has read every copy
 *      sent: a PONG has confirmed that; or an owner has mentioned the frame, it was sent once, and it was not held when
 *      the consumer of that owner came.
 *  P2. At most its window, or one frame, is outstanding towards a blocking consumer. While it has no owner the window is
 *      `ownerlessBytes`: what other owners are sent meanwhile is retained for it, and its next owner is sent it again.
 *  P3. `sent = acked + in flight + unaccounted` for each consumer, at any time (I7); what is held counts as in flight.
 *  P4. A credit with a lower epoch than one already heard for that consumer changes nothing (I8).
 * @module
 */
import { sumOfCounts } from '../../control/counts.ts'
import type { OutputLedger } from '../../control/messages/accounts.ts'
import type { BeaconEntry } from '../messages/beacon.ts'
import { type CreditEntry, creditFlags, noneDropped } from '../messages/credit.ts'
import type { AddOut } from './allowance.ts'
import { type Channel, type NamedConsumer, successorOf } from './out-channel.ts'
import { type OutFrame, OutFrames, startBytes } from './out-frames.ts'

const nobody: readonly string[] = []

export interface OutPartitionOptions {
  /** The consumer of its lane; absent on the stream's main subject. */
  readonly consumer?: string
  /** The window of a consumer without an owner, while another one has an owner; default: 0. */
  readonly ownerlessBytes?: number
}

export class OutPartition {
  readonly #frames: OutFrames
  /** One past the highest sequence ever sent. */
  #sentHigh = 0
  #confirmedTicket = -1
  /** One past the last record that an owner has mentioned: the server has read everything before it. */
  #heardHigh = 0
  /**
   * One past the highest sequence sent when the connection was last lost: credits about these records may have been lost,
   * and credits that arrive now may be from before.
   */
  #cutHigh = 0
  readonly #channels = new Map<string, Channel>()
  readonly stream: string
  readonly partition: number
  /** The consumer of its lane; undefined on the stream's main subject. */
  readonly consumer: string | undefined
  readonly #ownerlessBytes: number

  /** @param forget Called with memory that no frame uses any more. */
  constructor(
    stream: string,
    partition: number,
    forget: (bytes: Uint8Array) => void,
    { consumer, ownerlessBytes = 0 }: OutPartitionOptions = {},
  ) {
    this.#frames = new OutFrames(forget)
    this.stream = stream
    this.partition = partition
    this.consumer = consumer
    this.#ownerlessBytes = ownerlessBytes
  }

  /** The sequence that the next record will have. */
  get next(): number {
    return this.#frames.next
  }

  /** Bytes held and retained. */
  get bufferedBytes(): number {
    return this.#frames.bufferedBytes
  }

  /** Bytes of frames that were never sent. */
  get heldBytes(): number {
    return this.#frames.heldBytes
  }

  get oldest(): number {
    return this.#frames.oldest
  }

  /** True while an answer is due: frames are held, or sent and not acknowledged by a blocking consumer. */
  get waiting(): boolean {
    if (this.hasUnsent) return true
    for (const channel of this.#channels.values())
      if (channel.blocking && channel.position < this.#sentHigh) return true
    return false
  }

  /** True while an owner has records set aside: how they end is in a credit that a lost connection may have taken along. */
  get hasAside(): boolean {
    for (const { aside } of this.#channels.values()) if (aside > 0) return true
    return false
  }

  /** True while something waits for a consumer without an owner: none came yet, or it has left. */
  get lacksOwner(): boolean {
    if (!this.waiting) return false
    for (const channel of this.#channels.values()) if (channel.blocking && isOwnerless(channel)) return true
    return false
  }

  /** True if everything was sent to an owner of each consumer that it waits for, and nothing is about to be sent again. */
  get isSent(): boolean {
    if (this.hasUnsent) return false
    for (const channel of this.#channels.values())
      if (channel.blocking && isOwnerless(channel) && channel.position < this.#sentHigh) return false
    return true
  }

  get settled(): boolean {
    return this.#frames.isEmpty
  }

  /** Records taken and not acknowledged by all consumers that they wait for. */
  get unsettled(): number {
    return this.next - this.oldest
  }

  /** True if frames wait to be sent, or sent again. */
  protected get hasUnsent(): boolean {
    return this.#frames.unsent !== undefined
  }

  /** True if a further frame of this size has credit. */
  protected admits(bytes: number): boolean {
    const { bytes: before, next } = this.#frames
    return this.#mayEnd(before, before + bytes, next + 1)
  }

  /** True once everything before `mark` is in the queues of the owners that it waits for, or, if none, in the server. */
  acceptedThrough(mark: number): boolean {
    if (this.#sentHigh < mark) return false
    const blocking = [...this.#channels.values()].filter((channel) => channel.blocking)
    if (blocking.length === 0) return this.oldest >= mark
    return blocking.every((channel) => Math.max(channel.position, channel.accepted) >= mark)
  }

  /** The mark for `safeThrough` that covers everything taken so far. */
  get mark(): number {
    return this.next
  }

  /** True once the owners that it waits for have everything before `mark`: if this process ends now, none of it is lost. */
  safeThrough(mark: number): boolean {
    if (this.#sentHigh < mark) return false
    for (const { blocking, position, accepted } of this.#channels.values())
      if (blocking && Math.max(position, accepted) < mark) return false
    return true
  }

  /**
   * Takes the consumers that the topology names.
   * @param from Where a new one starts that replaces no other: at the first unsent record, or behind everything taken so far.
   */
  setConsumers(consumers: readonly NamedConsumer[], from: 'unsent' | 'next' = 'unsent'): boolean {
    let added = false
    for (const { name, blocking, instead = '' } of consumers) {
      const channel = this.#channels.get(name)
      const former = this.#channels.get(instead)
      if (channel !== undefined) channel.blocking = blocking
      else {
        this.#channels.set(name, former ? successorOf(former, name) : this.#open(name, blocking, from))
        added = true
      }
    }
    const named = new Set(consumers.map((c) => c.name))
    for (const name of [...this.#channels.keys()]) if (!named.has(name)) this.#channels.delete(name)
    this.#trim()
    return added
  }

  /** Takes a frame: header space first, unstamped. Small held frames are joined. @param takenMs When its producer took it. */
  add(frame: Uint8Array, count: number, takenMs: number): void {
    this.#frames.add(frame, count, takenMs)
  }

  /** The next frame that every blocking consumer has credit for, marked as sent under `ticket`; else undefined. */
  send(ticket: number): OutFrame | undefined {
    const frame = this.#frames.unsent
    if (frame === undefined || !this.#allowed(frame)) return undefined
    this.#frames.advance(ticket)
    this.#sentHigh = Math.max(this.#sentHigh, frame.sequence + frame.count)
    this.begins = nobody
    for (const channel of this.#channels.values()) {
      if (channel.begun || this.#sentHigh <= channel.from) continue
      channel.begun = true
      this.begins = [...this.begins, channel.consumer]
    }
    return frame
  }

  /** The consumers for whom the frame just sent is the first. */
  begins: readonly string[] = nobody

  /** The server has read everything up to `ticket`. */
  confirm(ticket: number): void {
    this.#confirmedTicket = Math.max(this.#confirmedTicket, ticket)
    this.#trim()
  }

  /** The connection was lost and is back: everything retained is sent again. */
  rewind(): void {
    this.#cutHigh = this.#sentHigh
    this.#frames.rewind()
  }

  /**
   * Takes a consumer's credit.
   * @returns `beacon` if the owner must get a beacon, `moved` if frames may now be sent, `settles` if a change of owner has
   *   changed `unaccounted` or `earlier`.
   */
  credit(
    consumer: string,
    owner: string,
    epoch: number,
    entry: CreditEntry,
  ): { readonly beacon: boolean; readonly moved: boolean; readonly settles: boolean } {
    const channel = this.#channels.get(consumer)
    const nothing = { beacon: false, moved: false, settles: false }
    if (channel === undefined || epoch < channel.epoch) return nothing
    const newOwner = epoch > channel.epoch || owner !== channel.owner
    const settled = newOwner ? settledOf(channel) : 0
    const fresh = (entry.flags & creditFlags.fresh) !== 0
    // Owners from that epoch on have handed over what they knew: of a channel that they did not name they touched nothing.
    const heir = (entry.flags & creditFlags.heir) !== 0 && channel.epoch >= entry.through
    if (newOwner) this.#changeOwner(channel, owner, epoch, fresh && !heir)
    else if (channel.left) return nothing
    const settles = newOwner && settledOf(channel) > settled
    channel.windowBytes = entry.windowBytes
    if (!fresh) this.#acknowledge(channel, entry)
    if ((entry.flags & creditFlags.leaving) !== 0) channel.left = true
    // The next owner keeps what is sent from now on, and asks for what it lacks from before.
    if (entry.next !== undefined && entry.next.epoch > channel.epoch)
      this.#changeOwner(channel, entry.next.owner, entry.next.epoch, false)
    if ((entry.flags & creditFlags.resend) !== 0 || (newOwner && !fresh))
      this.#frames.rewindTo(Math.max(channel.position, entry.accepted))
    else if (newOwner && heir) this.#frames.rewindTo(channel.position)
    this.#trim()
    return { beacon: newOwner || fresh, moved: true, settles }
  }

  beaconEntries(): BeaconEntry[] {
    return [...this.#channels.values()].map((c) => ({
      consumer: c.consumer,
      epoch: c.epoch,
      position: c.position,
      from: c.from,
      attempts: c.attempts,
    }))
  }

  /** One row per consumer. */
  ledger(): OutputLedger[] {
    return [...this.#channels.values()].map((channel) => this.#account(channel))
  }

  /** Reports records sent to each consumer and not acknowledged: in flight, and unaccounted. Held ones were not sent. */
  eachOut(add: AddOut): void {
    for (const channel of this.#channels.values()) {
      const out = Math.max(0, this.#sentHigh - channel.from) - this.#acked(channel)
      add(channel.consumer, out - channel.unaccounted, channel.unaccounted)
    }
  }

  /** Reports for each consumer since when the oldest record that it has not acknowledged waits. */
  eachWaiting(add: (consumer: string, sinceMs: number) => void): void {
    for (const { consumer, position } of this.#channels.values()) {
      const sinceMs = this.waitingSinceMs(position)
      if (sinceMs !== undefined) add(consumer, sinceMs)
    }
  }

  /** When the oldest record from a position on was taken; undefined if there is none, or nobody waited for it and it is forgotten. */
  protected waitingSinceMs(position: number): number | undefined {
    return this.#frames.takenMs(position)
  }

  /** The rows as if the consumers were gone: what a consumer never took was not for it. */
  closing(): OutputLedger[] {
    return [...this.#channels.values()].map((channel) => {
      const { acked, unaccounted, ...row } = this.#account(channel)
      const untold = channel.left || channel.epoch === 0 ? 0 : this.#touchedBy(channel) - channel.position
      const lost = unaccounted + channel.aside + untold
      return { ...row, acked, unaccounted: lost, sent: acked + lost }
    })
  }

  /** One past the highest sequence sent. */
  get sent(): number {
    return this.#sentHigh
  }

  /** Everything before this record was sent, and nothing of it is about to be sent again. */
  get reached(): number {
    return Math.min(this.#sentHigh, this.#frames.unsent?.sequence ?? this.next)
  }

  #open(consumer: string, blocking: boolean, from: 'unsent' | 'next'): Channel {
    if (from === 'next') this.#frames.passHeld() // P1
    const held = from === 'unsent' ? this.#frames.unsent : undefined
    // After a rewind the cursor is at frames that were sent before: those are not for a new consumer.
    const position = Math.max(this.#sentHigh, held?.sequence ?? this.next)
    return {
      consumer,
      blocking,
      owner: '',
      epoch: 0,
      left: false,
      windowBytes: 0,
      position,
      attempts: 0,
      aside: 0,
      accepted: position,
      touched: position,
      positionBytes: this.#frames.bytesBefore(position),
      from: position,
      begun: false,
      unaccounted: 0,
      dropped: {},
      droppedByOwner: noneDropped,
    }
  }

  #allowed(frame: OutFrame): boolean {
    return this.#mayEnd(startBytes(frame), frame.endBytes, frame.sequence + frame.count)
  }

  /** Whether every blocking consumer has credit for the bytes from `start` to `end`, whose last record is before `next`. */
  #mayEnd(start: number, end: number, next: number): boolean {
    for (const channel of this.#channels.values()) {
      if (!channel.blocking || next <= channel.position) continue
      const window = isOwnerless(channel) ? this.#ownerlessWindow : channel.windowBytes
      if (window === 0) return false
      if (start > channel.positionBytes && end - channel.positionBytes > window) return false
    }
    return true
  }

  /** Nothing is sent if nobody is there: it would only be sent again. */
  get #ownerlessWindow(): number {
    for (const channel of this.#channels.values()) if (!isOwnerless(channel)) return this.#ownerlessBytes
    return 0
  }

  #changeOwner(channel: Channel, owner: string, epoch: number, fresh: boolean): void {
    // Only the old owner had them; one that handed over has settled each, even if its last credit was lost.
    if (fresh) channel.unaccounted += channel.aside
    channel.aside = 0
    if (fresh && !channel.left && channel.epoch > 0) {
      // The old owner vanished. It may have processed what it had touched and not acknowledged: not sent again (at most once).
      const touched = this.#touchedBy(channel)
      channel.unaccounted += touched - channel.position
      this.#moveTo(channel, touched)
      this.#frames.rewindTo(channel.position)
    } else if (fresh) {
      this.#frames.rewindTo(channel.position) // what was sent while it had no owner, too
    }
    channel.owner = owner
    channel.epoch = epoch
    channel.left = false
    channel.accepted = channel.touched = channel.position
    channel.droppedByOwner = noneDropped
  }

  /** Behind the last record that its owner may have processed. */
  #touchedBy(channel: Channel): number {
    return Math.max(channel.touched, this.#cutHigh)
  }

  #acknowledge(channel: Channel, entry: CreditEntry): void {
    const through = Math.min(entry.through, this.#sentHigh)
    if (through > channel.position) this.#moveTo(channel, through)
    // A credit with a lower position may be late.
    if (through === channel.position) {
      channel.aside = Math.min(entry.aside ?? 0, channel.position - channel.from)
      channel.attempts = entry.attempts ?? channel.attempts
    }
    const { accepted, touched = accepted } = entry
    this.#heardHigh = Math.max(this.#heardHigh, through, Math.min(accepted, this.#sentHigh))
    channel.accepted = Math.max(channel.accepted, channel.position, Math.min(accepted, this.#sentHigh))
    channel.touched = Math.max(channel.touched, channel.position, Math.min(touched, this.#sentHigh))
    for (const [reason, records] of Object.entries(entry.dropped)) {
      const more = records - (channel.droppedByOwner[reason] ?? 0)
      if (more <= 0) continue
      channel.dropped[reason] = (channel.dropped[reason] ?? 0) + more
      channel.droppedByOwner = { ...channel.droppedByOwner, [reason]: records }
    }
  }

  #moveTo(channel: Channel, position: number): void {
    if (position !== channel.position) channel.attempts = 0
    channel.position = position
    channel.positionBytes = this.#frames.bytesBefore(position)
  }

  #trim(): void {
    let least = Number.POSITIVE_INFINITY
    for (const channel of this.#channels.values())
      if (channel.blocking) least = Math.min(least, channel.position)
    this.#frames.trim(least, this.#confirmedTicket, this.#heardHigh)
  }

  #account(channel: Channel): OutputLedger {
    const sent = Math.max(0, this.next - channel.from) // held records too: they were taken, so they are in flight
    const earlier = earlierOf(channel)
    return {
      stream: this.stream,
      consumer: channel.consumer,
      sent,
      acked: this.#acked(channel),
      dropped: { ...channel.dropped },
      unaccounted: channel.unaccounted,
      ...(channel.begun && { parts: 1 }),
      ...(Object.keys(earlier).length > 0 && { earlier }),
    }
  }

  #acked({ position, from, unaccounted, aside }: Channel): number {
    return Math.max(0, position - from) - unaccounted - aside
  }
}

/** None came yet, or it has left. */
function isOwnerless({ owner, left }: Channel): boolean {
  return owner === '' || left
}

/** What earlier owners have dropped. */
function earlierOf({ dropped, droppedByOwner }: Channel): Record<string, number> {
  const earlier: Record<string, number> = {}
  for (const [reason, records] of Object.entries(dropped)) {
    const before = records - (droppedByOwner[reason] ?? 0)
    if (before > 0) earlier[reason] = before
  }
  return earlier
}

/** Records that the present owner does not know about. */
function settledOf(channel: Channel): number {
  return channel.unaccounted + sumOfCounts(earlierOf(channel))
}
