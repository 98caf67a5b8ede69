/**
 * InChannel: what a consumer knows about one producer in one partition. Always
 * `acknowledged` ≤ `through` ≤ `told`, `expected`.
 * @module
 */

import type { FrameHeader } from '../../../sdk/wire/frame.ts'
import { sumOfCounts } from '../../control/counts.ts'
import { type CreditEntry, creditFlags, type NextOwner, noneDropped } from '../messages/credit.ts'
import { passedBytesMax } from '../messages/windows.ts'

export interface InChannel {
  readonly producer: string
  readonly origin: string
  readonly epoch: number
  /** Next sequence to accept; undefined until a beacon says it. */
  expected: number | undefined
  /** First sequence that counts for this consumer; undefined if not known. */
  from: number | undefined
  /** What the owner before said to have accepted and left to this one; the producer may be gone. */
  promised: number
  /** Behind the last record done. */
  through: number
  dropped: Readonly<Record<string, number>>
  /** Records below `through` that wait to be tried again. */
  aside: number
  /** The record that has ended an owner, and how often. */
  tried: { readonly sequence: number; readonly attempts: number } | undefined
  /** `through`, as far as it may be acknowledged. */
  acknowledged: number
  acknowledgedDropped: Readonly<Record<string, number>>
  acknowledgedAside: number
  /** Behind the last record that the caller took. */
  taken: number
  /** The `expected` that the producer was last told. */
  told: number
  /** The `touched` that the producer was last told. */
  toldTouched: number
  /** The version of credits that the producer asked for last. */
  creditVersion: number
  /** Records accepted and not done. */
  open: number
  /** Must be told in the next credits. */
  dirty: boolean
  resendAskedMs: number
  heardMs: number
}

/** What an owner of partitions passes to the next one. */
export interface HandoverPositions {
  /** The epoch since which they were only handed over, never taken fresh. */
  readonly since: number
  /** The next owner, if producers were told. */
  readonly next?: string
  readonly channels: readonly ChannelPosition[]
}

/** Where an owner left a channel. */
export interface ChannelPosition {
  readonly stream: string
  readonly partition: number
  readonly producer: string
  readonly origin: string
  /** The producer's, as its frames carry it. */
  readonly epoch: number
  /** Behind the last record done. */
  readonly through: number
  /** First sequence that counts for the consumer; absent if the giver does not say. */
  readonly from?: number
  /** The `accepted` that the producer was last told; absent: `through`. */
  readonly accepted?: number
  /** How often the record at `through` has ended an owner, if it was not tried since; absent: never. */
  readonly attempts?: number
}

export function openChannel(
  header: Pick<FrameHeader, 'producer' | 'origin' | 'epoch'>,
  nowMs: number,
): InChannel {
  return {
    producer: header.producer,
    origin: header.origin,
    epoch: header.epoch,
    expected: undefined,
    from: undefined,
    promised: 0,
    through: 0,
    dropped: noneDropped,
    aside: 0,
    tried: undefined,
    acknowledged: 0,
    acknowledgedDropped: noneDropped,
    acknowledgedAside: 0,
    taken: 0,
    told: 0,
    toldTouched: 0,
    creditVersion: 1,
    open: 0,
    dirty: false,
    resendAskedMs: Number.NEGATIVE_INFINITY,
    heardMs: nowMs,
  }
}

/** Opens a channel at `position`: everything before is done. @returns It. */
export function openAt(channel: InChannel, position: number): number {
  channel.expected = position
  channel.through = position
  channel.acknowledged = position
  return position
}

/** How far a channel is: what may be acknowledged once its outputs are safe. */
export interface InPosition {
  through: number
  dropped: Readonly<Record<string, number>>
  readonly aside: number
}

export function positionOf({ open, expected, through, dropped, aside }: InChannel): InPosition {
  // Nothing is in hand, so gaps are passed too.
  return { through: open === 0 ? (expected ?? 0) : through, dropped, aside }
}

/** How far a channel is acknowledged. */
export function acknowledgedOf(channel: InChannel): Pick<InPosition, 'through' | 'aside'> {
  return { through: channel.acknowledged, aside: channel.acknowledgedAside }
}

/** How far channels were at one moment. */
export type Mark = Map<InChannel, InPosition>

/** The positions of the channels that have something to acknowledge. */
export function markOf(channels: readonly InChannel[]): Mark {
  return new Map(channels.filter(({ dirty }) => dirty).map((channel) => [channel, positionOf(channel)]))
}

/** @returns Where the next owner continues, and what it must know of the channel. */
export function leftOf(
  { stream, partition }: Pick<ChannelPosition, 'stream' | 'partition'>,
  { producer, origin, epoch, acknowledged, tried, from, told, promised }: InChannel,
): ChannelPosition {
  const accepted = Math.max(told, promised)
  return {
    ...{ stream, partition, producer, origin, epoch, through: acknowledged },
    ...(from !== undefined && { from }),
    ...(accepted > acknowledged && { accepted }),
    ...(tried?.sequence === acknowledged && { attempts: tried.attempts }),
  }
}

/** Where each producer's channel of a partition was left. */
export function throughOf(left: readonly ChannelPosition[], of: number): ReadonlyMap<string, number> {
  return new Map(
    left.flatMap(({ partition, producer, through }) => (partition === of ? [[producer, through]] : [])),
  )
}

/** True until the record that has ended an owner is done. */
export function awaitsTried({ tried, through }: InChannel): boolean {
  return tried !== undefined && tried.sequence >= through
}

/** Lets the next credit acknowledge everything up to a position. */
export function release(channel: InChannel, { through, dropped, aside }: InPosition): void {
  channel.acknowledged = through
  channel.acknowledgedDropped = dropped
  channel.acknowledgedAside = aside
}

export function releaseAt(mark: Mark): void {
  for (const [channel, position] of mark) release(channel, position)
}

/** True if an accepted record is not done yet, or not acknowledged. */
export function isUnsaid(channel: InChannel): boolean {
  const { open, aside, acknowledged, acknowledgedAside } = channel
  return open > 0 || aside > 0 || acknowledgedAside > 0 || acknowledged < positionOf(channel).through
}

/** Records that are done and not acknowledged, without those dropped or set aside. */
export function unsaidOf(channel: InChannel): number {
  const dropped = sumOfCounts(channel.dropped) - sumOfCounts(channel.acknowledgedDropped)
  const aside = channel.aside - channel.acknowledgedAside
  return channel.through - channel.acknowledged - dropped - aside
}

/** The credit to send now. @param next With `leaving`: the next owner. */
export function creditOf(
  { stream, partition }: Pick<ChannelPosition, 'stream' | 'partition'>,
  channel: InChannel,
  flags: number,
  windowBytes: number,
  next?: NextOwner,
): CreditEntry {
  channel.dirty &&= channel.acknowledged < channel.through || channel.acknowledgedAside !== channel.aside
  channel.told = channel.expected ?? 0
  const { tried, acknowledged: through, told: accepted } = channel
  const { acknowledgedAside: aside, acknowledgedDropped: dropped } = channel
  const leaving = (flags & creditFlags.leaving) !== 0
  const tells = leaving && tried !== undefined && tried.sequence === through
  const touched = channel.creditVersion === 1 ? accepted : Math.max(channel.taken, channel.through)
  channel.toldTouched = touched
  const isAhead = !leaving && touched < accepted
  if (!leaving && !isAhead && aside === 0)
    return { stream, partition, flags, through, accepted, windowBytes, dropped }
  return {
    ...{ stream, partition, through, accepted, dropped },
    flags:
      flags |
      (tells ? creditFlags.tried : 0) |
      (aside > 0 ? creditFlags.aside : 0) |
      (next === undefined ? 0 : creditFlags.next) |
      (isAhead ? creditFlags.touched : 0),
    // What the next owner keeps before it has claimed.
    windowBytes: next !== undefined ? Math.min(windowBytes, passedBytesMax / 2) : leaving ? 0 : windowBytes,
    ...(tells ? { attempts: tried.attempts } : {}),
    ...(aside > 0 ? { aside } : {}),
    ...(next === undefined ? {} : { next }),
    ...(isAhead ? { touched } : {}),
  }
}
