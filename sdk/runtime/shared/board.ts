/**
 * Board: the control numbers (layout.ts) as the runtime writes them.
 *
 * Made before any code of the author's runs; afterwards the shared memory behind it cannot be had (primordials.ts, P1).
 * @module
 */
import { storeWord } from '../realm/primordials.ts'

export class Board {
  readonly #words: Int32Array
  readonly #floats: Float64Array

  constructor(memory: ArrayBufferLike) {
    this.#words = new Int32Array(memory)
    this.#floats = new Float64Array(memory)
  }

  word(index: number): number {
    return this.#words[index]!
  }

  setWord(index: number, value: number): void {
    this.#words[index] = value
  }

  /** Sets a word after all that was written before (LY1). */
  publish(index: number, value: number): void {
    storeWord(this.#words, index, value)
  }

  /** A word as what decides for arenas (`CommitWord` in arena/journal.ts). */
  commitWord(index: number): { readonly words: Int32Array; readonly index: number } {
    return { words: this.#words, index }
  }

  setFloat(index: number, value: number): void {
    this.#floats[index] = value
  }
}
