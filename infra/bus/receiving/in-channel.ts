/**
 * InChannel: what a consumer knows of one producer in one partition. The fields' order of growth is
 * `acknowledged` ≤ `through` ≤ `told`, `expected`.
 * @module
 */

import type { FrameHeader } from '../../../sdk/wire/frame.ts'
import { sumOfCounts } from '../../control/counts.ts'
import { type CreditEntry, creditFlags, type NextOwner, noneDropped } from '../messages/credit.ts'
import { passedBytesMax } from './windows.ts'

export interface InChannel {
  readonly producer: string
  readonly origin: string
  readonly epoch: number
  /** Next sequence to accept; undefined until a beacon has told it. */
  expected: number | undefined
  /** First sequence that counts for us; undefined: nobody has told it. */
  from: number | undefined
  /** What an owner before us has told as accepted, and left to us: its producer may be gone. */
  promised: number
  /** Behind the last record done. */
  through: number
  dropped: Readonly<Record<string, number>>
  /** Records below `through` that wait to be tried again. */
  aside: number
  /** The record that has ended an owner, and how often. */
  tried: { readonly sequence: number; readonly attempts: number } | undefined
  /** The same, as far as `acknowledge` has released it. */
  acknowledged: number
  acknowledgedDropped: Readonly<Record<string, number>>
  acknowledgedAside: number
  /** Behind the last record that the caller took. */
  taken: number
  /** The `expected` that its producer was last told. */
  told: number
  /** Behind the last record that its producer was told of as touched. */
  toldTouched: number
  /** The version of credits that its producer asks for, as far as it was heard. */
  creditVersion: number
  /** Records accepted and not done. */
  open: number
  /** Must be told in the next credits. */
  dirty: boolean
  resendAskedMs: number
  heardMs: number
}

/** What an owner of partitions leaves to the next. */
export interface Heritage {
  /** The epoch since which they were only handed over. */
  readonly since: number
  /** Who owns them next, if producers were told so. */
  readonly next?: string
  readonly channels: readonly ChannelPosition[]
}

/** Where it left a channel. */
export interface ChannelPosition {
  readonly stream: string
  readonly partition: number
  readonly producer: string
  readonly origin: string
  /** The producer's, as its frames carry it. */
  readonly epoch: number
  /** Behind the last record done. */
  readonly through: number
  /** First sequence that counts for the consumer; absent: the giver does not say. */
  readonly from?: number
  /** Behind the last record that its producer was told of as accepted; absent: at `through`. */
  readonly accepted?: number
  /** The record there has ended an owner so often, and was not tried since; absent: never. */
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

/** All before `position` is done. @returns It. */
export function openAt(channel: InChannel, position: number): number {
  channel.expected = position
  channel.through = position
  channel.acknowledged = position
  return position
}

/** How far a channel is: what may be acknowledged once what came of it is safe. */
export interface InPosition {
  through: number
  dropped: Readonly<Record<string, number>>
  readonly aside: number
}

export function positionOf({ open, expected, through, dropped, aside }: InChannel): InPosition {
  // Nothing in hand: gaps are behind us too.
  return { through: open === 0 ? (expected ?? 0) : through, dropped, aside }
}

/** How far channels were at some moment. */
export type Mark = Map<InChannel, InPosition>

/** Of those channels that have something to acknowledge. */
export function markOf(channels: readonly InChannel[]): Mark {
  return new Map(channels.filter(({ dirty }) => dirty).map((channel) => [channel, positionOf(channel)]))
}

/** What the next owner is to know of it. @returns Where it goes on there. */
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

/** Of one partition: where each producer's channel was left. */
export function throughOf(left: readonly ChannelPosition[], of: number): ReadonlyMap<string, number> {
  return new Map(
    left.flatMap(({ partition, producer, through }) => (partition === of ? [[producer, through]] : [])),
  )
}

/** True while the record is not done that has ended an owner. */
export function awaitsTried({ tried, through }: InChannel): boolean {
  return tried !== undefined && tried.sequence >= through
}

/** Lets what was done at a position be acknowledged in whatever credit comes next. */
export function release(channel: InChannel, { through, dropped, aside }: InPosition): void {
  channel.acknowledged = through
  channel.acknowledgedDropped = dropped
  channel.acknowledgedAside = aside
}

export function releaseAt(mark: Mark): void {
  for (const [channel, position] of mark) release(channel, position)
}

/** Something that it has accepted is not done yet, or not said to be. */
export function isUnsaid(channel: InChannel): boolean {
  const { open, aside, acknowledged, acknowledgedAside } = channel
  return open > 0 || aside > 0 || acknowledgedAside > 0 || acknowledged < positionOf(channel).through
}

/** Records that are done, neither dropped nor set aside, and not acknowledged. */
export function unsaidOf(channel: InChannel): number {
  const dropped = sumOfCounts(channel.dropped) - sumOfCounts(channel.acknowledgedDropped)
  const aside = channel.aside - channel.acknowledgedAside
  return channel.through - channel.acknowledged - dropped - aside
}

/** The credit of this moment: what was released, and what was accepted. @param next Beside `leaving`: who owns it next. */
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
    // What the next one keeps of it before it has claimed.
    windowBytes: next !== undefined ? Math.min(windowBytes, passedBytesMax / 2) : leaving ? 0 : windowBytes,
    ...(tells ? { attempts: tried.attempts } : {}),
    ...(aside > 0 ? { aside } : {}),
    ...(next === undefined ? {} : { next }),
    ...(isAhead ? { touched } : {}),
  }
}
