/**
 * Slabs: the memory that an arena lives in, and where it comes from.
 *
 * A slab never changes its size (a growable buffer makes every access six times slower). Slabs are small at first and
 * then an eighth of what is there, so that an idle partition takes 64 KiB and a large one wastes at most an eighth.
 * @module
 */

export interface Slabs {
  /**
   * The most bytes of one slab: a power of two. It determines how positions are counted, so it never changes for an
   * arena.
   */
  readonly slabBytes: number
  /** The most bytes of all slabs, including those of others under the same limit. */
  readonly limitBytes: number
  /** The bytes of all slabs. */
  readonly heldBytes: number
  /** True after a `grow` that failed and will succeed later: then this transaction cannot be finished. */
  readonly growing?: boolean
  readonly count: number
  get(index: number): ArrayBufferLike
  /** Adds a slab, of at least `minBytes` if possible. @returns Whether it did. */
  grow(minBytes: number): boolean
}

export const slabBytesDefault = 4 * 1024 * 1024
/** The unit of slab sizes. */
export const slabUnitBytes = 64 * 1024

/** The bytes to add to `heldBytes`: less than `minBytes` if the limit leaves less, 0 if it leaves nothing. */
export function nextSlabBytes(
  heldBytes: number,
  minBytes: number,
  slabBytes: number,
  limitBytes: number,
): number {
  const wanted = Math.max(Math.ceil(Math.max(heldBytes / 8, minBytes) / slabUnitBytes), 1)
  const left = Math.floor((limitBytes - heldBytes) / slabUnitBytes)
  return Math.min(wanted * slabUnitBytes, left * slabUnitBytes, slabBytes)
}

export interface OwnSlabsOptions {
  readonly limitBytes?: number
  readonly slabBytes?: number
  /** Makes a slab; by default of memory that is not shared. */
  readonly make?: (bytes: number) => ArrayBufferLike
}

/** Slabs that are allocated on demand: for the test kit, and for a host. */
export class OwnSlabs implements Slabs {
  readonly slabBytes: number
  readonly limitBytes: number
  readonly #make: (bytes: number) => ArrayBufferLike
  readonly #slabs: ArrayBufferLike[] = []
  #heldBytes = 0

  constructor({
    limitBytes = Number.POSITIVE_INFINITY,
    slabBytes = slabBytesDefault,
    make = (bytes) => new ArrayBuffer(bytes),
  }: OwnSlabsOptions = {}) {
    this.limitBytes = limitBytes
    this.slabBytes = slabBytes
    this.#make = make
  }

  get count(): number {
    return this.#slabs.length
  }

  get heldBytes(): number {
    return this.#heldBytes
  }

  get(index: number): ArrayBufferLike {
    return this.#slabs[index]!
  }

  grow(minBytes: number): boolean {
    const bytes = nextSlabBytes(this.#heldBytes, minBytes, this.slabBytes, this.limitBytes)
    if (bytes <= 0) return false
    this.#slabs.push(this.#make(bytes))
    this.#heldBytes += bytes
    return true
  }
}
