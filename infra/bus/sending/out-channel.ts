/**
 * OutChannel: what an OutPartition knows of one consumer and its owner.
 * @module
 */

import { noneDropped } from '../messages/credit.ts'

/** A consumer as the topology names it. */
export interface NamedConsumer {
  readonly name: string
  readonly blocking: boolean
  /** For whom it goes on. */
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
  /** How often the record at `position` has ended its owner, as the last of them said. */
  attempts: number
  /** Records below `position` that its owner holds, to try them again: in flight. */
  aside: number
  /** Next sequence that its owner has not accepted, as far as we were told. */
  accepted: number
  /** Behind the last record that its owner may have processed, as far as we were told. */
  touched: number
  /** Bytes of this partition before `position`, up to a frame's start. */
  positionBytes: number
  /** First sequence that counts for this consumer. */
  readonly from: number
  /** Something was sent that counts for it. */
  begun: boolean
  unaccounted: number
  dropped: Record<string, number>
  droppedByOwner: Readonly<Record<string, number>>
}

/** Who goes on for a consumer that is gone begins with all that this has not acknowledged, as behind an owner that has left. */
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
