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
import { murmur3Words } from '../../hash.ts'
import type { KeyedState } from '../keyed-state.ts'
import { append } from '../primordials.ts'
import { utf8Read } from '../utf8.ts'
import { ArenaTimers } from './arena-timers.ts'
import { Buckets, spread } from './buckets.ts'
import {
  copyWords,
  expiresMs,
  fitsInPlace,
  hasKey,
  hasKeyBytes,
  hasKeyText,
  isPart,
  keyOffset,
  numberOf,
  type Part,
  partBytes,
  readAscii,
  readBytes,
  valueBytes,
  valueOffset,
  valueRoom,
  wordsFor,
  writeExpiry,
} from './entry.ts'
import { arenaError, badFormat, stateGrowing } from './errors.ts'
import { Heap } from './heap.ts'
import { type CommitWord, Journal } from './journal.ts'
import { KeyWalk } from './key-walk.ts'
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
import type { Memory } from './memory.ts'
import type { PageKeeper } from './pages.ts'
import { Roots } from './roots.ts'
import { Staging } from './staging.ts'
import { countRemoved, Sweeper } from './sweeper.ts'
import { TimerTree } from './timer-tree.ts'

/** Images of an operation beside those of a value's words. */
const operationWords = 32

const stagedKey = new Staging()
const stagedValue = new Staging()

export interface ArenaOptions {
  /** What entries that expire are held against; default: no time ever passes. */
  readonly clock?: { readonly nowMs: number }
  /** The word that decides whether a transaction is committed; default: one of the arena's own. */
  readonly commitWord?: CommitWord
  /** Keeps what a checkpoint under way has not captured yet; default: there are no checkpoints. */
  readonly keeper?: PageKeeper
}

export class Arena implements KeyedState {
  readonly timers: ArenaTimers
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
  /** Keys are being walked: until the transaction's end chains stay as they are. */
  #walked = false
  /** `expire` has removed entries in this transaction. */
  #swept = false
  readonly #sweeper: Sweeper

  /** Opens what lies in `memory`, whose first slab must be there; makes an arena if there is none. See `openArena`. */
  constructor(memory: Memory, { clock = { nowMs: 0 }, commitWord }: ArenaOptions = {}) {
    this.#memory = memory
    memory.attach(0)
    this.#journal = new Journal(memory, commitWord)
    this.#heap = new Heap(memory, this.#journal, this.#roots)
    this.#buckets = new Buckets(memory, this.#journal, this.#heap, this.#roots)
    this.#clock = clock
    const tree = new TimerTree(memory, this.#journal, this.#heap, this.#roots)
    this.timers = new ArenaTimers(memory, this.#roots, tree, {
      find: (key, part) => (this.#find(key, part) === undefined ? 0 : this.#entry),
      add: (part, one, other) => {
        stagedValue.putNumbers(one, other)
        return this.#insert(undefined, part)
      },
      remove: () => {
        this.#remove(memory.words[this.#entry >> memory.shift]!, this.#entry & memory.mask)
        this.#heap.tidy()
      },
      full: (attempted) => this.#full(attempted),
    })
    this.#sweeper = new Sweeper(memory, this.#journal, this.#heap, this.#buckets, this.#roots)
    this.#valueBytesMax = (memory.blockWordsMax - entryHeaderWords - entryExpiryWords) * 4 - keyBytesMax
    this.reopen()
  }

  /** Again, after another isolate had it: what that one has committed counts. */
  reopen(): void {
    const words = this.#memory.words[0]!
    if (words[head.magic] === 0) this.#format(words)
    else this.#open(words)
  }

  /** Timers are not counted. */
  get entries(): number {
    return this.#roots.entries - this.#roots.timers
  }

  get bytes(): number {
    return this.#roots.bytes
  }

  /** Bytes of the slabs that it takes. */
  get heldBytes(): number {
    return this.#memory.heldBytes(this.#roots.slabs)
  }

  get(key: Data, part?: Part): Uint8Array<ArrayBuffer> | undefined {
    const words = this.#find(key, part)
    if (words === undefined) return undefined
    const at = this.#entry & this.#memory.mask
    return readBytes(words, at + valueOffset(words[at + 3]!), valueBytes(words, at))
  }

  has(key: Data, part?: Part): boolean {
    return this.#find(key, part) !== undefined
  }

  getNumber(key: Data, part?: Part): number | undefined {
    const words = this.#find(key, part)
    if (words === undefined) return undefined
    const at = this.#entry & this.#memory.mask
    const valueAt = at + valueOffset(words[at + 3]!)
    return numberOf(words[valueAt]!, words[valueAt + 1]!)
  }

  getText(key: Data, part?: Part): string | undefined {
    const words = this.#find(key, part)
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
  set(key: Data, value: Data, expiresMs?: number, part?: Part): void {
    stagedValue.put('set state', 'value', value, this.#valueBytesMax)
    this.#set(key, expiresMs, part)
  }

  setNumber(key: Data, value: number, expiresMs?: number, part?: Part): void {
    stagedValue.putNumber(value)
    this.#set(key, expiresMs, part)
  }

  addNumber(key: Data, by: number, expiresMs?: number, part?: Part): number {
    const to = (this.getNumber(key, part) ?? 0) + by
    stagedValue.putNumber(to)
    this.#store(expiresMs, part)
    return to
  }

  #set(key: Data, expiresMs: number | undefined, part: Part | undefined): void {
    this.#look('set state', key, part)
    this.#store(expiresMs, part)
  }

  /** Stores the staged value under the key looked up last. */
  #store(expiresMs: number | undefined, part: Part | undefined): void {
    if (expiresMs !== undefined) this.#sweeper.heed(expiresMs)
    const entry = this.#entry
    if (entry === 0) {
      this.#insert(expiresMs, part)
      return
    }
    const words = this.#memory.words[entry >> this.#memory.shift]!
    const at = entry & this.#memory.mask
    if (fitsInPlace(words, at, stagedValue.length, expiresMs)) this.#overwrite(words, at, expiresMs)
    else this.#replace(words, at, expiresMs)
  }

  delete(key: Data, part?: Part): boolean {
    this.#look('delete state', key, part)
    const entry = this.#entry
    if (entry === 0) return false
    const words = this.#memory.words[entry >> this.#memory.shift]!
    const at = entry & this.#memory.mask
    const there = expiresMs(words, at) > this.#clock.nowMs
    if (!this.#heap.reserve(operationWords)) throw this.#full('delete state')
    this.#remove(words, at)
    this.#heap.tidy()
    return there
  }

  expect(hashes: Int32Array, count: number): void {
    this.#buckets.fetch(hashes, count)
  }

  commit(): void {
    this.#walked = this.#swept = false
    if (!this.#journal.open) return
    this.#heap.settle()
    if (this.#roots.dirty) this.#roots.save(this.#memory.words[0]!, this.#journal)
    this.#journal.commit()
  }

  rollback(): void {
    this.#walked = false
    if (!this.#journal.open) return
    this.#journal.undo()
    this.#reset()
    if (this.#swept) this.#sweeper.startAnew()
    this.#swept = false
  }

  /** Between transactions: from now on the commit word may have any value, until the next change. */
  rest(): void {
    this.#journal.rest()
  }

  /**
   * The keys of the author's, or those that have a part of a kind; in no order, as copies. Until the transaction's end,
   * entries may be set and deleted meanwhile: those that are there all the time are met once.
   */
  keys(kind = 0): KeyWalk {
    this.#walked = true
    const part = kind === 0 ? undefined : { kind, number: 0 }
    return new KeyWalk(
      (bucket) => (bucket < this.#roots.buckets ? this.#keysIn(bucket, kind) : undefined),
      (key) => this.has(key, part),
    )
  }

  /** The same, with what they hold. */
  forEach(visit: (key: Uint8Array<ArrayBuffer>, value: Uint8Array<ArrayBuffer>) => void): void {
    for (const key of this.keys()) visit(key, this.get(key)!)
  }

  /** When there may be something to `expire`; infinite if nothing ever expires. */
  get nextExpiryMs(): number {
    return this.#roots.expiring === 0 ? Number.POSITIVE_INFINITY : this.#sweeper.nextMs
  }

  /** Removes what has expired from the next `buckets` chains; there are about two an entry. @returns How many. */
  expire(buckets: number): number {
    const removed = this.#sweeper.sweep(buckets, this.#clock.nowMs)
    if (removed > 0) this.#entry = 0
    this.#swept ||= removed > 0
    return removed
  }

  /** The commit word and the format come last: what is cut short here was never an arena. */
  #format(words: Int32Array): void {
    for (let i = 0; i < head.blocks; i++) words[i] = 0
    words[head.age] = this.#memory.age
    this.#memory.touchAll(0, head.blocks)
    this.#memory.touch(this.#memory.sizes[0]! - 1)
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
    this.timers.forget()
  }

  /** Looks a key up (N3). */
  #look(attempted: string, key: Data, part: Part | undefined): void {
    if (part === undefined) {
      if (this.#entry !== 0 && this.#isLast(key)) return
      stagedKey.put(attempted, 'key', key, keyBytesMax)
    } else {
      stagedKey.put(attempted, 'key', key, keyBytesMax - partBytes)
      stagedKey.extend(part)
    }
    const keyForm = part === undefined ? stagedKey.length : stagedKey.length | shape.part
    const keyBytes = stagedKey.length
    const keyWords = stagedKey.words
    const hash = spread(murmur3Words(keyWords, 0, keyBytes))
    const { shift, mask, words: slabs } = this.#memory
    let link = this.#buckets.linkOf(hash)
    let entry = this.#memory.load(link)
    while (entry !== 0) {
      const words = slabs[entry >> shift]!
      const at = entry & mask
      if (words[at + 2] === hash && hasKey(words, at, keyWords, keyForm)) break
      link = entry + 1
      entry = words[at + 1]!
    }
    this.#entry = entry
    this.#link = link
    this.#hash = hash
  }

  /** Looks a key up to read its value. @returns The words of its slab, if there is such an entry and it has time left. */
  #find(key: Data, part: Part | undefined): Int32Array | undefined {
    this.#look('get state', key, part)
    const entry = this.#entry
    if (entry === 0) return undefined
    const words = this.#memory.words[entry >> this.#memory.shift]!
    const at = entry & this.#memory.mask
    return (words[at + 3]! & shape.expires) !== 0 && expiresMs(words, at) <= this.#clock.nowMs
      ? undefined
      : words
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
    const formNow = formOf(form & shape.key, valueRoom(words, at) - length, expiresMs)
    if (formNow === form) return
    journal.note(entry + 3)
    words[at + 3] = formNow
    this.#roots.bytes += length - before
    this.#roots.dirty = true
  }

  /** @returns Its position. */
  #insert(expiresMs: number | undefined, part: Part | undefined): number {
    const hash = this.#hash
    const { length, words } = stagedKey
    this.#put(0, hash, words, 0, part === undefined ? length : length | shape.part, expiresMs)
    this.#roots.entries++
    if (expiresMs !== undefined) this.#roots.expiring++
    this.#roots.bytes += length + stagedValue.length
    const entry = this.#entry
    if (!this.#walked && this.#buckets.keepUp()) this.#entry = 0 // its link may be another one now
    return entry
  }

  #replace(words: Int32Array, at: number, expiresMs: number | undefined): void {
    const entry = this.#entry
    const form = words[at + 3]!
    const before = valueBytes(words, at)
    this.#put(words[at + 1]!, words[at + 2]!, words, at + keyOffset(form), form & shape.key, expiresMs)
    this.#heap.discard(entry)
    if ((form & shape.expires) !== 0) this.#roots.expiring--
    if (expiresMs !== undefined) this.#roots.expiring++
    this.#roots.bytes += stagedValue.length - before
  }

  /** Makes an entry of a key and the staged value, in the place of what `#link` names. */
  #put(
    next: number,
    hash: number,
    keyFrom: Int32Array,
    keyAt: number,
    keyForm: number,
    expiresMs: number | undefined,
  ): void {
    const { length } = stagedValue
    const keyWords = wordsFor(keyForm & shape.keyBytes)
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
    words[at + 3] = formOf(keyForm, room - length, expiresMs)
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
    countRemoved(this.#roots, words, at)
    this.#heap.discard(this.#entry)
    this.#entry = 0
  }

  /** Of a chain: the keys of the author's that have not expired, or those of a kind of part. */
  #keysIn(bucket: number, kind: number): Uint8Array<ArrayBuffer>[] {
    const { shift, mask, words: slabs } = this.#memory
    const keys: Uint8Array<ArrayBuffer>[] = []
    let entry = this.#memory.load(this.#buckets.headOf(bucket))
    while (entry !== 0) {
      const words = slabs[entry >> shift]!
      const at = entry & mask
      const form = words[at + 3]!
      const keyAt = at + keyOffset(form)
      const keyBytes = form & shape.keyBytes
      if (kind === 0 ? form >= 0 : isPart(words, at, kind))
        append(keys, readBytes(words, keyAt, kind === 0 ? keyBytes : keyBytes - partBytes))
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

function formOf(keyForm: number, slack: number, expiresMs: number | undefined): number {
  const ascii = stagedValue.ascii ? shape.ascii : 0
  return keyForm | (slack << shape.slackShift) | ascii | (expiresMs === undefined ? 0 : shape.expires)
}
