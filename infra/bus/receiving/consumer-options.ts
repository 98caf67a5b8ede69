/**
 * ConsumerOptions: what a consumer is made with.
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
  /** Where an input is read by another name (docs/design/0024-broadcast.md); default: nowhere. */
  readonly nameOf?: (stream: string) => string
  /** Grows with each owner of these partitions. */
  readonly epoch: number
  readonly clock: Clock
  readonly windowBytes?: number
  /** What is kept of all partitions that are awaited. */
  readonly passedBytes?: number
  /** Called when a frame has come into an empty queue. */
  readonly onFrames: () => void
  /** The inputs that queue at their producers, and so come by a lane of their own (docs/design/0016-back-pressure.md). */
  readonly hasLane?: (stream: string) => boolean
  /** What the state that the owner begins with contains of a partition; undefined: there is no such state. */
  readonly contains?: (stream: string, partition: number) => StatePositions | undefined
  /** In which format the state of a new partition is used (docs/design/0032-migrate.md); undefined: `useFormat` will tell. */
  readonly format?: () => StateFormat | undefined
  /** Called when somebody claims a partition of ours with a higher epoch: stop at once. */
  readonly onSuperseded?: (claim: Claim) => void
}
