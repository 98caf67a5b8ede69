/**
 * ControlWords: the control words (layout.ts), as the runtime writes them.
 *
 * It is made before any code of the author's runs; that code cannot reach the shared memory behind it
 * (primordials.ts, P1).
 * @module
 */
import { storeWord } from '../realm/primordials.ts'

export class ControlWords {
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

  /** Stores a word after everything that was written before (LY1). */
  publish(index: number, value: number): void {
    storeWord(this.#words, index, value)
  }

  /** A word as the commit word of arenas (`CommitWord` in arena/journal.ts). */
  commitWord(index: number): { readonly words: Int32Array; readonly index: number } {
    return { words: this.#words, index }
  }

  setFloat(index: number, value: number): void {
    this.#floats[index] = value
  }
}
