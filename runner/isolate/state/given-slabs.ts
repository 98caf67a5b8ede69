/**
 * GivenSlabs: which memory an isolate was handed in, since only it could tell, and it is not to be believed.
 * @module
 */
import type { AddedSlab, StateStore } from './state-store.ts'

export class GivenSlabs {
  readonly #slabs = new Map<number, SharedArrayBuffer[]>()

  add(added: readonly AddedSlab[]): void {
    for (const { partition, slab } of added) {
      const slabs = this.#slabs.get(partition)
      if (slabs === undefined) this.#slabs.set(partition, [slab])
      else slabs.push(slab)
    }
  }

  /** It has forgotten all partitions but these. */
  keep(partitions: readonly number[]): void {
    for (const partition of this.#slabs.keys())
      if (!partitions.includes(partition)) this.#slabs.delete(partition)
  }

  /** Partitions of which it has what the store has, or the beginning of it. */
  fresh(store: StateStore): number[] {
    return [...this.#slabs].flatMap(([partition, given]) => {
      const slabs = store.slabsOf(partition)
      return given.every((slab, index) => slabs[index] === slab) ? [partition] : []
    })
  }

  /** Whether it has slabs of these partitions and no others. */
  isOf(partitions: readonly number[]): boolean {
    return this.#slabs.size === partitions.length
  }

  /** What the store has beyond that, in its order. */
  lacking(store: StateStore): AddedSlab[] {
    return store.partitions().flatMap((partition) =>
      store
        .slabsOf(partition)
        .slice(this.#slabs.get(partition)?.length ?? 0)
        .map((slab) => ({ partition, slab })),
    )
  }
}
