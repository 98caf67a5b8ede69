/**
 * Accounts: what producers and consumers of a stream say about its records, so that each is accounted for (I7).
 * Design: docs/design/0002-channels.md
 * @module
 */
/** One producer's account of one consumer of a stream, in records, since the producer's start (I7). */
export interface OutputLedger {
  readonly stream: string
  /** The consumer's name, or `$server` for records without an accounted consumer. */
  readonly consumer: string
  readonly sent: number
  /** Acknowledged: processed or dropped. */
  readonly acked: number
  /** The dropped part of `acked`, by reason. */
  readonly dropped: Readonly<Record<string, number>>
  /** Sent to an owner that was killed before it acknowledged. */
  readonly unaccounted: number
  /**
   * `unaccounted` is an upper bound: the producer's allowance, or what was in flight, when nobody could be asked any
   * more.
   */
  readonly isAtMost?: true
  /** The part of `dropped` that the producer dropped itself, out of a queue; absent: nothing. */
  readonly own?: Readonly<Record<string, number>>
  /** The part of `dropped` that earlier owners dropped; absent: nothing. */
  readonly earlier?: Readonly<Record<string, number>>
  /** The number of partitions that it has sent to; absent: unknown. */
  readonly parts?: number
  /**
   * How long the oldest record in flight has waited since its producer took it, by now; absent: none waits, or it is not known
   * (0002, "Lag").
   */
  readonly lagMs?: number
  /** The part of the records in flight that waits on disk for a consumer that queues; absent: nothing. */
  readonly spilled?: number
  readonly spilledBytes?: number
  /**
   * The bound of records sent and not acknowledged, until an `AllowanceNotice` raises it; absent: nothing more is
   * sent, or the bound is unknown.
   */
  readonly allowance?: number
  /** The producer's id while it has records on disk; when no heartbeat names it any more, they are adopted. */
  readonly spiller?: string
}

/** A producer's allowance towards a consumer, and the counts that no present owner knows. */
export type AllowanceRow = Pick<OutputLedger, 'stream' | 'consumer'> & {
  readonly allowance: number
} & Partial<Pick<OutputLedger, 'unaccounted' | 'earlier' | 'parts'>>

/** An instance, or an ingest, that was killed: its receivers are asked how far its channels have come. */
export interface GoneProducer {
  /** Its function, or `ingest`. */
  readonly name: string
  /** The instance's index, or the gateway's id. */
  readonly index: number | string
  /** Its first and last epoch. */
  readonly firstEpoch: number
  readonly epoch: number
}

/** Sent by the scheduler to all runners every second while accounts are open; they answer in their heartbeats. */
export interface GoneNotice {
  readonly schema: 1
  readonly gone: readonly GoneProducer[]
}

/** How far the channel of a killed producer has come, in records since the producer's start. */
export interface ReceivedRow extends Pick<GoneProducer, 'name' | 'index' | 'epoch'> {
  readonly stream: string
  readonly consumer: string
  readonly partition: number
  /** Accepted by this owner and those before it. */
  readonly sent: number
  /** The part of `sent` that is done, or that its producer has called unaccounted. */
  readonly acked: number
  /**
   * The part of the rest that this owner has in hand. The others were left to it to be sent again, which a killed producer does
   * not do. Absent: sent by an earlier build.
   */
  readonly inHand?: number
  /** Dropped by this owner, by reason. */
  readonly dropped: Readonly<Record<string, number>>
  /**
   * The epoch at which this owner claimed the partition; drops of other owners are added to it. Absent: sent by an
   * earlier build.
   */
  readonly claimed?: number
}

/**
 * An instance's new allowances, between two heartbeats. Sent ahead of the frames that need them, on the same
 * connection (docs/design/0002-channels.md). They replace the bounds of its last report.
 */
export interface AllowanceNotice {
  readonly schema: 1
  readonly taskId: string
  readonly instance: string
  readonly epoch: number
  /** Grows with each notice and each report of the runner. */
  readonly number: number
  readonly rows: readonly AllowanceRow[]
}

/** One consumer's account of one input, in records, since the consumer's start. */
export interface InputLedger {
  readonly stream: string
  readonly received: number
  readonly processed: number
  readonly dropped: Readonly<Record<string, number>>
  /** Records seen again and ignored. */
  readonly repeats: number
  /** Records that a producer no longer had. */
  readonly gaps: number
  /** Records that were processed or unaccounted, and whose effects the state lacks: see docs/design/0008-checkpoints.md. */
  readonly stateLost: number
  /** The same by partition, without those that lack none; absent: sent by an earlier build. */
  readonly lost?: Readonly<Record<string, number>>
  /** Frames refused: malformed, or fenced by a higher epoch. */
  readonly refused: Readonly<Record<string, number>>
}
