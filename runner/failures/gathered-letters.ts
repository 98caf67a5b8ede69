/**
 * GatheredLetters: letters of one version of a function that are sent together, and the callers that wait for the answer.
 *
 *   GL1. Each caller gets the answers for its own letters, in order.
 * @module
 */
import { LetterBlock, type LetterMessage, type NewLetter } from '../../infra/dead-letters/index.ts'

export class GatheredLetters {
  readonly function: string
  readonly #block: LetterBlock
  readonly #posts: { readonly count: number; readonly resolve: (stored: readonly boolean[]) => void }[] = []

  constructor(functionName: string, version: number) {
    this.function = functionName
    this.#block = new LetterBlock(functionName, version)
  }

  /** Approximate memory. */
  get bytes(): number {
    return this.#block.bytes
  }

  get isFull(): boolean {
    return this.#block.isFull
  }

  /** Copies letters. @returns For each of them whether it was stored. */
  add(letters: readonly NewLetter[]): Promise<readonly boolean[]> {
    for (const letter of letters) this.#block.add(letter)
    return new Promise((resolve) => {
      this.#posts.push({ count: letters.length, resolve })
    })
  }

  /** The messages of all letters; none is added any more. */
  take(): readonly LetterMessage[] {
    return this.#block.take()
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
