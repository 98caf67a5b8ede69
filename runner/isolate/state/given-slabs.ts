/**
 * GivenSlabs: which memory an isolate was handed. The host keeps account, because the isolate's word cannot be
 * trusted.
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

  /** The isolate has forgotten all slabs of a partition but the first `count`. */
  shorten(partition: number, count: number): void {
    this.#slabs.get(partition)?.splice(count)
  }

  /** The isolate has forgotten all partitions but these. */
  keep(partitions: readonly number[]): void {
    for (const partition of this.#slabs.keys())
      if (!partitions.includes(partition)) this.#slabs.delete(partition)
  }

  /** Partitions of which it has the store's slabs, or the first of them. */
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

  /** The store's slabs that it lacks, in order. */
  lacking(store: StateStore): AddedSlab[] {
    return store.partitions().flatMap((partition) =>
      store
        .slabsOf(partition)
        .slice(this.#slabs.get(partition)?.length ?? 0)
        .map((slab) => ({ partition, slab })),
    )
  }
}
