/**
 * Formats: which versions' formats the entries of an arena have, and which of them the running version sees.
 *
 * Entries of one key in different formats are in one chain. The table says what each *tag* stands for. A format is
 * named by the version that began it. It is *settled* (promoted: every later version reads it), *open* (of a version
 * that may be rolled back), or *void* (of nobody any more: its remaining entries are removed).
 *
 *   FM1. A version sees entries of its own format, else the newest one of a settled format before its own; never any
 *        other.
 *   FM2. While its format is open, it changes and removes no entry of another format.
 *   FM3. At most one format is open. One that is older than a settled one is refused.
 * Design: docs/design/0032-migrate.md
 * @module
 */
import type { Data, StateFormat } from '../../function.ts'
import { isPromoted } from '../../versions/state-format.ts'
import { fromJson, toJson } from '../realm/primordials.ts'
import { arenaError } from './errors.ts'
import { shape } from './layout.ts'

/** The format of the first version, which is not in the table. */
export const firstFormat = 1
/** The last tag stands for no format: a version with this tag finds nothing. */
const tagsMax = 15

export interface FormatRow {
  readonly format: number
  readonly state: 'settled' | 'open' | 'void'
}
/** The formats by tag. */
export type FormatTable = readonly (FormatRow | null)[]

/** An entry in an older format, as copies. */
export interface OldEntry {
  readonly key: Uint8Array<ArrayBuffer>
  readonly kind: 'state' | 'list'
  readonly value: Uint8Array<ArrayBuffer>
}

/** How the running version uses an arena. As long as `kept` is older than `own`, its own format is open. */
export interface FormatUse extends StateFormat {
  /** Whether every other open format belongs to a version that is gone for good. */
  readonly alone: boolean
  /**
   * Converts an older entry to its own format; undefined: the entry is deleted. Absent: the version has no `migrate`.
   */
  readonly migrate?: ((entry: OldEntry, from: number) => Data | undefined) | undefined
}

/** The table as text of a fixed length, so that it can be overwritten in place. */
const tableLength = 768

export function tableText(rows: FormatTable): string {
  return toJson(rows).padEnd(tableLength)
}

export function tableOf(text: string | undefined): FormatTable {
  return text === undefined ? [{ format: firstFormat, state: 'settled' }] : (fromJson(text) as FormatTable)
}

/** The table as a version sees it. */
export class Formats {
  readonly rows: FormatTable
  /** The bits of its own tag. */
  readonly own: number
  /** Its own format is not in the table yet. */
  readonly lacksOwn: boolean
  /** It may be rolled back, so older entries are kept. */
  readonly isOpen: boolean
  /** Some entries that it sees have older formats. */
  readonly hasOlder: boolean
  /** Some entries are void, or should be converted to its own format. */
  readonly isUntidy: boolean
  /** There is no free tag for another format. */
  readonly isFull: boolean
  /** This version cannot have entries here (`check`). */
  readonly isLocked: boolean
  readonly #use: FormatUse
  readonly #newest: number

  constructor(rows: FormatTable, use: FormatUse) {
    this.rows = rows
    this.#use = use
    const { own } = use
    const tag = rows.findIndex((row) => row?.format === own && row.state !== 'void')
    this.own = (tag < 0 ? tagsMax : tag) << shape.formatShift
    this.lacksOwn = tag < 0 && own > newestSettled(rows)
    this.isOpen = rows[tag]?.state !== 'settled'
    this.#newest = newestSettled(rows)
    this.hasOlder = rows.some((row) => row?.state === 'settled' && row.format < own)
    this.isUntidy = rows.some((row) => row?.state === 'void') || (!this.isOpen && this.hasOlder)
    this.isFull = rows.length >= tagsMax && !rows.includes(null)
    this.isLocked = this.lacksOwn || own < this.#newest
  }

  /** @throws {CodedError} ERR_STATE_MIGRATION if this version cannot have entries here. */
  check(): void {
    const { own } = this.#use
    if (own < this.#newest)
      throw arenaError(
        'ERR_STATE_MIGRATION',
        `Cannot read state: it is in the format of version ${this.#newest}, and this version reads that of version ${own}: deploy version ${this.#newest} or a later one, or one whose migrate turns it back`,
      )
    if (this.lacksOwn)
      throw arenaError(
        'ERR_STATE_MIGRATION',
        `Cannot begin a format of state: there are entries of ${tagsMax} others. Go back to the version before, and deploy anew when it has migrated them (\`concord fn inspect\`)`,
      )
  }

  /** Which of two formats that it sees, besides its own, is the newer one; below 0: it does not see it. */
  rankOf(form: number): number {
    const row = this.rows[(form & shape.format) >> shape.formatShift]
    return row?.state === 'settled' && row.format < this.#use.own ? row.format : -1
  }

  isVoid(form: number): boolean {
    return this.rows[(form & shape.format) >> shape.formatShift]?.state === 'void'
  }

  isOwn(form: number): boolean {
    return (form & shape.format) === this.own
  }

  /** The table after all void entries are gone, and all settled ones are converted to its own format. */
  tidied(olderLeft: boolean): FormatTable {
    return this.rows.map((row) => {
      if (row === null || row.state === 'void') return null
      const isSpent = !olderLeft && !this.isOpen && row.state === 'settled' && row.format < this.#use.own
      return isSpent ? null : row
    })
  }
}

/** The table as this use needs it; the same object if nothing changes. */
export function tableFor(rows: FormatTable, use: FormatUse): FormatTable {
  const { own, kept, alone } = use
  if (own < newestSettled(rows)) return rows
  // A format may have been promoted without this arena: its runner was killed before it was stored again, or learns
  // several things at once.
  const next = rows.map((row): FormatRow | null =>
    row?.state === 'open' && isPromoted(use, row.format) ? { format: row.format, state: 'settled' } : row,
  )
  let tag = next.findIndex((row) => row?.format === own && row.state !== 'void')
  const begins = tag < 0
  if (begins) {
    const free = next.indexOf(null)
    tag = free < 0 ? next.length : free
    if (tag >= tagsMax) return rows
    next[tag] = { format: own, state: 'open' }
  }
  if (kept >= own) next[tag] = { format: own, state: 'settled' }
  if (begins || alone)
    for (const [other, row] of next.entries())
      if (other !== tag && row?.state === 'open') next[other] = { format: row.format, state: 'void' }
  return tableText(next) === tableText(rows) ? rows : next
}

function newestSettled(rows: FormatTable): number {
  return rows.reduce((most, row) => (row?.state === 'settled' && row.format > most ? row.format : most), 0)
}
