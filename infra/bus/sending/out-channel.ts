/**
 * OutChannel: what an OutPartition knows about one consumer and its owner.
 * @module
 */

import { noneDropped } from '../messages/credit.ts'

/** A consumer as the topology names it. */
export interface NamedConsumer {
  readonly name: string
  readonly blocking: boolean
  /** The consumer that it replaces. */
  readonly instead?: string | undefined
}

export interface Channel {
  readonly consumer: string
  blocking: boolean
  owner: string
  epoch: number
  left: boolean
  windowBytes: number
  /** Next sequence that the consumer has not acknowledged. */
  position: number
  /** How often the record at `position` has ended its owner, as the last owner said. */
  attempts: number
  /** Records below `position` that its owner holds for a retry; they count as in flight. */
  aside: number
  /** Next sequence that its owner has not accepted, as last heard. */
  accepted: number
  /** Behind the last record that its owner may have processed, as last heard. */
  touched: number
  /** Bytes of this partition before `position`, up to a frame's start. */
  positionBytes: number
  /** First sequence that counts for this consumer. */
  readonly from: number
  /** True once something was sent that counts for it. */
  begun: boolean
  unaccounted: number
  dropped: Record<string, number>
  droppedByOwner: Readonly<Record<string, number>>
}

/** A consumer that replaces another begins with what that one has not acknowledged, as after an owner that has left. */
export function successorOf(former: Channel, consumer: string): Channel {
  const { position, positionBytes, blocking } = former
  return {
    ...{ consumer, blocking, owner: '', epoch: 0, left: true, windowBytes: 0 },
    ...{
      position,
      positionBytes,
      from: position,
      accepted: position,
      touched: position,
      attempts: 0,
      aside: 0,
    },
    ...{ begun: false, unaccounted: 0, dropped: {}, droppedByOwner: noneDropped },
  }
}
