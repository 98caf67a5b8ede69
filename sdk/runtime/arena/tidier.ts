/**
 * Tidier: walks through the whole index, some chains at a time, for what earlier formats have left (formats.ts). It
 * removes entries of void formats and hidden entries, and converts those of older settled formats to the running
 * version's.
 *
 *   TI1. After a pass that could convert everything, nothing old is left: chains that are split meanwhile are split
 *        into later chains, and nobody writes an old format any more.
 * Design: docs/design/0032-migrate.md
 * @module
 */
import { isCode } from '../../errors.ts'
import type { Data } from '../../function.ts'
import { append } from '../realm/primordials.ts'
import type { Buckets } from './buckets.ts'
import { hasFormat, keyOffset, type Part, partBytes, partOf, readBytes } from './entry.ts'
import type { Formats } from './formats.ts'
import { shape } from './layout.ts'
import type { Memory } from './memory.ts'
import type { OlderEntries } from './older.ts'
import type { Roots } from './roots.ts'

/** The effort for an entry that is converted or removed; a look at a chain of the index costs 1. */
const entryEffort = 16

/** The operations of an arena that this needs. */
export interface TidierOptions {
  /** Whether another entry of its key hides this one. */
  isHidden(old: Old): boolean
  /** Converts it to the own format. @returns Whether it still existed. @throws What `migrate` threw. */
  bring(old: Old): boolean
}

export interface Old {
  readonly position: number
  readonly key: Data
  readonly part: Part | undefined
}

export class Tidier {
  readonly #memory: Memory
  readonly #buckets: Buckets
  readonly #roots: Roots
  readonly #older: OlderEntries
  readonly #arena: TidierOptions
  #chain = 0
  /** The old entries of the current chain that stay. */
  #met = 0
  /** What this pass could not convert. */
  #left = 0
  /** All of these as they were at the start of the open transaction. */
  #chainBefore = 0
  #metBefore = 0
  #leftBefore = 0
  #trouble: unknown
  #isTold = false
  /** Whether a pass has left something. This isolate does not try again. */
  isStuck = false

  constructor(memory: Memory, buckets: Buckets, roots: Roots, older: OlderEntries, arena: TidierOptions) {
    this.#memory = memory
    this.#buckets = buckets
    this.#roots = roots
    this.#older = older
    this.#arena = arena
  }

  startAnew(): void {
    this.#chain = this.#met = this.#left = 0
    this.#chainBefore = this.#metBefore = this.#leftBefore = 0
    this.isStuck = false
  }

  /** What was tidied in this transaction has come back, by an undo. */
  goBack(): void {
    this.#chain = this.#chainBefore
    this.#met = this.#metBefore
    this.#left = this.#leftBefore
    this.isStuck = false
  }

  /** The first error that `migrate` threw. */
  takeTrouble(): unknown {
    const trouble = this.#trouble
    this.#trouble = undefined
    return trouble
  }

  /**
   * Continues the pass, by at least one chain or entry; no further entry is converted once `effort` is used up.
   * @throws {CodedError} ERR_STATE_GROWING
   */
  tidy(effort: number, formats: Formats): { readonly done: boolean; readonly changed: boolean } {
    this.#chainBefore = this.#chain
    this.#metBefore = this.#met
    this.#leftBefore = this.#left
    let entries = 0
    for (let left = effort; left > 0 && this.#chain < this.#roots.buckets; ) {
      const { tidied, isOver } = this.#tidyChain(this.#chain, formats, left)
      entries += tidied
      left -= 1 + tidied * entryEffort
      if (!isOver) continue
      this.#chain++
      this.#met = 0
    }
    const changed = entries > 0
    const done = this.#chain >= this.#roots.buckets
    if (done) {
      this.isStuck = this.#left > 0
      this.#chain = this.#left = 0
    }
    return { done, changed }
  }

  /** @returns How many entries it may have changed, and whether to stop. */
  #tidyChain(chain: number, formats: Formats, effort: number): { tidied: number; isOver: boolean } {
    const { old, marked, voids } = this.#lookAt(chain, formats)
    const all = { tidied: old.length - this.#met + marked + voids, isOver: true }
    if (voids > 0 && !this.#remove(chain, (words, at) => formats.isVoid(words[at + 3]!))) return all
    for (let i = 0; i < old.length; i++)
      if (this.#arena.isHidden(old[i]!) && !this.#removeOne(chain, old[i]!)) return all
    let tidied = voids
    for (let i = this.#met; i < old.length; i++) {
      if (!this.#isIn(chain, old[i]!)) continue
      if (tidied * entryEffort >= effort) return { tidied, isOver: false }
      if (!this.#bringOver(chain, old[i]!)) this.#met++
      tidied++
    }
    // An entry that is marked as deleted hides nothing any more.
    if (marked > 0 && this.#left === 0)
      this.#remove(chain, (words, at) => {
        const form = words[at + 3]!
        return formats.isOwn(form) && (form & shape.gone) !== 0
      })
    return all
  }

  #lookAt(chain: number, formats: Formats): { old: Old[]; marked: number; voids: number } {
    const old: Old[] = []
    let marked = 0
    let voids = 0
    this.#each(chain, (words, at, position) => {
      if (!hasFormat(words, at)) return
      const form = words[at + 3]!
      if (formats.isVoid(form)) voids++
      if (formats.isOpen) return
      if (formats.isOwn(form)) marked += (form & shape.gone) === 0 ? 0 : 1
      else if (formats.rankOf(form) >= 0) append(old, oldOf(words, at, position))
    })
    return { old, marked, voids }
  }

  /** @returns Whether the entry was changed. */
  #bringOver(chain: number, old: Old): boolean {
    try {
      return this.#arena.bring(old) || this.#removeOne(chain, old)
    } catch (thrown) {
      if (isCode(thrown, 'ERR_STATE_GROWING')) throw thrown
      this.#left++
      if (!this.#isTold) this.#trouble = thrown
      this.#isTold = true
      return false
    }
  }

  #removeOne(chain: number, { position }: Old): boolean {
    const { shift, mask, words: slabs } = this.#memory
    return this.#remove(chain, (words, at) => at === (position & mask) && words === slabs[position >> shift])
  }

  /** @returns Whether the journal had room. */
  #remove(chain: number, isMeant: (words: Int32Array, at: number) => boolean): boolean {
    const link = this.#buckets.headOf(chain)
    const isThere = this.#older.removeWhere(link, (words, at) => hasFormat(words, at) && isMeant(words, at))
    if (!isThere) this.#left++
    return isThere
  }

  /** False if it was removed together with another one, or the chain was split. */
  #isIn(chain: number, { position }: Old): boolean {
    let found = false
    this.#each(chain, (_words, _at, entry) => {
      if (entry === position) found = true
    })
    return found
  }

  #each(chain: number, visit: (words: Int32Array, at: number, position: number) => void): void {
    const { shift, mask, words: slabs } = this.#memory
    let entry = this.#memory.load(this.#buckets.headOf(chain))
    while (entry !== 0) {
      const words = slabs[entry >> shift]!
      const at = entry & mask
      visit(words, at, entry)
      entry = words[at + 1]!
    }
  }
}

function oldOf(words: Int32Array, at: number, position: number): Old {
  const form = words[at + 3]!
  const part = partOf(words, at)
  const keyBytes = (form & shape.keyBytes) - (part === undefined ? 0 : partBytes)
  return { position, key: readBytes(words, at + keyOffset(form), keyBytes), part }
}
