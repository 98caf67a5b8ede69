/**
 * Arena: the state of one partition outside the heap, behind the interface KeyedState.
 *
 * A lookup hashes the key, walks one chain, and remembers where it ended: a callback that gets and sets a key looks it
 * up once. Values of up to 1 KiB are overwritten where they stand, their old words kept in the journal; others go to a
 * new block. Everything a transaction does is undone by `rollback`, by `openArena` after the writer was stopped at any
 * instruction, or made lasting by `commit`.
 *
 *   N1. What is stored is nobody else's: answers are copies, arguments are copied (staging.ts).
 *   N2. An operation that throws has changed nothing that can be seen.
 *   N3. `#entry` is 0, or the entry looked up last, and `#link` the position of the word that names it.
 * Design: docs/design/0006-state-arena.md
 * @module
 */
import { keyBytesMax } from '../../frame.ts'
import type { Data } from '../../function.ts'
import { murmur3 } from '../../hash.ts'
import type { KeyedState } from '../keyed-state.ts'
import { utf8Read } from '../utf8.ts'
import { Buckets, spread } from './buckets.ts'
import {
  copyWords,
  expiresMs,
  hasKey,
  hasKeyBytes,
  hasKeyText,
  keyOffset,
  readAscii,
  readBytes,
  valueBytes,
  valueOffset,
  valueRoom,
  wordsFor,
  writeExpiry,
} from './entry.ts'
import { arenaError } from './errors.ts'
import { Heap } from './heap.ts'
import { type CommitWord, Journal } from './journal.ts'
import {
  entryExpiryWords,
  entryHeaderWords,
  formatVersion,
  head,
  magic,
  shape,
  tag,
  tagOf,
} from './layout.ts'
import { Memory } from './memory.ts'
import { Roots } from './roots.ts'
import type { Slabs } from './slabs.ts'
import { Staging } from './staging.ts'

/** Values up to here are overwritten in place, if that leaves no more than an eighth of the room empty. */
const inPlaceBytesMax = 1024
/** Images of an operation beside those of a value's words. */
const operationWords = 32

const stagedKey = new Staging()
const stagedValue = new Staging()

export interface ArenaOptions {
  /** What entries that expire are held against; default: no time ever passes. */
  readonly clock?: { readonly nowMs: number }
  /** The word that decides whether a transaction is committed; default: one of the arena's own. */
  readonly commitWord?: CommitWord
}

export class Arena implements KeyedState {
  readonly #memory: Memory
  readonly #journal: Journal
  readonly #roots = new Roots()
  readonly #heap: Heap
  readonly #buckets: Buckets
  readonly #clock: { readonly nowMs: number }
  readonly #valueBytesMax: number
  #entry = 0
  #link = 0
  /** Of the key looked up last, if there was no entry. */
  #hash = 0
  /** Calls of `forEach` under way: chains stay as they are. */
  #visits = 0
  #nextToExpire = 0

  /** Opens what lies in `memory`, whose first slab must be there; makes an arena if there is none. See `openArena`. */
  constructor(memory: Memory, { clock = { nowMs: 0 }, commitWord }: ArenaOptions = {}) {
    this.#memory = memory
    memory.attach(0)
    const words = memory.words[0]!
    this.#journal = new Journal(memory, commitWord)
    this.#heap = new Heap(memory, this.#journal, this.#roots)
    this.#buckets = new Buckets(memory, this.#journal, this.#heap, this.#roots)
    this.#clock = clock
    this.#valueBytesMax = (memory.mask - entryHeaderWords - entryExpiryWords) * 4 - keyBytesMax
    if (words[head.magic] === 0) this.#format(words)
    else this.#open(words)
  }

  get entries(): number {
    return this.#roots.entries
  }

  get bytes(): number {
    return this.#roots.bytes
  }

  /** Bytes of the slabs that it takes. */
  get heldBytes(): number {
    let held = 0
    for (let slab = 0; slab < this.#roots.slabs; slab++) held += this.#memory.sizes[slab]! * 4
    return held
  }

  get(key: Data): Uint8Array<ArrayBuffer> | undefined {
    const words = this.#find(key)
    if (words === undefined) return undefined
    const at = this.#entry & this.#memory.mask
    return readBytes(words, at + valueOffset(words[at + 3]!), valueBytes(words, at))
  }

  getText(key: Data): string | undefined {
    const words = this.#find(key)
    if (words === undefined) return undefined
    const at = this.#entry & this.#memory.mask
    const form = words[at + 3]!
    const valueAt = at + valueOffset(form)
    const length = valueBytes(words, at)
    return (form & shape.ascii) === 0
      ? utf8Read(readBytes(words, valueAt, length))
      : readAscii(words, valueAt, length)
  }

  /**
   * @param expiresMs When the entry ceases to be, in whole milliseconds since 1970; default: never.
   * @throws {CodedError} ERR_ARGUMENT, ERR_STATE_TOO_LARGE or ERR_STATE_FULL.
   */
  set(key: Data, value: Data, expiresMs?: number): void {
    stagedValue.put('set state', 'value', value, this.#valueBytesMax)
    this.#look('set state', key)
    const entry = this.#entry
    if (entry === 0) {
      this.#insert(expiresMs)
      return
    }
    const words = this.#memory.words[entry >> this.#memory.shift]!
    const at = entry & this.#memory.mask
    if (fitsInPlace(words, at, stagedValue.length, expiresMs)) this.#overwrite(words, at, expiresMs)
    else this.#replace(words, at, expiresMs)
  }

  delete(key: Data): boolean {
    this.#look('delete state', key)
    const entry = this.#entry
    if (entry === 0) return false
    const words = this.#memory.words[entry >> this.#memory.shift]!
    const at = entry & this.#memory.mask
    if (this.#expire(words, at)) return false
    if (!this.#heap.reserve(operationWords)) throw this.#full('delete state')
    this.#remove(words, at)
    return true
  }

  commit(): void {
    if (!this.#journal.open) return
    this.#heap.settle()
    if (this.#roots.dirty) this.#roots.save(this.#memory.words[0]!, this.#journal)
    this.#journal.commit()
  }

  rollback(): void {
    if (!this.#journal.open) return
    this.#journal.undo()
    this.#reset()
  }

  /** Between transactions: from now on the commit word may have any value, until the next change. */
  rest(): void {
    this.#journal.rest()
  }

  /**
   * Visits every entry, in no order, as copies. Entries may be set and deleted meanwhile: those that are there all the
   * time are visited once.
   */
  forEach(visit: (key: Uint8Array<ArrayBuffer>, value: Uint8Array<ArrayBuffer>) => void): void {
    this.#visits++
    try {
      const { buckets } = this.#roots
      for (let bucket = 0; bucket < buckets; bucket++) {
        for (const key of this.#keysIn(bucket)) {
          const value = this.get(key)
          if (value !== undefined) visit(key, value)
        }
      }
    } finally {
      this.#visits--
    }
  }

  /** Removes what has expired from the next `buckets` chains; there are about as many as entries. @returns How many. */
  expire(buckets: number): number {
    const before = this.#roots.entries
    for (let i = 0; i < buckets; i++) {
      const bucket = this.#nextToExpire
      this.#nextToExpire = bucket + 1 < this.#roots.buckets ? bucket + 1 : 0
      for (const key of this.#keysIn(bucket)) this.get(key)
    }
    return before - this.#roots.entries
  }

  /** The commit word and the format come last: what is cut short here was never an arena. */
  #format(words: Int32Array): void {
    for (let i = 0; i < head.blocks; i++) words[i] = 0
    words[this.#memory.sizes[0]! - 1] = tagOf(1, tag.used)
    words[head.slabWords] = this.#memory.mask + 1
    this.#journal.clear()
    this.#roots.top = head.blocks
    this.#roots.slabs = 1
    this.#journal.begin()
    this.#heap.reset()
    if (!this.#buckets.format()) throw this.#full('make state')
    this.commit()
    this.#journal.clear()
    words[head.version] = formatVersion
    words[head.magic] = magic
  }

  #open(words: Int32Array): void {
    if (words[head.magic] !== magic || words[head.version] !== formatVersion)
      throw badFormat(words[head.magic]!, words[head.version]!)
    if (words[head.slabWords] !== this.#memory.mask + 1)
      throw arenaError(
        'ERR_STATE_FORMAT',
        `Cannot open state: its slabs are counted by ${words[head.slabWords]! * 4} bytes, not by ${this.#memory.slabs.slabBytes}`,
      )
    // An interrupted transaction may have used more slabs than there were at the last commit.
    this.#memory.attach(this.#memory.slabs.count - 1)
    if (this.#journal.interrupted) this.#journal.undo()
    this.#journal.clear()
    this.#reset()
  }

  #reset(): void {
    this.#roots.load(this.#memory.words[0]!)
    this.#heap.reset()
    this.#buckets.reset()
    this.#entry = 0
  }

  /** Looks a key up (N3). */
  #look(attempted: string, key: Data): void {
    if (this.#entry !== 0 && this.#isLast(key)) return
    stagedKey.put(attempted, 'key', key, keyBytesMax)
    const keyBytes = stagedKey.length
    const keyWords = stagedKey.words
    const hash = spread(murmur3(stagedKey.bytes, 0, keyBytes))
    const { shift, mask, words: slabs } = this.#memory
    let link = this.#buckets.linkOf(hash)
    let entry = this.#memory.load(link)
    while (entry !== 0) {
      const words = slabs[entry >> shift]!
      const at = entry & mask
      if (words[at + 2] === hash && hasKey(words, at, keyWords, keyBytes)) break
      link = entry + 1
      entry = words[at + 1]!
    }
    this.#entry = entry
    this.#link = link
    this.#hash = hash
  }

  /** Looks a key up to read its value. @returns The words of its slab, if there is such an entry and it has time left. */
  #find(key: Data): Int32Array | undefined {
    this.#look('get state', key)
    const entry = this.#entry
    if (entry === 0) return undefined
    const words = this.#memory.words[entry >> this.#memory.shift]!
    const at = entry & this.#memory.mask
    return (words[at + 3]! & shape.expires) !== 0 && this.#expire(words, at) ? undefined : words
  }

  #isLast(key: Data): boolean {
    const words = this.#memory.words[this.#entry >> this.#memory.shift]!
    const at = this.#entry & this.#memory.mask
    return typeof key === 'string' ? hasKeyText(words, at, key) : hasKeyBytes(words, at, key)
  }

  #overwrite(words: Int32Array, at: number, expiresMs: number | undefined): void {
    const journal = this.#journal
    const entry = this.#entry
    const { length } = stagedValue
    const count = wordsFor(length)
    if (!this.#heap.reserve(count + operationWords)) throw this.#full('set state')
    const form = words[at + 3]!
    const offset = valueOffset(form)
    journal.image(entry + offset, count)
    copyWords(stagedValue.words, 0, words, at + offset, count)
    if (expiresMs !== undefined) {
      journal.image(entry + entryHeaderWords, entryExpiryWords)
      writeExpiry(words, at, expiresMs)
    }
    const before = valueBytes(words, at)
    const formNow = formOf(form & shape.keyBytes, valueRoom(words, at) - length, expiresMs)
    if (formNow === form) return
    journal.note(entry + 3)
    words[at + 3] = formNow
    this.#roots.bytes += length - before
    this.#roots.dirty = true
  }

  #insert(expiresMs: number | undefined): void {
    const hash = this.#hash
    const { length, words } = stagedKey
    this.#put(0, hash, words, 0, length, expiresMs)
    this.#roots.entries++
    this.#roots.bytes += length + stagedValue.length
    if (this.#visits === 0 && this.#buckets.keepUp()) this.#entry = 0 // its link may be another one now
  }

  #replace(words: Int32Array, at: number, expiresMs: number | undefined): void {
    const entry = this.#entry
    const form = words[at + 3]!
    const before = valueBytes(words, at)
    this.#put(words[at + 1]!, words[at + 2]!, words, at + keyOffset(form), form & shape.keyBytes, expiresMs)
    this.#heap.discard(entry)
    this.#roots.bytes += stagedValue.length - before
  }

  /** Makes an entry of a key and the staged value, in the place of what `#link` names. */
  #put(
    next: number,
    hash: number,
    keyFrom: Int32Array,
    keyAt: number,
    keyBytes: number,
    expiresMs: number | undefined,
  ): void {
    const { length } = stagedValue
    const keyWords = wordsFor(keyBytes)
    const keyTo = expiresMs === undefined ? entryHeaderWords : entryHeaderWords + entryExpiryWords
    const block = this.#heap.allocate(keyTo + keyWords + wordsFor(length))
    if (block === 0) throw this.#full('set state')
    if (!this.#heap.reserve(operationWords)) {
      this.#heap.discard(block)
      throw this.#full('set state')
    }
    const words = this.#memory.words[block >> this.#memory.shift]!
    const at = block & this.#memory.mask
    const room = ((words[at]! >>> 2) - keyTo - keyWords) * 4
    words[at + 1] = next
    words[at + 2] = hash
    words[at + 3] = formOf(keyBytes, room - length, expiresMs)
    if (expiresMs !== undefined) writeExpiry(words, at, expiresMs)
    copyWords(keyFrom, keyAt, words, at + keyTo, keyWords)
    copyWords(stagedValue.words, 0, words, at + keyTo + keyWords, wordsFor(length))
    this.#journal.note(this.#link)
    this.#memory.store(this.#link, block)
    this.#entry = block
    this.#roots.dirty = true
  }

  /** Takes the entry looked up last out; there is room in the journal. */
  #remove(words: Int32Array, at: number): void {
    this.#journal.note(this.#link)
    this.#memory.store(this.#link, words[at + 1]!)
    this.#roots.entries--
    this.#roots.bytes -= (words[at + 3]! & shape.keyBytes) + valueBytes(words, at)
    this.#heap.discard(this.#entry)
    this.#entry = 0
  }

  /** Removes the entry looked up last if its time has come. @returns Whether it has. */
  #expire(words: Int32Array, at: number): boolean {
    if (expiresMs(words, at) > this.#clock.nowMs) return false
    if (this.#heap.reserve(operationWords)) this.#remove(words, at)
    return true
  }

  #keysIn(bucket: number): Uint8Array<ArrayBuffer>[] {
    const { shift, mask, words: slabs } = this.#memory
    const keys: Uint8Array<ArrayBuffer>[] = []
    let entry = this.#memory.load(this.#buckets.headOf(bucket))
    while (entry !== 0) {
      const words = slabs[entry >> shift]!
      const at = entry & mask
      const form = words[at + 3]!
      keys[keys.length] = readBytes(words, at + keyOffset(form), form & shape.keyBytes)
      entry = words[at + 1]!
    }
    return keys
  }

  #full(attempted: string): Error {
    const { entries, bytes } = this.#roots
    const { heldBytes, limitBytes, growing } = this.#memory.slabs
    if (growing) return stateGrowing(attempted)
    return arenaError(
      'ERR_STATE_FULL',
      `Cannot ${attempted}: the partition holds ${entries} entries of ${bytes} bytes in ${this.heldBytes} bytes of memory; with all others it takes ${heldBytes} of the ${limitBytes} that are allowed: delete entries, let them expire (ttlMs), or raise limits.stateMib`,
      { entries, bytes, heldBytes, limitBytes },
    )
  }
}

/** Whether the value of an entry can become one of `length` bytes where it stands. */
function fitsInPlace(words: Int32Array, at: number, length: number, expiresMs: number | undefined): boolean {
  const expires = (words[at + 3]! & shape.expires) !== 0
  const room = valueRoom(words, at)
  const slack = room - length
  return (
    slack >= 0 &&
    slack <= 16 + (room >> 3) &&
    length <= inPlaceBytesMax &&
    expires === (expiresMs !== undefined)
  )
}

function formOf(keyBytes: number, slack: number, expiresMs: number | undefined): number {
  const ascii = stagedValue.ascii ? shape.ascii : 0
  return keyBytes | (slack << shape.slackShift) | ascii | (expiresMs === undefined ? 0 : shape.expires)
}

/** More memory is on its way: whoever catches this in a callback cannot keep the record from being given again. */
function stateGrowing(attempted: string): Error {
  return arenaError(
    'ERR_STATE_GROWING',
    `Cannot ${attempted} in this call: memory is being added, and the record will be given again`,
  )
}

function badFormat(foundMagic: number, foundVersion: number): Error {
  const found =
    foundMagic === magic ? `format ${foundVersion}` : `no arena, but 0x${(foundMagic >>> 0).toString(16)}`
  return arenaError(
    'ERR_STATE_FORMAT',
    `Cannot open state: found ${found}, expected format ${formatVersion}: it was written by another version of Concord`,
  )
}

/** Opens the arena in `slabs`, undoing what was not committed; makes one if there is none. */
export function openArena(slabs: Slabs, options: ArenaOptions = {}): Arena {
  if (slabs.count === 0 && !slabs.grow(0) && slabs.growing) throw stateGrowing('open state')
  if (slabs.count === 0)
    throw arenaError('ERR_STATE_FULL', 'Cannot make state: there is no memory for it', {
      limitBytes: slabs.limitBytes,
    })
  return new Arena(new Memory(slabs), options)
}
