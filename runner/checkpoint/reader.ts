/**
 * SlotReader: reads checkpoints of a slot into slabs, a newer one on top of an older one.
 *
 *   R1. After `read` the slabs equal the checkpoint, except for marks and journals, which `finishRestore` sets.
 *   R2. A `read` that throws leaves nothing that a later one would build on.
 * Design: docs/design/0008-checkpoints.md
 * @module
 */
import { type Checkpoint, type CheckpointStore, loadCheckpoint } from '../../infra/checkpoints/index.ts'
import { PagedSlabs, restorePages, type Slabs, slabBytesDefault } from '../../sdk/runtime/index.ts'
import { keyOf, type PagedSegment, StoredPages } from './stored-pages.ts'

/** Gives empty memory. */
export type SlabOf = (bytes: number) => SharedArrayBuffer

export class SlotReader {
  readonly #store: CheckpointStore
  readonly #slot: string
  readonly #slabOf: SlabOf
  #slabs: SharedArrayBuffer[] = []
  #read: PagedSegment[] = []

  /** @param slabOf Gives the memory into which it reads. */
  constructor(
    store: CheckpointStore,
    slot: string,
    slabOf: SlabOf = (bytes) => new SharedArrayBuffer(bytes),
  ) {
    this.#store = store
    this.#slot = slot
    this.#slabOf = slabOf
  }

  get slabs(): readonly SharedArrayBuffer[] {
    return this.#slabs
  }

  /** @throws {CodedError} ERR_CHECKPOINT_CORRUPT, ERR_CHECKPOINT_STORE, ERR_STATE_FORMAT */
  async read(checkpoint: Checkpoint): Promise<void> {
    const before = this.#goesOn(checkpoint) ? this.#read : []
    if (before.length === 0) this.#slabs = []
    this.#read = []
    this.grow(checkpoint.slabs)
    const known = new Set(before.map(({ segment }) => keyOf(segment.info)))
    const segments = checkpoint.segments.filter((info) => !known.has(keyOf(info)))
    const paged = new PagedSlabs(slabsOf(this.#slabs))
    const homes = segments.map((): Uint32Array[] => [])
    const added = await loadCheckpoint(
      this.#store,
      this.#slot,
      { ...checkpoint, segments },
      (segment, pages, bytes) => {
        homes[segment]!.push(pages)
        restorePages(paged, pages, bytes)
      },
    )
    const all = [...before, ...added.map((segment, index) => ({ segment, pages: homes[index]! }))]
    const named = new Set(checkpoint.segments.map(keyOf))
    this.#read = all.filter(({ segment }) => named.has(keyOf(segment.info)))
  }

  /** Adds slabs that the arena got later. */
  grow(sizes: readonly number[]): void {
    for (let index = this.#slabs.length; index < sizes.length; index++)
      this.#slabs.push(this.#slabOf(sizes[index]!))
  }

  /** What was read, as it is stored. */
  pages(): StoredPages {
    const sizes = this.#slabs.map(({ byteLength }) => byteLength)
    return new StoredPages(sizes, this.#read)
  }

  /** Whether a checkpoint extends what was read: it still has it or has rewritten it, and adds segments only at the end. */
  #goesOn({ segments, slabs }: Checkpoint): boolean {
    const known = new Set(this.#read.map(({ segment }) => keyOf(segment.info)))
    const firstNew = segments.findIndex((info) => !known.has(keyOf(info)))
    const isBehind = firstNew < 0 || segments.slice(firstNew).every((info) => !known.has(keyOf(info)))
    return isBehind && this.#slabs.every(({ byteLength }, index) => byteLength === slabs[index])
  }
}

/** A list of slabs in the form of an arena. */
export function slabsOf(list: readonly SharedArrayBuffer[]): Slabs {
  return {
    slabBytes: slabBytesDefault,
    limitBytes: Number.POSITIVE_INFINITY,
    heldBytes: list.reduce((sum, { byteLength }) => sum + byteLength, 0),
    count: list.length,
    get: (index) => list[index]!,
    grow: () => false,
  }
}
