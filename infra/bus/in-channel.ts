/**
 * InChannel: what a consumer knows of one producer in one partition. The fields' order of growth is
 * `acknowledged` ≤ `through` ≤ `told`, `expected`.
 * @module
 */
import type { FrameHeader } from '../../sdk/frame.ts'
import { type CreditEntry, creditFlags } from './credit.ts'

export interface InChannel {
  readonly producer: string
  readonly origin: string
  readonly epoch: number
  /** Next sequence to accept; undefined until a beacon has told it. */
  expected: number | undefined
  /** Behind the last record done. */
  through: number
  dropped: Readonly<Record<string, number>>
  /** The same, as far as `acknowledge` has released it. */
  acknowledged: number
  acknowledgedDropped: Readonly<Record<string, number>>
  /** Behind the last record that the caller took. */
  taken: number
  /** The `expected` that its producer was last told. */
  told: number
  /** Records accepted and not done. */
  open: number
  /** Must be told in the next credits. */
  dirty: boolean
  resendAskedMs: number
  heardMs: number
}

export function openChannel(header: FrameHeader, nowMs: number): InChannel {
  return {
    producer: header.producer,
    origin: header.origin,
    epoch: header.epoch,
    expected: undefined,
    through: 0,
    dropped: {},
    acknowledged: 0,
    acknowledgedDropped: {},
    taken: 0,
    told: 0,
    open: 0,
    dirty: false,
    resendAskedMs: Number.NEGATIVE_INFINITY,
    heardMs: nowMs,
  }
}

/** How far a channel is: what may be acknowledged once what came of it is safe. */
export interface InPosition {
  through: number
  dropped: Readonly<Record<string, number>>
}

export function positionOf({ open, expected, through, dropped }: InChannel): InPosition {
  // Nothing in hand: gaps are behind us too.
  return { through: open === 0 ? (expected ?? 0) : through, dropped }
}

/** Lets what was done at a position be acknowledged in whatever credit comes next. */
export function release(channel: InChannel, { through, dropped }: InPosition): void {
  channel.acknowledged = through
  channel.acknowledgedDropped = dropped
}

export function oneMore(
  dropped: Readonly<Record<string, number>>,
  reason: string,
  records = 1,
): Record<string, number> {
  return { ...dropped, [reason]: (dropped[reason] ?? 0) + records }
}

/** The credit of this moment: what was released, and what was accepted. */
export function creditOf(
  channel: InChannel,
  flags: number,
  windowBytes: number,
): Omit<CreditEntry, 'stream' | 'partition'> {
  channel.dirty &&= channel.acknowledged < channel.through
  channel.told = channel.expected ?? 0
  return {
    flags,
    through: channel.acknowledged,
    accepted: channel.told,
    windowBytes: (flags & creditFlags.leaving) !== 0 ? 0 : windowBytes,
    dropped: channel.acknowledgedDropped,
  }
}
