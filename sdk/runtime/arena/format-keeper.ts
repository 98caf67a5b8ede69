/**
 * FormatKeeper: what an arena does where entries of several formats lie beside each other (formats.ts). An arena whose
 * version and table know the first format only asks nothing of it.
 *
 *   FK1. The author's `migrate` runs between two lookups: whatever it does to the arena, nothing that was looked up before
 *        is used behind it.
 * Design: docs/design/0032-migrate.md
 * @module
 */
import type { Data } from '../../function.ts'
import type { Buckets } from './buckets.ts'
import {
  expiresMs,
  isMigrated,
  isTagged,
  keyOffset,
  type Part,
  partBytes,
  readBytes,
  valueBytes,
  valueOffset,
} from './entry.ts'
import { arenaError } from './errors.ts'
import {
  Formats,
  type FormatTable,
  type FormatUse,
  firstFormat,
  tableFor,
  tableOf,
  tableText,
} from './formats.ts'
import type { Heap } from './heap.ts'
import type { Journal } from './journal.ts'
import type { Leftovers } from './keyed-state.ts'
import { formatsVersion, formatVersion, head, shape } from './layout.ts'
import type { Lookup } from './lookup.ts'
import type { Memory } from './memory.ts'
import { OlderEntries } from './older.ts'
import type { Roots } from './roots.ts'
import { type Old, Tidier, type TidierOptions } from './tidier.ts'

const nothing = new Uint8Array(0)
/** Room in the journal for an operation. */
const operationWords = 32

/** What an arena does for it. */
export interface KeptEntries {
  /** Stores a value under the key looked up last. */
  store(value: Data, expiresMs: number | undefined): void
  /** Takes out the entry looked up last. */
  remove(): void
  /** It is not marked as gone, and has time left. */
  isThere(words: Int32Array, at: number): boolean
  readTable(): string | undefined
  writeTable(text: string): void
  full(attempted: string): Error
}

interface Parts {
  readonly memory: Memory
  readonly journal: Journal
  readonly heap: Heap
  readonly buckets: Buckets
  readonly roots: Roots
}

export class FormatKeeper implements TidierOptions, Leftovers {
  readonly #memory: Memory
  readonly #journal: Journal
  readonly #heap: Heap
  readonly #older: OlderEntries
  readonly #entries: KeptEntries
  readonly #place: Lookup
  readonly #tidier: Tidier
  #use: FormatUse | undefined
  #formats: Formats | undefined
  /** Who saw which table last: what was tidied for it is tidy. */
  #seen = ''

  /** @param entries Of the arena, whose parts are the first. */
  constructor(parts: Parts, place: Lookup, entries: KeptEntries) {
    this.#memory = parts.memory
    this.#journal = parts.journal
    this.#heap = parts.heap
    this.#older = new OlderEntries(parts.memory, parts.journal, parts.heap, parts.buckets, parts.roots)
    this.#tidier = new Tidier(parts.memory, parts.buckets, parts.roots, this.#older, this)
    this.#entries = entries
    this.#place = place
  }

  /** From the next `read` on. */
  use(use: FormatUse): void {
    this.#use = use
  }

  get isUsed(): boolean {
    return this.#use !== undefined
  }

  /** What is seen; undefined: there is but one format. */
  get formats(): Formats | undefined {
    return this.#formats
  }

  get isMigrating(): boolean {
    return this.#formats?.hasOlder === true && !this.#formats.isOpen
  }

  get isUntidy(): boolean {
    return this.#formats?.isUntidy === true && !this.#tidier.isStuck
  }

  get isCrowded(): boolean {
    return this.isUntidy && this.#formats!.isFull
  }

  get isLocked(): boolean {
    return this.#formats?.isLocked === true
  }

  /** Reads the table, and brings it to what this use is. @returns Whether that is a change to be committed. */
  read(): boolean {
    const hasTable = this.#memory.words[0]![head.version] !== formatVersion
    const use = this.#use!
    this.#formats = undefined
    this.#setFormat(0)
    if (!hasTable && use.own === firstFormat) return false
    const rows = tableOf(hasTable ? this.#entries.readTable() : undefined)
    const next = tableFor(rows, use)
    this.#use = { ...use, alone: false } // that is said of this moment
    if (next === rows && hasTable) this.#see(rows)
    else this.#write(next)
    return next !== rows || !hasTable
  }

  /** The same without a change: there is no memory for one yet. */
  see(): void {
    const hasTable = this.#memory.words[0]![head.version] !== formatVersion
    this.#formats = undefined
    this.#setFormat(0)
    if (hasTable || this.#use!.own !== firstFormat)
      this.#see(tableOf(hasTable ? this.#entries.readTable() : undefined))
  }

  /**
   * Before anything is looked up to be changed. @returns Whether what was looked up before counts no more.
   * @throws {CodedError} ERR_STATE_MIGRATION if this version can have nothing here; or why a format cannot begin.
   */
  ready(): boolean {
    const lacked = this.#formats?.lacksOwn === true
    if (lacked) this.read()
    this.#formats?.check()
    return lacked
  }

  /** There is no own entry of the key looked up last: the newest older one, migrated if that is to be touched. */
  find(key: Data, part: Part | undefined, touches: boolean): number {
    if (part !== undefined && !isTagged(part.kind)) return 0
    if (this.ready()) this.#look(key, part)
    const formats = this.#formats!
    const older = formats.hasOlder ? this.#older.newestOf(this.#place, formats) : 0
    if (older === 0) return 0
    const words = this.#memory.words[older >> this.#memory.shift]!
    const at = older & this.#memory.mask
    if (!this.#entries.isThere(words, at)) return 0
    return touches && isMigrated(part) ? this.#migrate(words, at, key, part) : older
  }

  /** An entry was made of the key looked up last. */
  supersede(): void {
    const formats = this.#formats!
    if (formats.isOpen || !formats.hasOlder) return
    this.#older.removeOf(this.#place, formats)
    this.#place.entry = 0
  }

  /** Deletes, where there may be older entries. @param there Whether there is something to delete. */
  delete(key: Data, part: Part | undefined, there: boolean): void {
    this.ready()
    const formats = this.#formats!
    this.#look(key, part)
    const hides = this.#older.newestOf(this.#place, formats) !== 0
    if (!this.#heap.reserve(operationWords)) throw this.#entries.full('delete state')
    if (formats.isOpen && hides) {
      if (there) this.#mark(key, part)
      return
    }
    if (hides) this.#older.removeOf(this.#place, formats)
    this.#place.entry = 0
    if (this.#look(key, part) !== 0) this.#entries.remove()
  }

  /** See `Arena.tidy`. */
  tidy(effort: number): boolean {
    const formats = this.#formats!
    const { done, changed } = this.#tidier.tidy(effort, formats)
    this.#place.entry = 0
    if (!done) return changed
    const rows = formats.tidied(this.#tidier.isStuck)
    const isNews = tableText(rows) !== tableText(formats.rows)
    if (isNews) this.#write(rows)
    return changed || isNews
  }

  /** What was tidied has come back. */
  goBack(): void {
    this.#tidier.goBack()
  }

  takeTrouble(): unknown {
    return this.#tidier.takeTrouble()
  }

  /** Whether something newer is seen in the place of an entry. */
  isHidden({ key, part, position }: Old): boolean {
    if (this.#look(key, part) !== 0) return true
    return this.#older.newestOf(this.#place, this.#formats!) !== position
  }

  /** Brings what is there in an older format into the own one. @returns Whether it still was. */
  bring({ key, part }: Old): boolean {
    if (this.#look(key, part) !== 0) return true
    const entry = this.find(key, part, true)
    if (entry === 0) return false
    if (isMigrated(part)) return true
    // A number is the same in each.
    if (!this.#heap.reserve(operationWords)) throw this.#entries.full('migrate state')
    this.#journal.note(entry + 3)
    this.#memory.store(entry + 3, (this.#memory.load(entry + 3) & ~shape.format) | this.#formats!.own)
    return true
  }

  /** Looks up the own entry of a key. @returns Its position, or 0. */
  #look(key: Data, part: Part | undefined): number {
    this.#place.look('use state', key, part)
    return this.#place.entry
  }

  /** What is looked up and stored from now on. */
  #setFormat(bits: number): void {
    this.#place.format = bits
    this.#place.entry = 0
  }

  /** @returns The position of what it became; 0 if it is nothing. */
  #migrate(words: Int32Array, at: number, key: Data, part: Part | undefined): number {
    const form = words[at + 3]!
    const from = this.#formats!.rankOf(form)
    const timeMs = expiresMs(words, at)
    const keyBytes = (form & shape.keyBytes) - (part === undefined ? 0 : partBytes)
    const copy = readBytes(words, at + keyOffset(form), keyBytes)
    const value = readBytes(words, at + valueOffset(form), valueBytes(words, at))
    const { migrate, own } = this.#use!
    if (migrate === undefined)
      throw arenaError(
        'ERR_STATE_MIGRATION',
        `Cannot read state: it is in the format of version ${from}, and this version has no migrate: keep the one of version ${own} until \`concord fn inspect\` shows that nothing is left to migrate`,
      )
    const made = migrate({ key: copy, kind: part === undefined ? 'state' : 'list', value }, from)
    if (made === undefined) {
      this.delete(key, part, true)
      return 0
    }
    if (this.#look(key, part) === 0)
      this.#entries.store(made, timeMs === Number.POSITIVE_INFINITY ? undefined : timeMs)
    return this.#look(key, part)
  }

  /** The key is gone, and what it had in older formats stays. */
  #mark(key: Data, part: Part | undefined): void {
    this.#entries.store(nothing, undefined)
    const entry = this.#look(key, part)
    if (!this.#heap.reserve(operationWords)) throw this.#entries.full('delete state')
    this.#journal.note(entry + 3)
    this.#memory.store(entry + 3, this.#memory.load(entry + 3) | shape.gone)
  }

  #write(rows: FormatTable): void {
    const words = this.#memory.words[0]!
    this.#formats = undefined
    this.#setFormat(0)
    this.#entries.writeTable(tableText(rows))
    if (words[head.version] !== formatsVersion) {
      if (!this.#heap.reserve(operationWords)) throw this.#entries.full('begin a format of state')
      this.#journal.note(head.version)
      words[head.version] = formatsVersion
    }
    this.#see(rows)
  }

  #see(rows: FormatTable): void {
    this.#formats = new Formats(rows, this.#use!)
    this.#setFormat(this.#formats.own)
    const seen = `${this.#use!.own} ${tableText(rows)}`
    if (seen !== this.#seen) this.#tidier.startAnew()
    this.#seen = seen
  }
}
