/**
 * Tail: reads a stream without being one of its consumers: it does not slow the stream, and counts what it misses.
 * @module
 */
import { type FrameHeader, frameFlags, parseFrame } from '../../../sdk/wire/frame.ts'
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

/** Starts reading all partitions from now on. @returns A function that stops it. */
export function startTail(options: TailOptions): () => void {
  const expected = new Map<string, number>()
  return options.wire.subscribe(partitionSubject(options.namespace, options.stream, '*'), (bytes) => {
    const header = readable(bytes)
    if (header === undefined) return
    const key = `${header.partition} ${header.producer}`
    const next = expected.get(key)
    const isBeacon = (header.flags & frameFlags.beacon) !== 0
    if (next !== undefined && header.sequence > next)
      options.onGap(header.partition, header.producer, header.sequence - next)
    if (next === undefined || header.sequence + header.count > next) {
      expected.set(key, header.sequence + header.count)
      if (!isBeacon && (next === undefined || header.sequence >= next)) options.onFrame(bytes, header)
    }
  })
}

function readable(bytes: Uint8Array): FrameHeader | undefined {
  try {
    return parseFrame(bytes)
  } catch {
    return undefined // counted by the stream's consumers
  }
}
