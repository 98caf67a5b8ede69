/**
 * ClosedRows: a producer's accounts of removed instances that read a broadcast stream, so that the sum over all instances
 * still holds (I7).
 *
 *   CL1. A row is kept as long as an instance of its function reads the stream.
 * Design: docs/design/0024-broadcast.md
 * @module
 */
import { functionOfConsumer } from '../../control/consumer.ts'
import type { OutputLedger } from '../../control/messages/accounts.ts'
import type { StreamDescriptor } from '../../control/messages/streams.ts'
import { addLedgers } from './ledgers.ts'
import type { OutPartition } from './out-partition.ts'

export class ClosedRows {
  readonly #rows = new Map<string, OutputLedger>()

  /** Called before the consumers of a stream become those of `descriptor`. */
  change({ consumers }: StreamDescriptor, parts: Iterable<OutPartition>): void {
    const named = new Set(consumers.map(({ name }) => name))
    for (const part of parts) {
      for (const row of part.closing()) {
        const isOne = functionOfConsumer(row.consumer) !== row.consumer
        if (isOne && !named.has(row.consumer))
          this.#rows.set(row.consumer, addLedgers(this.#rows.get(row.consumer), row))
      }
    }
    const functions = new Set(consumers.map(({ name }) => functionOfConsumer(name)))
    for (const name of this.#rows.keys())
      if (!functions.has(functionOfConsumer(name))) this.#rows.delete(name)
  }

  [Symbol.iterator](): Iterator<OutputLedger> {
    return this.#rows.values()
  }
}
