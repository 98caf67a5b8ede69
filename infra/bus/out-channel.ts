/**
 * OutChannel: what an OutPartition knows of one consumer and its owner.
 * @module
 */

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
  /** Our connection was lost since its owner's last credit: it may have accepted more than we were told. */
  uncertain: boolean
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
