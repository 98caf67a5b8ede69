/**
 * OutPartition: the sending end of the channels of one (producer, stream, partition). Pure: it decides, its
 * Producer publishes. Protocol: docs/design/0002-channels.md.
 *
 * Owns the frames that are held (not sent yet) or retained (sent, not acknowledged), in order of sequence:
 *
 *     acknowledged by all │ retained: sent │ held: not sent
 *                         base           cursor           end        (frame numbers, never reused)
 *
 * Invariants:
 *  P1. A frame leaves retention only when each blocking consumer's position has passed it and the server confirmed it.
 *  P2. Bytes outstanding towards a blocking consumer are at most its window, or one frame.
 *  P3. `sent = acked + in flight + unaccounted` for each consumer, at any time (I7); what is held counts as in flight.
 *  P4. A credit of an epoch lower than one already heard for that consumer changes nothing (I8).
 * @module
 */

import { frameBytesAimed, headerBytesV1 } from '../../../sdk/frame.ts'
import { sumOfCounts } from '../../control/counts.ts'
import type { OutputLedger } from '../../control/messages.ts'
import type { BeaconEntry } from '../messages/beacon.ts'
import { type CreditEntry, creditFlags, noneDropped } from '../messages/credit.ts'
import type { AddOut } from './allowance.ts'
import { type Channel, type NamedConsumer, successorOf } from './out-channel.ts'

/** A frame of which only the header is still to be stamped. */
export interface OutFrame {
  /** Header space and body; only the first `length` bytes count. */
  buffer: Uint8Array
  length: number
  count: number
  readonly sequence: number
  /** Bytes of this partition up to and with this frame. */
  endBytes: number
  /** Order in which the producer handed it to the wire; Infinity while held. */
  ticket: number
}

const nobody: readonly string[] = []

export class OutPartition {
  #frames: OutFrame[] = []
  #base = 0
  #cursor = 0
  #next = 0
  #bytes = 0
  /** One past the highest sequence ever sent. */
  #sentHigh = 0
  #confirmedTicket = -1
  /**
   * One past the highest sequence sent when our connection was lost last: what owners have said of these records may not have been
   * heard, and what is heard of them now may have been said before.
   */
  #cutHigh = 0
  readonly #channels = new Map<string, Channel>()
  readonly stream: string
  readonly partition: number
  /** Whose lane it is part of; undefined: of the stream's main subject. */
  readonly consumer: string | undefined

  readonly #forget: (bytes: Uint8Array) => void

  /** @param forget Hears of memory that no frame lies in any more. */
  constructor(stream: string, partition: number, forget: (bytes: Uint8Array) => void, consumer?: string) {
    this.#forget = forget
    this.stream = stream
    this.partition = partition
    this.consumer = consumer
  }

  /** The sequence that the next record will have. */
  get next(): number {
    return this.#next
  }

  /** Bytes held and retained. */
  get bufferedBytes(): number {
    return this.#frames.length === 0 ? 0 : this.#bytes - this.#startBytes(this.#frames[0]!)
  }

  /** Bytes of frames that were never sent. */
  get heldBytes(): number {
    const last = this.#frames.at(-1)
    if (last === undefined || last.ticket !== Number.POSITIVE_INFINITY) return 0
    let bytes = 0
    for (
      let i = this.#frames.length - 1;
      i >= 0 && this.#frames[i]!.ticket === Number.POSITIVE_INFINITY;
      i--
    ) {
      bytes += this.#frames[i]!.length
    }
    return bytes
  }

  get oldest(): number {
    return this.#frames[0]?.sequence ?? this.#next
  }

  /** True while somebody owes us an answer: frames are held, or sent and not acknowledged by a blocking consumer. */
  get waiting(): boolean {
    if (this.#cursor < this.#end) return true
    for (const channel of this.#channels.values())
      if (channel.blocking && channel.position < this.#sentHigh) return true
    return false
  }

  /** True while something waits for a consumer that nobody owns: it has none yet, or its owner has left. */
  get lacksOwner(): boolean {
    if (!this.waiting) return false
    for (const { blocking, owner, left } of this.#channels.values())
      if (blocking && (owner === '' || left)) return true
    return false
  }

  get settled(): boolean {
    return this.#frames.length === 0
  }

  /** Records taken and not acknowledged by all that they wait for. */
  get unsettled(): number {
    return this.#next - this.oldest
  }

  /** Frames wait to be sent, or sent again. */
  protected get hasUnsent(): boolean {
    return this.#cursor < this.#end
  }

  /** True if a frame of so many bytes, behind all that were added, has credit. */
  protected admits(bytes: number): boolean {
    return this.#mayEnd(this.#bytes, this.#bytes + bytes, this.#next + 1)
  }

  /** True once all before `mark` lies in the queues of the owners that it waits for, or, if it waits for none, in the server. */
  acceptedThrough(mark: number): boolean {
    if (this.#sentHigh < mark) return false
    const blocking = [...this.#channels.values()].filter((channel) => channel.blocking)
    if (blocking.length === 0) return this.oldest >= mark
    return blocking.every((channel) => Math.max(channel.position, channel.accepted) >= mark)
  }

  /** What `safeThrough` is to be asked for all that was taken so far. */
  get mark(): number {
    return this.#next
  }

  /** True once all before `mark` lies with the owners that it waits for: should this process end now, nothing of it is lost. */
  safeThrough(mark: number): boolean {
    if (this.#sentHigh < mark) return false
    for (const { blocking, position, accepted } of this.#channels.values())
      if (blocking && Math.max(position, accepted) < mark) return false
    return true
  }

  /**
   * Takes the consumers that the topology names.
   * @param from Where a new one starts that goes on for no other: at the first record not sent yet, or behind all that was taken so far.
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

  /** Takes a frame: header space first, unstamped. Small frames that are held grow together. */
  add(frame: Uint8Array, count: number): void {
    const body = frame.length - headerBytesV1
    const last = this.#frames.at(-1)
    this.#next += count
    this.#bytes += body
    if (
      last !== undefined &&
      last.ticket === Number.POSITIVE_INFINITY &&
      last.length + body <= frameBytesAimed
    ) {
      this.#append(last, frame.subarray(headerBytesV1))
      this.#forget(frame)
      last.count += count
      last.endBytes += body
      return
    }
    this.#bytes += headerBytesV1
    this.#frames.push({
      buffer: frame,
      length: frame.length,
      count,
      sequence: this.#next - count,
      endBytes: this.#bytes,
      ticket: Number.POSITIVE_INFINITY,
    })
  }

  /** The next frame that every blocking consumer has credit for, marked as sent under `ticket`; else undefined. */
  send(ticket: number): OutFrame | undefined {
    const frame = this.#frames[this.#cursor - this.#base]
    if (frame === undefined || !this.#allowed(frame)) return undefined
    frame.ticket = ticket
    this.#cursor += 1
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

  /** The connection was lost and is back: what is retained goes out again. */
  rewind(): void {
    this.#cutHigh = this.#sentHigh
    this.#cursor = this.#base
  }

  /**
   * Takes a consumer's credit.
   * @returns `beacon` if the owner must be told where it stands, `moved` if frames may now leave, `settles` if an owner has gone that
   *   has left something in the account.
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
    // Owners from that epoch on have handed over all they knew of: they have touched nothing of ours that is not in `through`.
    const heir = (entry.flags & creditFlags.heir) !== 0 && channel.epoch >= entry.through
    if (newOwner) this.#changeOwner(channel, owner, epoch, fresh && !heir)
    else if (channel.left) return nothing
    const settles = newOwner && settledOf(channel) > settled
    channel.windowBytes = entry.windowBytes
    if (!fresh) this.#acknowledge(channel, entry)
    if ((entry.flags & creditFlags.leaving) !== 0) channel.left = true
    // What we go on sending the next one keeps, and asks for what it lacks of what was sent before.
    if (entry.next !== undefined && entry.next.epoch > channel.epoch)
      this.#changeOwner(channel, entry.next.owner, entry.next.epoch, false)
    if ((entry.flags & creditFlags.resend) !== 0 || (newOwner && !fresh))
      this.#rewindTo(Math.max(channel.position, entry.accepted))
    else if (newOwner && heir) this.#rewindTo(channel.position)
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

  /** A row for each consumer. */
  ledger(): OutputLedger[] {
    return [...this.#channels.values()].map((channel) => this.#account(channel))
  }

  /** Records that were sent to each consumer and not acknowledged: in flight, and unaccounted. What is held was not sent. */
  eachOut(add: AddOut): void {
    for (const channel of this.#channels.values()) {
      const out = Math.max(0, this.#sentHigh - channel.from) - this.#acked(channel)
      add(channel.consumer, out - channel.unaccounted, channel.unaccounted)
    }
  }

  /** The rows as they would be if the consumers were gone: what one has not taken was not for it. */
  closing(): OutputLedger[] {
    return [...this.#channels.values()].map((channel) => {
      const { acked, unaccounted, ...row } = this.#account(channel)
      const untold = channel.left || channel.epoch === 0 ? 0 : this.#touchedBy(channel) - channel.position
      const lost = unaccounted + channel.aside + untold
      return { ...row, acked, unaccounted: lost, sent: acked + lost }
    })
  }

  /** Records sent so far, to whomever. */
  get sent(): number {
    return this.#sentHigh
  }

  /** All records before this one were sent, and none of them is about to be sent again. */
  get reached(): number {
    return Math.min(this.#sentHigh, this.#frames[this.#cursor - this.#base]?.sequence ?? this.#next)
  }

  get #end(): number {
    return this.#base + this.#frames.length
  }

  #open(consumer: string, blocking: boolean, from: 'unsent' | 'next'): Channel {
    const held = from === 'unsent' ? this.#frames[this.#cursor - this.#base] : undefined
    // After a rewind the cursor stands on frames that were sent before: those are not for a newcomer.
    const position = Math.max(this.#sentHigh, held?.sequence ?? this.#next)
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
      positionBytes: this.#bytesBefore(position),
      from: position,
      begun: false,
      unaccounted: 0,
      dropped: {},
      droppedByOwner: noneDropped,
    }
  }

  #allowed(frame: OutFrame): boolean {
    return this.#mayEnd(this.#startBytes(frame), frame.endBytes, frame.sequence + frame.count)
  }

  /** Whether every blocking consumer has credit for the bytes from `start` to `end`, whose last record is before `next`. */
  #mayEnd(start: number, end: number, next: number): boolean {
    for (const channel of this.#channels.values()) {
      if (!channel.blocking || next <= channel.position) continue
      if (channel.windowBytes === 0 || channel.left) return false
      if (start > channel.positionBytes && end - channel.positionBytes > channel.windowBytes) return false
    }
    return true
  }

  #changeOwner(channel: Channel, owner: string, epoch: number, fresh: boolean): void {
    // It was the old owner who had them; one that hands over has settled each, even if its last word was lost.
    if (fresh) channel.unaccounted += channel.aside
    channel.aside = 0
    if (fresh && !channel.left && channel.epoch > 0) {
      // The old owner vanished. What it had touched and not acknowledged it may have processed: gone, at most once.
      const touched = this.#touchedBy(channel)
      channel.unaccounted += touched - channel.position
      this.#moveTo(channel, touched)
      this.#rewindTo(channel.position)
    } else if (channel.left && fresh) {
      this.#rewindTo(channel.position)
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
    // What is behind may be late.
    if (through === channel.position) {
      channel.aside = Math.min(entry.aside ?? 0, channel.position - channel.from)
      channel.attempts = entry.attempts ?? channel.attempts
    }
    const { accepted, touched = accepted } = entry
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
    channel.positionBytes = this.#bytesBefore(position)
  }

  /** Bytes before the frame that holds `position`: a frame counts as outstanding until its last record is done. */
  #bytesBefore(position: number): number {
    for (const frame of this.#frames)
      if (frame.sequence + frame.count > position) return this.#startBytes(frame)
    return this.#bytes
  }

  #startBytes(frame: OutFrame): number {
    return frame.endBytes - frame.length
  }

  #rewindTo(position: number): void {
    const index = this.#frames.findIndex((frame) => frame.sequence + frame.count > position)
    if (index >= 0) this.#cursor = Math.min(this.#cursor, this.#base + index)
  }

  #trim(): void {
    let least = Number.POSITIVE_INFINITY
    for (const channel of this.#channels.values())
      if (channel.blocking) least = Math.min(least, channel.position)
    let drop = 0
    while (drop < this.#cursor - this.#base) {
      const frame = this.#frames[drop]!
      if (frame.sequence + frame.count > least || frame.ticket > this.#confirmedTicket) break
      drop += 1
    }
    if (drop === 0) return
    for (const { buffer } of this.#frames.splice(0, drop)) this.#forget(buffer)
    this.#base += drop
  }

  #account(channel: Channel): OutputLedger {
    const sent = Math.max(0, this.#next - channel.from) // held ones too: they were taken, so they are in flight
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

  #append(frame: OutFrame, body: Uint8Array): void {
    const length = frame.length + body.length
    if (length > frame.buffer.length) {
      const grown = new Uint8Array(Math.min(frameBytesAimed, Math.max(length, frame.buffer.length * 2)))
      grown.set(frame.buffer.subarray(0, frame.length))
      this.#forget(frame.buffer)
      frame.buffer = grown
    }
    frame.buffer.set(body, frame.length)
    frame.length = length
  }
}

/** What owners before the present one have dropped. */
function earlierOf({ dropped, droppedByOwner }: Channel): Record<string, number> {
  const earlier: Record<string, number> = {}
  for (const [reason, records] of Object.entries(dropped)) {
    const before = records - (droppedByOwner[reason] ?? 0)
    if (before > 0) earlier[reason] = before
  }
  return earlier
}

/** What no present owner knows of. */
function settledOf(channel: Channel): number {
  return channel.unaccounted + sumOfCounts(earlierOf(channel))
}
