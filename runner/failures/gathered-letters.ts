/**
 * GatheredLetters: letters of one version of a function that go together, and those who wait for the answer.
 *
 *   GL1. The records are its own: whoever adds them may use their memory again.
 *   GL2. Each who has added some is answered for just these, in their order.
 * @module
 */
import { bytesOf, isFull, type Letter, type Letters } from '../../infra/dead-letters/index.ts'
import type { RawRecord } from '../../sdk/wire/frame.ts'

export class GatheredLetters {
  readonly #letters: Letter[] = []
  readonly #posts: { readonly count: number; readonly resolve: (stored: readonly boolean[]) => void }[] = []
  /** All of it. */
  readonly content: Letters
  #bytes = 0

  constructor(functionName: string, version: number) {
    this.content = { function: functionName, version, letters: this.#letters }
  }

  /** About what it takes in memory. */
  get bytes(): number {
    return this.#bytes
  }

  get isFull(): boolean {
    return isFull(this.#letters.length, this.#bytes)
  }

  /** @returns For each of these letters whether it was stored. */
  add(letters: readonly Letter[]): Promise<readonly boolean[]> {
    for (const letter of letters) {
      this.#letters.push({ ...letter, record: copyOf(letter.record) })
      this.#bytes += bytesOf(letter)
    }
    return new Promise((resolve) => {
      this.#posts.push({ count: letters.length, resolve })
    })
  }

  /** @param stored Of all letters, in the order in which they were added. */
  answer(stored: readonly boolean[]): void {
    let at = 0
    for (const { count, resolve } of this.#posts) {
      resolve(stored.slice(at, at + count))
      at += count
    }
  }
}

function copyOf({ key, value, timeMs }: RawRecord): RawRecord {
  return { key: key.slice(), value: value.slice(), timeMs }
}
