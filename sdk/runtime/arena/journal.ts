/**
 * Journal: the old contents of the words that the open transaction has changed. With it the transaction can be
 * undone, here or by whoever opens the arena after the writer was stopped at any instruction.
 *
 * It is a stack of *images*: the old words, their position, and their number. A push first writes the image and then
 * moves `head.journalTop` behind it. Each chunk of the journal begins with an image of no words, whose position is
 * the top of the chunk before; 0 at the bottom.
 *
 *   J1. A word that has a meaning in the committed state is imaged before its first change in a transaction.
 *   J2. A transaction is committed by one store, to the commit word: a journal whose mark differs from the commit
 *       word is void. Until then the transaction is undone from the top. Each image is popped after it was restored,
 *       so undoing may itself be stopped anywhere and started again.
 *   J3. A block becomes a chunk only while its words have no meaning. So an image that is restored into it is an
 *       earlier one, and the chunk's own images have been popped by then.
 *
 * What is imaged is also touched (memory.ts, M1).
 *
 * Stores reach memory in program order: whoever opens the arena knows that the writer's thread has ended, which
 * orders all of its stores before; and V8 stops a thread only between operations.
 * @module
 */
import { head, journalWords } from './layout.ts'
import type { Memory } from './memory.ts'
import { pageShift } from './pages.ts'

/**
 * The word that decides. If the caller provides it, the caller changes it to commit, after `Arena.commit` has
 * prepared everything; it may return to an earlier value only after `Arena.rest`.
 */
export interface CommitWord {
  readonly words: Int32Array
  readonly index: number
}

/** Words of an image besides the old contents. */
export const imageEndWords = 2
/** Words before the first image of a chunk in a block: its tag, the next discarded block, and the empty image. */
export const chunkHeadWords = 4

export class Journal {
  readonly #memory: Memory
  readonly #head: Int32Array
  readonly #decider: CommitWord
  readonly #decides: boolean
  /** The current chunk: its slab, the position where the slab begins, and indexes in it. */
  #words: Int32Array
  #slabPosition = 0
  #at = 0
  #end = 0
  #open = false
  /** Whether the journal has images, even void ones. */
  #used = false

  /** @param decider Default: a word of the arena's own. */
  constructor(memory: Memory, decider?: CommitWord) {
    this.#memory = memory
    this.#words = this.#head = memory.words[0]!
    this.#decides = decider === undefined
    this.#decider = decider ?? { words: this.#head, index: head.commit }
  }

  /** Makes the journal empty: there is nothing to undo, whatever the commit word says. */
  clear(): void {
    this.#used = false
    this.#head[head.journal] = this.#head[head.journal + 1] = 0
    this.#head[head.journalTop] = head.journal + imageEndWords
  }

  /** The same, between transactions. */
  rest(): void {
    if (this.#used && !this.#open) this.clear()
  }

  /** True between `begin` and `commit` or `undo`. */
  get open(): boolean {
    return this.#open
  }

  /** Whether the arena has a transaction that was neither committed nor undone. */
  get interrupted(): boolean {
    const { words, index } = this.#decider
    return (
      this.#head[head.journalTop] !== head.journal + imageEndWords &&
      this.#head[head.journalMark] === words[index]
    )
  }

  /** Begins a transaction, unless one is open. */
  begin(): void {
    if (this.#open) return
    this.#words = this.#head
    this.#slabPosition = 0
    this.#at = head.journal + imageEndWords
    this.#end = head.journal + journalWords
    // The order matters: a void journal must not become one that is to be undone.
    this.#head[head.journalTop] = this.#at
    this.#head[head.journalMark] = this.#decider.words[this.#decider.index]!
    this.#memory.age = this.#head[head.age]!
    this.#open = this.#used = true
  }

  /** Whether `words` more words fit, with the ends of their images. */
  fits(words: number): boolean {
    return this.#end - this.#at >= words
  }

  /** Continues in the block of `words` words at `position`. */
  extend(position: number, words: number): void {
    const { shift, mask } = this.#memory
    const slab = this.#memory.words[position >> shift]!
    const at = position & mask
    this.#memory.touchAll(position, words) // a checkpoint of an interrupted arena includes the journal
    slab[at + 2] = this.#slabPosition + this.#at
    slab[at + 3] = 0
    this.#words = slab
    this.#slabPosition = position - at
    this.#at = at + chunkHeadWords
    this.#end = at + words
    this.#publish()
  }

  /** Images the word at `position`. */
  note(position: number): void {
    const memory = this.#memory
    const words = this.#words
    const at = this.#at
    const slab = position >> memory.shift
    const from = position & memory.mask
    if (memory.marks[slab]![from >> pageShift] !== memory.age) memory.touch(position) // inlined by hand: 3 % faster
    words[at] = memory.words[slab]![from]!
    words[at + 1] = position
    words[at + 2] = 1
    this.#at = at + 3
    this.#publish()
  }

  /** Images `count` words from `position`; no words need no image. */
  image(position: number, count: number): void {
    if (count === 0) return
    const words = this.#words
    const memory = this.#memory
    const slab = position >> memory.shift
    const source = memory.words[slab]!
    const from = position & memory.mask
    const page = from >> pageShift
    if (memory.marks[slab]![page] !== memory.age || (from + count - 1) >> pageShift !== page)
      memory.touchAll(position, count)
    const at = this.#at
    for (let i = 0; i < count; i++) words[at + i] = source[from + i]!
    words[at + count] = position
    words[at + count + 1] = count
    this.#at = at + count + imageEndWords
    this.#publish()
  }

  /** The one store that commits, if the word is the arena's own. */
  commit(): void {
    const { words, index } = this.#decider
    if (this.#decides) words[index] = (words[index]! + 1) | 0
    this.#open = false
  }

  /** Restores everything, the last image first (J2). */
  undo(): void {
    const { shift, mask } = this.#memory
    let top = this.#head[head.journalTop]!
    for (;;) {
      const chunk = this.#memory.words[top >> shift]!
      const end = top & mask
      const count = chunk[end - 1]!
      const position = chunk[end - 2]!
      if (count === 0 && position === 0) break
      if (count === 0) {
        top = position
      } else {
        const target = this.#memory.words[position >> shift]!
        const to = position & mask
        const from = end - imageEndWords - count
        for (let i = 0; i < count; i++) target[to + i] = chunk[from + i]!
        top -= count + imageEndWords
      }
      this.#head[head.journalTop] = top
    }
    this.#open = false
  }

  #publish(): void {
    this.#head[head.journalTop] = this.#slabPosition + this.#at
  }
}
