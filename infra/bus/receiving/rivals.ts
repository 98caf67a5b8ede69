/**
 * Rivals: hears claims of other owners for partitions of this one, under each name by which it reads.
 *
 *   RV1. A claim with a higher epoch supersedes this owner; one with a lower epoch is answered by a claim.
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
  /** The own id, whose claims are ignored. */
  readonly owner: string
  /** By stream and partition. */
  readonly partitions: ReadonlyMap<string, InPartition>
  /** Called when another owner has claimed a partition with a higher epoch. */
  readonly onSuperseded: (claim: Claim) => void
  /** Called when an earlier owner claims. */
  readonly onLate: () => void
}

export class Rivals {
  readonly #options: RivalsOptions
  readonly #stops = new Map<string, () => void>()

  constructor(options: RivalsOptions) {
    this.#options = options
  }

  /** Hears claims under this name, too. */
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
