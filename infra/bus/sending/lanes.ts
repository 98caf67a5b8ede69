/**
 * Lanes: the lanes of a stream at one producer, one per consumer that queues.
 * @module
 */

import { isOfAnother } from '../../control/consumer.ts'
import type { StreamDescriptor } from '../../control/messages/streams.ts'
import { Lane, type LaneOptions } from './lane.ts'
import { policyOf } from './modes.ts'
import type { OutPartition } from './out-partition.ts'

/** What all lanes of a producer have in common. */
export type LaneBasis = Pick<LaneOptions, 'spill' | 'clock' | 'stamp' | 'onMoved' | 'onReading'>

export class Lanes {
  readonly #basis: LaneBasis
  readonly #lanes = new Map<string, Lane>()

  constructor(basis: LaneBasis) {
    this.#basis = basis
  }

  /** Applies changes of consumers and of their queue policies. A later function of the same name is another consumer. */
  set({ name: stream, partitions, consumers }: StreamDescriptor): void {
    const wanted = new Map(
      consumers.flatMap((consumer) => {
        const policy = policyOf(consumer)
        return policy === undefined ? [] : [[consumer.name, { policy, createdAtMs: consumer.createdAtMs }]]
      }),
    )
    for (const [consumer, lane] of this.#lanes) {
      const now = wanted.get(consumer)
      const isSame = now !== undefined && !isOfAnother(now.createdAtMs, lane.createdAtMs)
      if (isSame && lane.partitions.length === partitions) continue
      lane.close('undelivered')
      this.#lanes.delete(consumer)
    }
    for (const [consumer, now] of wanted) {
      const lane = this.#lanes.get(consumer)
      if (lane !== undefined) lane.queue.policy = now.policy
      else this.#lanes.set(consumer, new Lane({ ...this.#basis, stream, partitions, consumer, ...now }))
    }
  }

  of(consumer: string): Lane | undefined {
    return this.#lanes.get(consumer)
  }

  [Symbol.iterator](): Iterator<Lane> {
    return this.#lanes.values()
  }

  *parts(): Generator<OutPartition> {
    for (const { partitions } of this.#lanes.values())
      for (const out of partitions) if (out !== undefined) yield out
  }

  /** Gives up what waits in memory. */
  close(): void {
    for (const lane of this.#lanes.values()) lane.close('undelivered')
  }
}
