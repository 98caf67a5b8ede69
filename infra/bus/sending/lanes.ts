/**
 * Lanes: the lanes of a stream at one producer, one per consumer that queues.
 * @module
 */
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

  /** Applies changes of consumers and of their queue policies. */
  set({ name: stream, partitions, consumers }: StreamDescriptor): void {
    const policies = new Map(consumers.map((consumer) => [consumer.name, policyOf(consumer)]))
    for (const [consumer, lane] of this.#lanes) {
      if (policies.get(consumer) !== undefined && lane.partitions.length === partitions) continue
      lane.close('undelivered')
      this.#lanes.delete(consumer)
    }
    for (const [consumer, policy] of policies) {
      const lane = this.#lanes.get(consumer)
      if (policy === undefined) continue
      if (lane !== undefined) lane.queue.policy = policy
      else this.#lanes.set(consumer, new Lane({ ...this.#basis, stream, partitions, consumer, policy }))
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
