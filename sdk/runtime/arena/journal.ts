/**
 * Journal: what words held before the transaction at hand changed them, so that it can be undone, here or by whoever
 * opens the arena after the writer was stopped at any instruction.
 *
 * It is a stack of *images*: the old words, their position, their number. Pushing one writes it first and moves
 * `head.journalTop` behind it last. A chunk of the journal begins with an image of no words, whose position is the top
 * of the chunk before, or 0 at the bottom.
 *
 *   J1. A word that means something in the committed state is imaged before its first change in a transaction.
 *   J2. A transaction is committed by one store, of the commit word: a journal whose mark is another number than the
 *       commit word's is void. Until then it is undone from its top, each image popped when it has been put back, so
 *       that undoing may itself be stopped anywhere and begun again.
 *   J3. A block becomes a chunk only while its words mean nothing; so an image that is put back into it is an earlier
 *       one, and the chunk's own have been popped by then.
 *
 * What is imaged is touched as well (memory.ts, M1).
 *
 * Stores reach memory in the order in which they stand: whoever opens the arena knows that the writer's thread has
 * ended, which orders all of them before, and V8 stops a thread between operations only.
 * @module
 */
import { head, journalWords } from './layout.ts'
import type { Memory } from './memory.ts'
import { pageShift } from './pages.ts'

/**
 * The word that decides. Whoever hands one in changes it to commit, after `Arena.commit` has made all ready, and lets it
 * have a value again that it had before only after `Arena.rest`.
 */
export interface CommitWord {
  readonly words: Int32Array
  readonly index: number
}

/** Words of an image beside what it holds. */
export const imageEndWords = 2
/** Words before the first image of a chunk that is a block: its tag, the next discarded block, and the image of none. */
export const chunkHeadWords = 4

export class Journal {
  readonly #memory: Memory
  readonly #head: Int32Array
  readonly #decider: CommitWord
  readonly #decides: boolean
  /** The chunk at hand: its slab, the position where that slab begins, and places in it. */
  #words: Int32Array
  #slabPosition = 0
  #at = 0
  #end = 0
  #open = false
  /** Whether it holds images, be they void. */
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

  /** Whether the arena holds a transaction that was neither committed nor undone. */
  get interrupted(): boolean {
    const { words, index } = this.#decider
    return (
      this.#head[head.journalTop] !== head.journal + imageEndWords &&
      this.#head[head.journalMark] === words[index]
    )
  }

  /** Begins a transaction, unless one is under way. */
  begin(): void {
    if (this.#open) return
    this.#words = this.#head
    this.#slabPosition = 0
    this.#at = head.journal + imageEndWords
    this.#end = head.journal + journalWords
    // In this order: a void journal must not become one that is to be undone.
    this.#head[head.journalTop] = this.#at
    this.#head[head.journalMark] = this.#decider.words[this.#decider.index]!
    this.#memory.age = this.#head[head.age]!
    this.#open = this.#used = true
  }

  /** Whether `words` more words fit, with the ends of their images. */
  fits(words: number): boolean {
    return this.#end - this.#at >= words
  }

  /** Goes on in the block of `words` words at `position`. */
  extend(position: number, words: number): void {
    const { shift, mask } = this.#memory
    const slab = this.#memory.words[position >> shift]!
    const at = position & mask
    this.#memory.touchAll(position, words) // a checkpoint of an interrupted arena takes the journal along
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
    if (memory.marks[slab]![from >> pageShift] !== memory.age) memory.touch(position) // by hand: 3 %
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

  /** The one store that decides, where the word is the arena's own. */
  commit(): void {
    const { words, index } = this.#decider
    if (this.#decides) words[index] = (words[index]! + 1) | 0
    this.#open = false
  }

  /** Puts everything back, last image first (J2). */
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
