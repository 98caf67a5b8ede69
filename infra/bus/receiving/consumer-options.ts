/**
 * ConsumerOptions: the options of a Consumer.
 * @module
 */
import type { StateFormat } from '../../../sdk/function.ts'
import type { Clock } from '../../clock.ts'
import type { Claim } from '../messages/claim.ts'
import type { Wire } from '../wire/wire.ts'
import type { StatePositions } from './contained.ts'

export interface ConsumerOptions {
  readonly wire: Wire
  readonly namespace: string
  /** The consuming function, or `follower.ID`. */
  readonly name: string
  /** The name under which an input is read, if it differs (docs/design/0024-broadcast.md). */
  readonly nameOf?: (stream: string) => string
  /** This incarnation, 16 hex digits; default: drawn. Of whoever sends, too, it is the id of its producer. */
  readonly owner?: string
  /** Grows with each owner of these partitions. */
  readonly epoch: number
  readonly clock: Clock
  readonly windowBytes?: number
  /** Bytes kept of all awaited partitions together. */
  readonly passedBytes?: number
  /** Called when a frame has entered an empty queue. */
  readonly onFrames: () => void
  /** Whether an input queues at its producers, and so has a lane (docs/design/0016-back-pressure.md). */
  readonly hasLane?: (stream: string) => boolean
  /** What the initial state contains of a partition; undefined if there is no such state. */
  readonly contains?: (stream: string, partition: number) => StatePositions | undefined
  /** The format in which the state of a new partition is used (docs/design/0032-migrate.md); undefined: `useFormat` sets it. */
  readonly format?: () => StateFormat | undefined
  /** Called when another owner claims a partition with a higher epoch: stop at once. */
  readonly onSuperseded?: (claim: Claim) => void
}
