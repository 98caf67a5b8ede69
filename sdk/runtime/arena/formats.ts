/**
 * Formats: of which versions' making the entries of an arena are, and which of them the version at work sees.
 *
 * Entries of one key in different formats lie in one chain. The table says what each *tag* stands for: a format is named
 * by the version that began it, and is *settled* (promoted: every later version reads it), *open* (of a version that may go
 * again), or *void* (nobody's: what is left of it is tidied away).
 *
 *   FM1. A version sees its own entries, else the newest of a settled format before its own; never another one's.
 *   FM2. While its format is open it changes and removes no entry of another format.
 *   FM3. At most one format is open. One that is older than a settled one is refused.
 * Design: docs/design/0032-migrate.md
 * @module
 */
import type { Data } from '../../function.ts'
import { fromJson, toJson } from '../realm/primordials.ts'
import { arenaError } from './errors.ts'
import { shape } from './layout.ts'

/** What has no format: the first version's. */
export const firstFormat = 1
/** The last tag stands for no format: who has it finds nothing. */
const tagsMax = 15

export interface FormatRow {
  readonly format: number
  readonly state: 'settled' | 'open' | 'void'
}
/** By tag. */
export type FormatTable = readonly (FormatRow | null)[]

/** An entry of an older format, as copies. */
export interface OldEntry {
  readonly key: Uint8Array<ArrayBuffer>
  readonly kind: 'state' | 'list'
  readonly value: Uint8Array<ArrayBuffer>
}

/** How the version at work uses an arena. */
export interface FormatUse {
  /** What it writes. */
  readonly own: number
  /** What whoever may have to go on with the state reads: as long as that is an older one, its own is open. */
  readonly kept: number
  /** Any other open format is of a version that has gone for good. */
  readonly alone: boolean
  /** @returns What an older entry is in its own format; undefined: nothing. Absent: it has no `migrate`. */
  readonly migrate?: ((entry: OldEntry, from: number) => Data | undefined) | undefined
}

/** As text of one length, so that it can be overwritten where it stands. */
const tableLength = 768

export function tableText(rows: FormatTable): string {
  return toJson(rows).padEnd(tableLength)
}

export function tableOf(text: string | undefined): FormatTable {
  return text === undefined ? [{ format: firstFormat, state: 'settled' }] : (fromJson(text) as FormatTable)
}

/** A table as a version sees it. */
export class Formats {
  readonly rows: FormatTable
  /** The bits of its own tag. */
  readonly own: number
  /** Its own is not in the table yet. */
  readonly lacksOwn: boolean
  /** It may go again: older entries stay. */
  readonly isOpen: boolean
  /** Some that it sees are older ones. */
  readonly hasOlder: boolean
  /** Some are nobody's, or would better be its own. */
  readonly isUntidy: boolean
  /** There is no tag for another one. */
  readonly isFull: boolean
  /** This version can have nothing here (`check`). */
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

  /** @throws {CodedError} ERR_STATE_MIGRATION if this version can have nothing here. */
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

  /** Which is the newer of two that it sees, beside its own; below 0: it does not see it. */
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

  /** The table when nothing is left of what is void, and nothing but its own of what is settled. */
  tidied(olderLeft: boolean): FormatTable {
    return this.rows.map((row) => {
      if (row === null || row.state === 'void') return null
      const isSpent = !olderLeft && !this.isOpen && row.state === 'settled' && row.format < this.#use.own
      return isSpent ? null : row
    })
  }
}

/** The table as it should be for this use of it; the same if it is. */
export function tableFor(rows: FormatTable, { own, kept, alone }: FormatUse): FormatTable {
  if (own < newestSettled(rows)) return rows
  // What whoever may have to go on reads was promoted, though nobody may have said so here: its runner was killed, or is told of that and of this at once.
  const next = rows.map((row): FormatRow | null =>
    row?.state === 'open' && row.format === kept ? { format: kept, state: 'settled' } : row,
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
