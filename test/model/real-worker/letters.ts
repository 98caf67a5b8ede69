/**
 * MemoryLetters: a letter box in memory. It is as well as the store: full, it refuses letters; silent, it answers when it speaks
 * again, and has stored some of them before.
 * @module
 */
import { setImmediate as turn } from 'node:timers/promises'
import { heard, type Wire } from '../../../infra/bus/index.ts'
import type { LetterBox } from '../../../runner/failures/letter-box.ts'
import type { MemoryStore } from './store.ts'

export class MemoryLetters {
  readonly #store: MemoryStore
  /** How many are stored. */
  stored = 0

  constructor(store: MemoryStore) {
    this.#store = store
  }

  /** As one runner has it. @param isKilled Then nothing of its is done any more, and it hears nothing. */
  connect(wire: Wire, isKilled: () => boolean): LetterBox {
    const unanswered = new Set<Promise<unknown>>()
    const post = async (count: number): Promise<boolean[]> => {
      await heard(wire) // LB5 of letter-box.ts
      const isTaken = await this.#take(count, isKilled)
      return new Array<boolean>(count).fill(isTaken)
    }
    const box: Pick<LetterBox, 'openBytes' | 'post' | 'flush' | 'sent' | 'answered'> = {
      openBytes: 0,
      post: ({ letters }) => {
        const answers = post(letters.length)
        unanswered.add(answers)
        void answers.then(() => unanswered.delete(answers))
        return answers
      },
      flush: () => undefined,
      sent: () => undefined,
      answered: async (signal) => {
        const { promise: late, resolve } = Promise.withResolvers<void>()
        signal.addEventListener('abort', () => resolve(), { once: true })
        if (!signal.aborted) await Promise.race([Promise.all(unanswered), late])
        signal.throwIfAborted()
      },
    }
    return box as LetterBox
  }

  async #take(count: number, isKilled: () => boolean): Promise<boolean> {
    const isEarly = this.#store.isSilent && this.#store.isLucky && !isKilled()
    if (isEarly) this.stored += count
    await this.#store.spoken()
    await turn()
    if (isKilled()) return await new Promise<never>(() => undefined)
    if (isEarly) return true
    if (this.#store.isFull) return false
    this.stored += count
    return true
  }
}
