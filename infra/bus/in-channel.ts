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
    told: 0,
    open: 0,
    dirty: false,
    resendAskedMs: Number.NEGATIVE_INFINITY,
    heardMs: nowMs,
  }
}

/** Lets what is done be acknowledged in whatever credit comes next. */
export function release(channel: InChannel): void {
  // Nothing in hand: gaps are behind us too.
  channel.acknowledged = channel.open === 0 ? (channel.expected ?? 0) : channel.through
  channel.acknowledgedDropped = channel.dropped
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
