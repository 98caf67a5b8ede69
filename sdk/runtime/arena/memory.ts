/**
 * Memory: the slabs of an arena as words.
 *
 * Objects of this room are reachable through `#private` fields of an Arena only, so their views of shared memory may be
 * public among themselves (primordials.ts, P1).
 * @module
 */
import { append } from '../primordials.ts'
import { positionBits } from './layout.ts'
import type { Slabs } from './slabs.ts'

/** A slab holds an entry of the longest key and a value beside it. */
const slabBytesMin = 256 * 1024

const { apply, getOwnPropertyDescriptor, getPrototypeOf } = Reflect
const lengthOf = getOwnPropertyDescriptor(getPrototypeOf(Int32Array.prototype)!, 'length')!.get!
const { clz32 } = Math
/** Whoever makes a view of shared memory later must not be handed another constructor by then. */
export const Words: Int32ArrayConstructor = Int32Array

export class Memory {
  readonly slabs: Slabs
  /** position >> shift: its slab; position & mask: its place there. */
  readonly shift: number
  readonly mask: number
  readonly words: Int32Array[] = []
  /** How many words each slab has: a view's own `length` would be asked of a prototype that is not ours. */
  readonly sizes: number[] = []
  /** How many slabs positions can tell apart. */
  readonly slabsMax: number

  constructor(slabs: Slabs) {
    const slabWords = slabs.slabBytes >>> 2
    this.slabs = slabs
    this.shift = 31 - clz32(slabWords)
    this.mask = slabWords - 1
    this.slabsMax = 2 ** (positionBits - this.shift)
    if (slabWords !== 2 ** this.shift || slabs.slabBytes < slabBytesMin)
      throw new RangeError(`slabBytes is ${slabs.slabBytes}: expected a power of two from ${slabBytesMin} on`)
  }

  /** Makes sure that slab `index` is in view. */
  attach(index: number): void {
    while (this.words.length <= index) {
      const slab = this.slabs.get(this.words.length)
      append(this.sizes, apply(lengthOf, new Words(slab), []) as number)
      append(this.words, this.view(slab))
    }
  }

  /** Tests put another one here, to see each store. */
  protected view(slab: ArrayBufferLike): Int32Array {
    return new Words(slab)
  }

  load(position: number): number {
    return this.words[position >> this.shift]![position & this.mask]!
  }

  store(position: number, value: number): void {
    this.words[position >> this.shift]![position & this.mask] = value
  }
}
