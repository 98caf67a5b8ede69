/**
 * Tail: reads a stream without being one of its consumers: it does not slow the stream, and counts what it misses.
 *
 *   TL1. Every record of a producer between two that are shown is shown too, or counted in a gap before the second; none is
 *        shown twice.
 *   TL2. A new holder of a slot takes the place of the one before, whose frames are no longer shown: consumers refuse them (I8).
 *        So what is remembered grows with the slots that produce (a gateway's process is one), not with restarts of instances.
 * @module
 */
import { type FrameHeader, frameFlags, parseFrame } from '../../../sdk/wire/frame.ts'
import { decodeBeacon } from '../messages/beacon.ts'
import { partitionSubject } from '../messages/subjects.ts'
import type { Wire } from '../wire/wire.ts'

export interface TailOptions {
  readonly wire: Wire
  readonly namespace: string
  readonly stream: string
  readonly onFrame: (bytes: Uint8Array, header: FrameHeader) => void
  /** Called with the number of records that were missed. */
  readonly onGap: (partition: number, producer: string, records: number) => void
}

/** Who holds a producing slot. */
interface Holder {
  readonly epoch: number
  /** The next sequence, by partition and producer. */
  readonly expected: Map<string, number>
}

/** Starts reading all partitions from now on. @returns A function that stops it. */
export function startTail({ wire, namespace, stream, onFrame, onGap }: TailOptions): () => void {
  const holders = new Map<string, Holder>()
  return wire.subscribe(partitionSubject(namespace, stream, '*'), (bytes) => {
    const read = readable(bytes)
    const holder = read && holderOf(holders, read.header)
    if (read === undefined || holder === undefined || read.isFence) return
    const { header } = read
    const { partition, producer, sequence, count } = header
    const key = `${partition} ${producer}`
    const next = holder.expected.get(key) ?? sequence
    if (sequence > next) onGap(partition, producer, sequence - next)
    holder.expected.set(key, Math.max(next, sequence + count))
    if (count > 0 && sequence >= next) onFrame(bytes, header)
  })
}

/** @returns Undefined for a frame of a past epoch. */
function holderOf(holders: Map<string, Holder>, { origin, epoch }: FrameHeader): Holder | undefined {
  const known = holders.get(origin)
  if (known !== undefined && epoch <= known.epoch) return epoch === known.epoch ? known : undefined
  const holder = { epoch, expected: new Map<string, number>() }
  holders.set(origin, holder)
  return holder
}

/** `isFence`: it only raises an epoch, and its sequence is nobody's position (beacons.ts, `raise`). */
function readable(
  bytes: Uint8Array,
): { readonly header: FrameHeader; readonly isFence: boolean } | undefined {
  try {
    const header = parseFrame(bytes)
    const isBeacon = (header.flags & frameFlags.beacon) !== 0
    return { header, isFence: isBeacon && decodeBeacon(bytes, header).entries.length === 0 }
  } catch {
    return undefined // counted by the stream's consumers
  }
}
