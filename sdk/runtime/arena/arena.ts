/**
 * Arena: the state of one partition outside the heap, behind the interface KeyedState.
 *
 * A lookup hashes the key, walks one chain, and remembers where it ended (lookup.ts), so a callback that gets and
 * sets a key looks it up once. Everything that a transaction does is made permanent by `commit`, or undone: by
 * `rollback`, or by `openArena` after the writer was stopped at any instruction.
 *
 *   N1. Stored bytes are never shared with the caller: results are copies, and arguments are copied (staging.ts).
 *   N2. An operation that throws has changed nothing visible.
 * Design: docs/design/0006-state-arena.md, 0032-migrate.md
 * @module
 */

import type { Data } from '../../function.ts'
import { keyBytesMax } from '../../wire/frame.ts'
import { ArenaTimers } from './arena-timers.ts'
import { Buckets } from './buckets.ts'
import { Entries, stagedValue } from './entries.ts'
import {
  expiresMs,
  markAt,
  numberAt,
  type Part,
  partKind,
  readBytes,
  readText,
  valueBytes,
  valueOffset,
} from './entry.ts'
import { arenaError, badFormat, stateFull } from './errors.ts'
import { FormatKeeper } from './format-keeper.ts'
import type { FormatUse } from './formats.ts'
import { Heap } from './heap.ts'
import { type CommitWord, Journal } from './journal.ts'
import { JsonMemo } from './json-memo.ts'
import { KeyWalk, keysOf } from './key-walk.ts'
import type { KeyedState, Leftovers } from './keyed-state.ts'
import {
  entryExpiryWords,
  entryHeaderWords,
  formatsVersion,
  formatVersion,
  head,
  magic,
  shape,
} from './layout.ts'
import { Lookup } from './lookup.ts'
import { emptyArena, makeArena } from './make-arena.ts'
import type { Memory } from './memory.ts'
import type { PageKeeper } from './pages.ts'
import { Roots } from './roots.ts'
import { Sweeper } from './sweeper.ts'
import { TimerTree } from './timer-tree.ts'

/** For all arenas; made when the first value is read. */
let memo: JsonMemo | undefined
let arenas = 0

const formatsPart: Part = { kind: partKind.formats, number: 0 }

export interface ArenaOptions {
  /** The time against which expiry is checked; default: no time passes. */
  readonly clock?: { readonly nowMs: number }
  /** The word whose store commits a transaction; default: one of the arena's own. */
  readonly commitWord?: CommitWord
  /** Keeps pages that a checkpoint under way has not captured yet; default: there are no checkpoints. */
  readonly keeper?: PageKeeper
}

export class Arena implements KeyedState {
  readonly timers: ArenaTimers
  readonly #memory: Memory
  readonly #journal: Journal
  readonly #roots = new Roots()
  /** Sets the same key in other arenas apart (json-memo.ts). */
  readonly #mark = Math.imul(++arenas, 0x9e3779b1)
  readonly #heap: Heap
  readonly #buckets: Buckets
  readonly #clock: { readonly nowMs: number }
  readonly #valueBytesMax: number
  readonly #place: Lookup
  readonly #entries: Entries
  readonly #keeper: FormatKeeper
  /** Set if entries of more than the first format may exist. */
  #formats: FormatKeeper | undefined
  /** Whether `expire` has removed entries in this transaction. */
  #swept = false
  readonly #sweeper: Sweeper

  /** Opens the arena in `memory`, whose first slab must exist; makes one if there is none. See `openArena`. */
  constructor(memory: Memory, { clock = { nowMs: 0 }, commitWord }: ArenaOptions = {}) {
    this.#memory = memory
    memory.attach(0)
    this.#journal = new Journal(memory, commitWord)
    this.#heap = new Heap(memory, this.#journal, this.#roots)
    this.#buckets = new Buckets(memory, this.#journal, this.#heap, this.#roots)
    this.#place = new Lookup(memory, this.#buckets)
    this.#clock = clock
    const parts = {
      memory,
      journal: this.#journal,
      heap: this.#heap,
      buckets: this.#buckets,
      roots: this.#roots,
    }
    this.#entries = new Entries(parts, this.#place, (attempted) => this.#full(attempted))
    const tree = new TimerTree(memory, this.#journal, this.#heap, this.#roots)
    this.timers = new ArenaTimers(memory, this.#roots, tree, {
      find: (key, part) => (this.#find(key, part) === undefined ? 0 : this.#place.entry),
      add: (one, other) => {
        stagedValue.putNumbers(one, other)
        return this.#entries.insert(undefined)
      },
      remove: () => this.#entries.removeFound(),
      full: (attempted) => this.#full(attempted),
    })
    this.#sweeper = new Sweeper(memory, this.#journal, this.#heap, this.#buckets, this.#roots)
    this.#keeper = new FormatKeeper(parts, this.#place, {
      store: (value, expiresMs) => {
        stagedValue.put('migrate state', 'value', value, this.#valueBytesMax)
        this.#store(expiresMs)
      },
      remove: () => this.#entries.removeFound(),
      isThere: (words, at) => this.#isThere(words, at),
      readTable: () => this.getText('', formatsPart),
      writeTable: (text) => this.set('', text, undefined, formatsPart),
      full: (attempted) => this.#full(attempted),
    })
    this.#valueBytesMax = (memory.blockWordsMax - entryHeaderWords - entryExpiryWords) * 4 - keyBytesMax
    this.reopen()
  }

  /** Opens it again after another isolate has written to it: what that isolate has committed counts. */
  reopen(): void {
    const words = this.#memory.words[0]!
    if (words[head.magic] === 0) this.#make(words)
    else this.#open(words)
  }

  /** The number of entries without timers. A key that exists in several formats counts once for each. */
  get entries(): number {
    const tables = this.#memory.words[0]![head.version] === formatVersion ? 0 : 1
    return this.#roots.entries - this.#roots.timers - tables
  }

  get bytes(): number {
    return this.#roots.bytes
  }

  /** The bytes of its slabs. */
  get heldBytes(): number {
    return this.#memory.heldBytes(this.#roots.slabs)
  }

  get(key: Data, part?: Part, touches = true): Uint8Array<ArrayBuffer> | undefined {
    const words = this.#find(key, part, touches)
    if (words === undefined) return undefined
    const at = this.#place.entry & this.#memory.mask
    return readBytes(words, at + valueOffset(words[at + 3]!), valueBytes(words, at))
  }

  has(key: Data, part?: Part): boolean {
    return this.#find(key, part, false) !== undefined
  }

  getJson(key: Data): unknown {
    const words = this.#find(key, undefined)
    if (words === undefined) return undefined
    const at = this.#place.entry & this.#memory.mask
    const form = words[at + 3]!
    const isAscii = (form & shape.ascii) !== 0
    memo ??= new JsonMemo()
    return memo.parse(
      words,
      at + valueOffset(form),
      valueBytes(words, at),
      isAscii,
      words[at + 2]! ^ this.#mark,
    )
  }

  getNumber(key: Data, part?: Part): number | undefined {
    const words = this.#find(key, part)
    if (words === undefined) return undefined
    return numberAt(words, this.#place.entry & this.#memory.mask)
  }

  getText(key: Data, part?: Part): string | undefined {
    const words = this.#find(key, part)
    if (words === undefined) return undefined
    const at = this.#place.entry & this.#memory.mask
    const form = words[at + 3]!
    return readText(words, at + valueOffset(form), valueBytes(words, at), (form & shape.ascii) !== 0)
  }

  /**
   * @param expiresMs When the entry expires, in whole milliseconds since 1970; default: never.
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
    if (this.#formats !== undefined) this.#place.look('set state', key, part) // LU1
    stagedValue.putNumber(to)
    this.#store(expiresMs)
    return to
  }

  addMarked(key: Data, by: number, mark: number, expiresMs: number | undefined, part: Part): number {
    const words = this.#find(key, part)
    let to = 0
    if (words !== undefined) {
      const at = this.#place.entry & this.#memory.mask
      to = numberAt(words, at)
      const known = markAt(words, at)
      if (known > mark) mark = known
    }
    to += by
    this.#setMarked(key, to, mark, expiresMs, part)
    return to
  }

  getMarked(key: Data, mark: number, part: Part): number | undefined {
    const words = this.#find(key, part)
    if (words === undefined) return undefined
    const at = this.#place.entry & this.#memory.mask
    const number = numberAt(words, at)
    if (markAt(words, at) >= mark) return number
    const expires = expiresMs(words, at)
    this.#setMarked(key, number, mark, expires < Number.POSITIVE_INFINITY ? expires : undefined, part)
    return number
  }

  markOf(key: Data, part: Part): number {
    const words = this.#find(key, part)
    return words === undefined ? 0 : markAt(words, this.#place.entry & this.#memory.mask)
  }

  /** The key was looked up last. */
  #setMarked(key: Data, number: number, mark: number, expiresMs: number | undefined, part: Part): void {
    if (this.#formats !== undefined) this.#place.look('set state', key, part) // LU1
    stagedValue.putMarked(number, mark)
    this.#store(expiresMs)
  }

  #set(key: Data, expiresMs: number | undefined, part: Part | undefined): void {
    this.#formats?.ready()
    this.#place.look('set state', key, part)
    this.#store(expiresMs)
  }

  /** Stores the staged value under the key looked up last. */
  #store(expiresMs: number | undefined): void {
    const isNew = this.#entries.store(expiresMs)
    if (expiresMs !== undefined) this.#sweeper.heed(expiresMs, isNew)
    if (isNew) this.#formats?.supersede()
  }

  delete(key: Data, part?: Part): boolean {
    if (this.#formats !== undefined) {
      const there = this.has(key, part)
      this.#formats.delete(key, part, there)
      return there
    }
    this.#place.look('delete state', key, part)
    const entry = this.#place.entry
    if (entry === 0) return false
    const words = this.#memory.words[entry >> this.#memory.shift]!
    const at = entry & this.#memory.mask
    const there = expiresMs(words, at) > this.#clock.nowMs
    this.#entries.delete()
    return there
  }

  expect(hashes: Int32Array, count: number): void {
    this.#buckets.fetch(hashes, count)
  }

  commit(): void {
    this.#entries.isWalked = this.#swept = false
    if (!this.#journal.open) return
    this.#heap.settle()
    if (this.#roots.dirty) this.#roots.save(this.#memory.words[0]!, this.#journal)
    this.#journal.commit()
  }

  rollback(): void {
    this.#entries.isWalked = false
    if (!this.#journal.open) return
    this.#journal.undo()
    this.#reset()
    if (this.#swept) {
      this.#sweeper.startAnew()
      this.#formats?.goBack()
    }
    this.#swept = false
  }

  /** Between transactions: from now on the commit word may have any value, until the next change. */
  rest(): void {
    this.#journal.rest()
  }

  /**
   * The keys of the author's entries, or those that have a part of a kind: copies, in no particular order. Until the
   * end of the transaction, entries may be set and deleted during the iteration; a key that exists throughout is
   * returned once.
   */
  keys(kind = 0): KeyWalk {
    this.#formats?.ready()
    this.#entries.isWalked = true
    const part = kind === 0 ? undefined : { kind, number: 0 }
    return new KeyWalk(
      (bucket) =>
        bucket < this.#roots.buckets
          ? keysOf(this.#memory, this.#buckets.headOf(bucket), kind, this.#formats?.formats)
          : undefined,
      (key) => this.has(key, part),
    )
  }

  /** The same, with the values. */
  forEach(visit: (key: Uint8Array<ArrayBuffer>, value: Uint8Array<ArrayBuffer>) => void): void {
    for (const key of this.keys()) visit(key, this.get(key)!)
  }

  /** When there may be something to `expire`; infinite if nothing ever expires. */
  get nextExpiryMs(): number {
    return this.#roots.expiring === 0 ? Number.POSITIVE_INFINITY : this.#sweeper.nextMs
  }

  get chainsOwed(): number {
    return this.#sweeper.owed
  }

  /**
   * Removes expired entries from the next `buckets` chains, which have about half an entry each. @returns How many.
   */
  expire(buckets: number): number {
    const removed = this.#sweeper.sweep(buckets, this.#clock.nowMs, this.#formats?.formats)
    if (removed > 0) this.#place.entry = 0
    this.#swept ||= removed > 0
    return removed
  }

  /** Between transactions: gives up all slabs but the first, if there are no entries and no timers. */
  shrink(): void {
    if (this.#roots.entries > 0) return
    const parts = { memory: this.#memory, journal: this.#journal, heap: this.#heap, roots: this.#roots }
    if (emptyArena({ ...parts, buckets: this.#buckets })) {
      this.commit()
      this.#journal.clear()
    } else this.#journal.undo()
    this.#load()
    this.#sweeper.startAnew()
  }

  /** Between transactions: sets how the version that works on it uses its formats (formats.ts). */
  useFormat(use: FormatUse): void {
    this.#keeper.use(use)
    this.#readFormats()
  }

  get leftovers(): Leftovers | undefined {
    return this.#formats
  }

  tidy(effort: number): boolean {
    this.#swept = true
    return this.#formats!.tidy(effort)
  }

  takeTrouble(): unknown {
    return this.#formats?.takeTrouble()
  }

  /** A transaction of its own: no callback is running. */
  #readFormats(): void {
    const keeper = this.#keeper
    this.#formats = undefined
    try {
      if (keeper.read()) {
        this.commit()
        this.#journal.clear()
      }
    } catch {
      this.#journal.undo()
      this.#load()
      keeper.see() // There is no memory for the change now. It is made, or reported, when it is needed.
    }
    if (keeper.formats !== undefined) this.#formats = keeper
  }

  #make(words: Int32Array): void {
    const parts = { memory: this.#memory, journal: this.#journal, heap: this.#heap }
    if (!makeArena({ ...parts, buckets: this.#buckets, roots: this.#roots }, () => this.commit()))
      throw this.#full('make state')
    words[head.version] = formatVersion
    words[head.magic] = magic
  }

  #open(words: Int32Array): void {
    const isKnown = words[head.version] === formatVersion || words[head.version] === formatsVersion
    if (words[head.magic] !== magic || !isKnown) throw badFormat(words[head.magic]!, words[head.version]!)
    if (words[head.slabWords] !== this.#memory.mask + 1)
      throw arenaError(
        'ERR_STATE_FORMAT',
        `Cannot open state: its slabs are counted by ${words[head.slabWords]! * 4} bytes, not by ${this.#memory.slabs.slabBytes}`,
      )
    // An interrupted transaction may have used more slabs than existed at the last commit.
    this.#memory.attach(this.#memory.slabs.count - 1)
    if (this.#journal.interrupted) this.#journal.undo()
    this.#journal.clear()
    this.#reset()
  }

  #reset(): void {
    this.#load()
    if (this.#keeper.isUsed) this.#readFormats()
  }

  #load(): void {
    this.#roots.load(this.#memory.words[0]!)
    this.#heap.reset()
    this.#buckets.reset()
    this.#place.entry = 0
    this.timers.forget()
  }

  /**
   * Looks up a key to read its value.
   * @param touches Whether an entry in an older format is migrated.
   * @returns The words of its slab, if there is such an entry and it has not expired.
   */
  #find(key: Data, part: Part | undefined, touches = true): Int32Array | undefined {
    this.#place.look('get state', key, part)
    if (this.#place.entry === 0 && this.#formats !== undefined)
      this.#place.entry = this.#formats.find(key, part, touches) // LU1
    const entry = this.#place.entry
    if (entry === 0) return undefined
    const words = this.#memory.words[entry >> this.#memory.shift]!
    const at = entry & this.#memory.mask
    return (words[at + 3]! & shape.conditional) === 0 || this.#isThere(words, at) ? words : undefined
  }

  #isThere(words: Int32Array, at: number): boolean {
    return (words[at + 3]! & shape.gone) === 0 && expiresMs(words, at) > this.#clock.nowMs
  }

  #full(attempted: string): Error {
    return stateFull(attempted, this.#roots, this.heldBytes, this.#memory.slabs)
  }
}
