/**
 * Rivals: what other owners claim of the partitions that one owner has, under each name by which it reads.
 *
 *   RV1. Who hears a claim with a higher epoch than his own is told; one with a lower epoch hears who has the partition now.
 * Design: docs/design/0002-channels.md
 * @module
 */
import { type Claim, epochsIn, readClaim } from '../messages/claim.ts'
import { claimSubject } from '../messages/subjects.ts'
import type { Wire } from '../wire/wire.ts'
import type { InPartition } from './in-partition.ts'

export interface RivalsOptions {
  readonly wire: Wire
  readonly namespace: string
  /** Whose claims are no rival's. */
  readonly owner: string
  /** By stream and partition. */
  readonly partitions: ReadonlyMap<string, InPartition>
  /** Somebody has claimed a partition of ours with a higher epoch. */
  readonly onSuperseded: (claim: Claim) => void
  /** Somebody comes back late. */
  readonly onLate: () => void
}

export class Rivals {
  readonly #options: RivalsOptions
  readonly #stops = new Map<string, () => void>()

  constructor(options: RivalsOptions) {
    this.#options = options
  }

  /** Hears what is claimed under this name, too. */
  hear(name: string): void {
    if (this.#stops.has(name)) return
    const { wire, namespace } = this.#options
    const subject = claimSubject(namespace, name)
    this.#stops.set(
      name,
      wire.subscribe(subject, (bytes) => this.#onClaim(name, bytes)),
    )
  }

  close(): void {
    for (const stop of this.#stops.values()) stop()
  }

  #onClaim(name: string, bytes: Uint8Array): void {
    const { owner, partitions, onSuperseded, onLate } = this.#options
    const claim = readClaim(bytes)
    if (claim === undefined || claim.owner === owner) return
    const ours = epochsIn(claim, name, partitions)
    if (ours.some((epoch) => claim.epoch > epoch)) onSuperseded(claim)
    else if (ours.some((epoch) => claim.epoch < epoch)) onLate()
  }
}
