/**
 * ClaimListener: listens for claims of present and future owners of a producer's partitions, and answers each at once with beacons.
 * Protocol: docs/design/0002-channels.md.
 * @module
 */
import { readClaim } from '../messages/claim.ts'
import { claimSubject } from '../messages/subjects.ts'
import type { Wire } from '../wire/wire.ts'
import type { OutPartition } from './out-partition.ts'
import type { OutStream } from './out-stream.ts'

export interface ClaimListenerOptions {
  readonly wire: Wire
  readonly namespace: string
  readonly streams: ReadonlyMap<string, OutStream>
  /** Sends a beacon for a partition. */
  readonly tell: (out: OutPartition) => void
}

export class ClaimListener {
  readonly #options: ClaimListenerOptions
  readonly #stops = new Map<string, () => void>()

  constructor(options: ClaimListenerOptions) {
    this.#options = options
  }

  /** Listens for the present consumers of the streams. */
  listen(): void {
    const { wire, namespace, streams } = this.#options
    const consumers = new Set<string>()
    for (const { descriptor } of streams.values())
      for (const { name } of descriptor.consumers) consumers.add(name)
    for (const [name, stop] of this.#stops) {
      if (consumers.has(name)) continue
      stop()
      this.#stops.delete(name)
    }
    for (const name of consumers) {
      if (this.#stops.has(name)) continue
      const stop = wire.subscribe(claimSubject(namespace, name), (bytes) => this.#onClaim(name, bytes))
      this.#stops.set(name, stop)
    }
  }

  stop(): void {
    for (const stop of this.#stops.values()) stop()
  }

  /** An owner that is only about to claim names no partitions, and is answered for all. */
  #onClaim(consumer: string, bytes: Uint8Array): void {
    const { streams, tell } = this.#options
    const claimed = readClaim(bytes)?.partitions
    const concerns = ({ stream, partition }: OutPartition): boolean =>
      claimed === undefined || claimed[stream]?.includes(partition) === true
    for (const stream of streams.values()) {
      if (!stream.descriptor.consumers.some((c) => c.name === consumer)) continue
      const { partitions } = stream.lanes.of(consumer) ?? stream
      for (const out of partitions) if (out !== undefined && concerns(out)) tell(out)
    }
  }
}
