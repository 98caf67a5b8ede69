/**
 * OutStream: a stream as its producer knows it: who reads it, and the partitions that were written.
 * @module
 */
import type { StreamDescriptor } from '../control/messages.ts'
import type { Lanes } from './lanes.ts'
import type { OutPartition } from './out-partition.ts'

export interface OutStream {
  descriptor: StreamDescriptor
  readonly partitions: (OutPartition | undefined)[]
  /** By consumer, of those that queue. */
  readonly lanes: Lanes
  readonly waiters: Set<() => void>
}

/** Its partitions, on the main subject and in lanes. */
export function* partsOf({ partitions, lanes }: OutStream): Generator<OutPartition> {
  for (const out of partitions) if (out !== undefined) yield out
  yield* lanes.parts()
}

/** The same for what is asked at each batch, where a generator would be garbage. */
export function eachPart({ partitions, lanes }: OutStream, visit: (out: OutPartition) => void): void {
  for (const out of partitions) if (out !== undefined) visit(out)
  for (const lane of lanes) for (const out of lane.partitions) if (out !== undefined) visit(out)
}
