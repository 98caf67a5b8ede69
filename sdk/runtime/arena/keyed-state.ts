/**
 * KeyedState: the state of one partition and its timers, with an undo journal. An arena outside the heap stands behind it (arena/).
 *
 *   K1. What is stored is nobody else's: `get` answers copies, `set` takes them.
 *   K2. `rollback` restores what was there at the last `commit` or `rollback`, exactly.
 * @module
 */
import type { Data } from '../../function.ts'
import type { Share } from '../records/share.ts'
import type { Part } from './entry.ts'
import type { FormatUse } from './formats.ts'

export interface DueTimer {
  readonly key: string
  readonly timeMs: number
  readonly dueMs: number
  readonly order: number
}

export interface TimerSet {
  /** How many are set. */
  readonly count: number
  /** When the first is due, infinite if none is set; and its order among those of one time. */
  readonly dueMs: number
  readonly order: number
  /** Above the order of every timer that was ever set. */
  readonly orderNext: number
  /**
   * Sets a timer, unless it is set.
   * @param dueMs When it falls due: whole milliseconds since 1970.
   * @param order Higher than that of any before.
   * @returns Whether it was not set.
   * @throws {CodedError} ERR_STATE_TOO_LARGE or ERR_STATE_FULL.
   */
  set(key: string, timeMs: number, dueMs: number, order: number): boolean
  /** @returns Whether there was such a timer. */
  delete(key: string, timeMs: number): boolean
  /** The first of a share that is due at `nowMs` and was set before `orderEnd`. */
  firstOf(nowMs: number, orderEnd: number, share: Share): DueTimer | undefined
  /** Deletes the first. */
  take(): { readonly key: string; readonly timeMs: number } | undefined
}

/** What there is in a state beside the format of the version at work. */
export interface Leftovers {
  /** Its version goes on in its own format, and something is left in older ones. */
  readonly isMigrating: boolean
  /** There is something to `tidy`. */
  readonly isUntidy: boolean
  /** Only behind that there is room for another format. */
  readonly isCrowded: boolean
  /** The version at work can have nothing of it: each touch throws ERR_STATE_MIGRATION. */
  readonly isLocked: boolean
}

export interface KeyedState {
  get(key: Data, part?: Part): Uint8Array<ArrayBuffer> | undefined
  /** The same as UTF-8 text. */
  getText(key: Data, part?: Part): string | undefined
  /** What `setNumber` stored there. */
  getNumber(key: Data, part?: Part): number | undefined
  has(key: Data, part?: Part): boolean
  /** @param expiresMs When the entry ceases to be, in whole milliseconds since 1970; default: never. */
  set(key: Data, value: Data, expiresMs?: number, part?: Part): void
  /** Adds to what `setNumber` stored there, or to 0. @returns The sum. */
  addNumber(key: Data, by: number, expiresMs?: number, part?: Part): number
  setNumber(key: Data, value: number, expiresMs?: number, part?: Part): void
  /** @returns Whether there was something to delete. */
  delete(key: Data, part?: Part): boolean
  /** The keys of the author's, or those that have a part of a kind; good until the transaction's end. */
  keys(kind?: number): IterableIterator<Uint8Array<ArrayBuffer>>
  /** When there may be something to `expire`; infinite if nothing ever expires. */
  readonly nextExpiryMs: number
  /** Removes what has expired from the next `chains` chains of the index. @returns How many entries. */
  expire(chains: number): number
  /** Between transactions: whoever works on it from now on uses it like this (arena/formats.ts). */
  useFormat(use: FormatUse): void
  /** What versions before have left; undefined where there is but the first format. */
  readonly leftovers: Leftovers | undefined
  /**
   * Migrates what is in an old format, removes what nobody sees, as far as `effort` goes: a chain of the index takes 1, an entry
   * that is changed 16. @returns Whether it has changed anything. @throws {CodedError} If there is no room; the transaction is then
   * to be rolled back.
   */
  tidy(effort: number): boolean
  /** What `migrate` has thrown in tidying, the first time. */
  takeTrouble(): unknown
  /** A hint: keys of the first `count` hashes may be asked for soon. */
  expect(hashes: Int32Array, count: number): void
  readonly timers: TimerSet
  commit(): void
  rollback(): void
  /** Between transactions, at a batch's end: what decides whether one is committed may start anew. */
  rest(): void
  readonly entries: number
  /** Bytes of keys and values. */
  readonly bytes: number
}
