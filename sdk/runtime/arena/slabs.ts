/**
 * Slabs: the memory that an arena lives in, and where it comes from.
 *
 * A slab never changes its size (a growable buffer makes every access six times slower). Slabs are small at first and
 * then an eighth of what is there, so that an idle partition takes 64 KiB and a large one wastes at most an eighth.
 * @module
 */

export interface Slabs {
  /** Most bytes of one slab: a power of two. It fixes how positions are counted, so it never changes for an arena. */
  readonly slabBytes: number
  /** Most bytes that all slabs may take, and those of whoever shares the limit. */
  readonly limitBytes: number
  /** What all of them take. */
  readonly heldBytes: number
  /** True after a `grow` in vain that will succeed later; then this transaction cannot be finished. */
  readonly growing?: boolean
  readonly count: number
  get(index: number): ArrayBufferLike
  /** Adds a slab, of at least `minBytes` if it can. @returns Whether there was one to be had. */
  grow(minBytes: number): boolean
}

export const slabBytesDefault = 4 * 1024 * 1024
/** What slabs are multiples of. */
export const slabUnitBytes = 64 * 1024

/** How many bytes to add to `heldBytes`; less than `minBytes` if the limit leaves no more, 0 if it leaves nothing. */
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
  /** Makes a slab; by default memory that is not shared. */
  readonly make?: (bytes: number) => ArrayBufferLike
}

/** Slabs that are made when they are asked for: for the test kit, and for a host. */
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
