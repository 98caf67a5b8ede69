/**
 * FormatKeeper: the operations of an arena that has entries in several formats (formats.ts). An arena with only the
 * first format does not use it.
 *
 *   FK1. The author's `migrate` runs between two lookups: nothing that was looked up before is used after it,
 *        whatever it does to the arena.
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
/** Journal words that an operation needs. */
const operationWords = 32

/** The operations of an arena that this needs. */
export interface KeptEntries {
  /** Stores a value under the key looked up last. */
  store(value: Data, expiresMs: number | undefined): void
  /** Removes the entry looked up last. */
  remove(): void
  /** Whether it is not marked as deleted, and has not expired. */
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
  /** The table seen last, and for which use: what was tidied for it stays tidy. */
  #seen = ''

  /** @param entries The operations of the arena whose parts come first. */
  constructor(parts: Parts, place: Lookup, entries: KeptEntries) {
    this.#memory = parts.memory
    this.#journal = parts.journal
    this.#heap = parts.heap
    this.#older = new OlderEntries(parts.memory, parts.journal, parts.heap, parts.buckets, parts.roots)
    this.#tidier = new Tidier(parts.memory, parts.buckets, parts.roots, this.#older, this)
    this.#entries = entries
    this.#place = place
  }

  /** Takes effect at the next `read`. */
  use(use: FormatUse): void {
    this.#use = use
  }

  get isUsed(): boolean {
    return this.#use !== undefined
  }

  /** What the version sees; undefined if there is only one format. */
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

  /** Reads the table, and adapts it to the present use. @returns Whether that is a change to commit. */
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

  /** The same without a change, because there is no memory for one yet. */
  see(): void {
    const hasTable = this.#memory.words[0]![head.version] !== formatVersion
    this.#formats = undefined
    this.#setFormat(0)
    if (hasTable || this.#use!.own !== firstFormat)
      this.#see(tableOf(hasTable ? this.#entries.readTable() : undefined))
  }

  /**
   * Called before an entry is looked up in order to change it, or an older one is looked for: a format that found no
   * memory before may begin now.
   * @returns Whether earlier lookups are void.
   * @throws {CodedError} ERR_STATE_MIGRATION if this version cannot have entries here; or why a format cannot begin.
   */
  ready(): boolean {
    const lacked = this.#formats?.lacksOwn === true
    if (lacked) this.read()
    this.#formats?.check()
    return lacked
  }

  /** The key looked up last has no entry of its own: returns the newest older one, migrated if `touches`. */
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

  /** Called after an entry was made for the key looked up last. */
  supersede(): void {
    const formats = this.#formats!
    if (formats.isOpen || !formats.hasOlder) return
    this.#older.removeOf(this.#place, formats)
    this.#place.entry = 0
  }

  /** Deletes an entry where older ones may exist. @param there Whether there is something to delete. */
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

  /** Whether a newer entry hides this one. */
  isHidden({ key, part, position }: Old): boolean {
    if (this.#look(key, part) !== 0) return true
    return this.#older.newestOf(this.#place, this.#formats!) !== position
  }

  /** Converts an entry of an older format into the own format. @returns Whether the entry still existed. */
  bring({ key, part }: Old): boolean {
    if (this.#look(key, part) !== 0) return true
    const entry = this.find(key, part, true)
    if (entry === 0) return false
    if (isMigrated(part)) return true
    // Numbers are the same in every format.
    if (!this.#heap.reserve(operationWords)) throw this.#entries.full('migrate state')
    this.#journal.note(entry + 3)
    this.#memory.store(entry + 3, (this.#memory.load(entry + 3) & ~shape.format) | this.#formats!.own)
    return true
  }

  /** Looks up the entry of a key in the own format. @returns Its position, or 0. */
  #look(key: Data, part: Part | undefined): number {
    this.#place.look('use state', key, part)
    return this.#place.entry
  }

  /** From now on lookups search the format with these bits, and new entries have it. */
  #setFormat(bits: number): void {
    this.#place.format = bits
    this.#place.entry = 0
  }

  /** @returns The position of the migrated entry; 0 if `migrate` deleted it. */
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

  /** Deletes the key, and keeps its entries in older formats. */
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
