/**
 * Memory: the slabs of an arena as words.
 *
 * Objects of this room are reachable through `#private` fields of an Arena only, so their views of shared memory may be
 * public among themselves (primordials.ts, P1).
 * @module
 */
import { Bytes } from '../primordials.ts'
import { positionBits } from './layout.ts'
import type { Slabs } from './slabs.ts'

const { defineProperty } = Reflect
const { clz32 } = Math

export class Memory {
  readonly slabs: Slabs
  /** position >> shift: its slab; position & mask: its place there. */
  readonly shift: number
  readonly mask: number
  readonly words: Int32Array[] = []
  /** How many slabs positions can tell apart. */
  readonly slabsMax: number

  constructor(slabs: Slabs) {
    const slabWords = slabs.slabBytes >>> 2
    this.slabs = slabs
    this.shift = 31 - clz32(slabWords)
    this.mask = slabWords - 1
    this.slabsMax = 2 ** (positionBits - this.shift)
    if (slabWords !== 2 ** this.shift) throw new RangeError(`slabBytes is ${slabs.slabBytes}, not a power of two`)
  }

  /** Makes sure that slab `index` is in view. */
  attach(index: number): void {
    while (this.words.length <= index) append(this.words, this.view(this.slabs.get(this.words.length)))
  }

  /** Tests put another one here, to see each store. */
  protected view(slab: ArrayBufferLike): Int32Array {
    return new Int32Array(slab)
  }

  load(position: number): number {
    return this.words[position >> this.shift]![position & this.mask]!
  }

  store(position: number, value: number): void {
    this.words[position >> this.shift]![position & this.mask] = value
  }

  /** A view of `length` bytes from `position`. It must not leave this room. */
  bytes(position: number, length: number): Uint8Array {
    return new Bytes(this.slabs.get(position >> this.shift), (position & this.mask) * 4, length)
  }
}

/** Appends without asking Array.prototype, which may have a setter for that index by now. */
function append<T>(list: T[], item: T): void {
  const property = { __proto__: null, value: item, writable: true, enumerable: true, configurable: true }
  defineProperty(list, list.length, property as PropertyDescriptor)
}
