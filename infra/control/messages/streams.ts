/**
 * Streams, as their producers are told of them.
 * @module
 */
import type { BackPressure, Grouping } from '../../../sdk/index.ts'

/** A consumer of a stream, as described to its producers. */
export interface ConsumerDescriptor {
  /**
   * A function's name; `FUNCTION@INDEX`, an instance that reads a broadcast stream; or `follower.ID`, a holding
   * follower.
   */
  readonly name: string
  readonly backPressure: BackPressure
  /** The consumer that it replaces: it starts at that one's position. */
  readonly instead?: string
  /**
   * For a consumer that queues: the budget of its queue, and how long records may wait on disk. Absent: the defaults.
   */
  readonly queueMib?: number
  readonly queueAgeMs?: number
  /** For a consumer that queues: when its function was created. What waits for it is not for a later one of that name. */
  readonly createdAtMs?: number
}

/** A stream, as described to its producers. */
export interface StreamDescriptor {
  readonly name: string
  readonly partitions: number
  /** True: all records go by the key's hash (`isKeyed`). */
  readonly keyed: boolean
  readonly consumers: readonly ConsumerDescriptor[]
}

const spreading: ReadonlySet<Grouping> = new Set(['shuffle', 'roundRobin', 'local'])

/**
 * Whether a stream is partitioned by key, given the groupings of the functions that read it: if any groups by key, or
 * none asks for spreading. So a follower of a stream that no function reads sees the records of a key in order.
 */
export function isKeyed(groupings: readonly Grouping[]): boolean {
  return groupings.includes('groupBy') || !groupings.some((grouping) => spreading.has(grouping))
}
