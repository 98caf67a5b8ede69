/**
 * Tenures: numbers of the times in which an owner has a partition, as they show in what it puts out.
 *
 *   TN1. Whoever follows another has a new tenure, since a partition may come back to an owner.
 *   TN2. Of one slot, an earlier epoch never follows a later one: the slot has been taken from its owner. What it puts out all the same
 *        bears the tenure that it had, by which the checker finds it (I8).
 * @module
 */
interface Last {
  readonly owner: string
  readonly tenure: number
}

export class Tenures {
  /** By partition. */
  readonly #last = new Map<number, Last>()
  /** By partition and slot. */
  readonly #slots = new Map<string, { readonly epoch: number; readonly tenure: number }>()

  /**
   * An output has come.
   * @param owner Whoever counts callbacks on its own: an isolate.
   * @param slot Of its instance, which has the epoch.
   */
  saw(partition: number, owner: string, slot: string, epoch: number): number {
    const last = this.#last.get(partition)
    const key = `${partition} ${slot}`
    const before = this.#slots.get(key)
    if (before !== undefined && before.epoch > epoch) return Math.max(0, before.tenure - 1)
    const tenure = last?.owner === owner ? last.tenure : (last?.tenure ?? 0) + 1
    this.#last.set(partition, { owner, tenure })
    this.#slots.set(key, { epoch, tenure: before?.epoch === epoch ? before.tenure : tenure })
    return tenure
  }
}
