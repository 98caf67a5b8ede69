/**
 * GatheredLetters: letters of one version of a function that are sent together, and the callers that wait for the answer.
 *
 *   GL1. Each caller gets the answers for its own letters, in order.
 * @module
 */
import { bytesOf, isFull, type Letter, type Letters } from '../../infra/dead-letters/index.ts'

export class GatheredLetters {
  readonly #letters: Letter[] = []
  readonly #posts: { readonly count: number; readonly resolve: (stored: readonly boolean[]) => void }[] = []
  /** All letters. */
  readonly content: Letters
  #bytes = 0

  constructor(functionName: string, version: number) {
    this.content = { function: functionName, version, letters: this.#letters }
  }

  /** Approximate memory. */
  get bytes(): number {
    return this.#bytes
  }

  get isFull(): boolean {
    return isFull(this.#letters.length, this.#bytes)
  }

  /** @returns For each of these letters whether it was stored. */
  add(letters: readonly Letter[]): Promise<readonly boolean[]> {
    for (const letter of letters) {
      this.#letters.push(letter)
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
