/**
 * KeyedState: the interface of a partition's state and timers, with an undo journal. Arena (arena.ts) implements it.
 *
 *   K1. Stored bytes are never shared: `get` returns copies, and `set` makes copies.
 *   K2. `rollback` restores exactly the state of the last `commit` or `rollback`.
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

/** Up to which timer, in the order in which they fall due, there is none of a share, and how many more may be passed over. */
export interface Seen {
  dueMs: number
  order: number
  left: number
}

export interface TimerSet {
  /** The number of timers that are set. */
  readonly count: number
  /** When the first timer is due (infinite without one), and its order among those of the same time. */
  readonly dueMs: number
  readonly order: number
  /** Higher than the order of every timer that was ever set. */
  readonly orderNext: number
  /**
   * Sets a timer, unless it is set already.
   * @param dueMs When it is due, in whole milliseconds since 1970.
   * @param order Higher than that of every timer before.
   * @returns Whether it was not set before.
   * @throws {CodedError} ERR_STATE_TOO_LARGE or ERR_STATE_FULL.
   */
  set(key: string, timeMs: number, dueMs: number, order: number): boolean
  /** @returns Whether there was such a timer. */
  delete(key: string, timeMs: number): boolean
  /**
   * The first timer of a share of the keys that is due at `nowMs` and was set before `orderEnd`.
   * @param seen Is moved on. Without it each timer would be looked for from the first one again.
   */
  firstOf(nowMs: number, orderEnd: number, share: Share, seen: Seen): DueTimer | undefined
  /** Deletes the first timer. */
  take(): { readonly key: string; readonly timeMs: number } | undefined
}

/** The entries in other formats than the running version's. */
export interface Leftovers {
  /** The version writes its own format, and entries in older ones are left. */
  readonly isMigrating: boolean
  /** There is something to `tidy`. */
  readonly isUntidy: boolean
  /** There is no room for another format until the rest is tidied. */
  readonly isCrowded: boolean
  /** The running version can have no entries here: each use throws ERR_STATE_MIGRATION. */
  readonly isLocked: boolean
}

export interface KeyedState {
  get(key: Data, part?: Part): Uint8Array<ArrayBuffer> | undefined
  /** The same as UTF-8 text. */
  getText(key: Data, part?: Part): string | undefined
  /** What JSON.parse makes of that text; it is the caller's, who may change it. @throws {SyntaxError} */
  getJson(key: Data): unknown
  /** The number that `setNumber` stored there. */
  getNumber(key: Data, part?: Part): number | undefined
  has(key: Data, part?: Part): boolean
  /** @param expiresMs When the entry expires, in whole milliseconds since 1970; default: never. */
  set(key: Data, value: Data, expiresMs?: number, part?: Part): void
  /** Adds to the number stored there, or to 0. @returns The sum. */
  addNumber(key: Data, by: number, expiresMs?: number, part?: Part): number
  setNumber(key: Data, value: number, expiresMs?: number, part?: Part): void
  /** As `addNumber`. The number has a mark besides: the highest that it was ever given, a whole number from 0. */
  addMarked(key: Data, by: number, mark: number, expiresMs: number | undefined, part: Part): number
  /** As `getNumber`; its mark becomes `mark` if it was lower. It expires when it would have. */
  getMarked(key: Data, mark: number, part: Part): number | undefined
  /** 0 if there is no such number, or if it has none. */
  markOf(key: Data, part: Part): number
  /** @returns Whether there was something to delete. */
  delete(key: Data, part?: Part): boolean
  /** The author's keys, or those that have a part of a kind; valid until the end of the transaction. */
  keys(kind?: number): IterableIterator<Uint8Array<ArrayBuffer>>
  /** When there may be something to `expire`; infinite if nothing ever expires. */
  readonly nextExpiryMs: number
  /** How many chains of the index `expire` has to look at, so that what has expired stays a part of what is there. */
  readonly chainsOwed: number
  /** Removes expired entries from the next `chains` chains of the index. @returns How many. */
  expire(chains: number): number
  /** Between transactions: sets which formats are read and written from now on (formats.ts). */
  useFormat(use: FormatUse): void
  /** What earlier versions have left; undefined if there is only the first format. */
  readonly leftovers: Leftovers | undefined
  /**
   * Migrates old entries and removes hidden ones, as far as `effort` allows: a chain of the index costs 1, a changed
   * entry 16.
   * @returns Whether it has changed anything.
   * @throws {CodedError} If there is no room; the transaction must then be rolled back.
   */
  tidy(effort: number): boolean
  /** The first error that `migrate` threw while tidying. */
  takeTrouble(): unknown
  /** A hint: the keys of the first `count` hashes may be used soon. */
  expect(hashes: Int32Array, count: number): void
  readonly timers: TimerSet
  commit(): void
  rollback(): void
  /** Between transactions, at the end of a batch: the commit word may start from any value again. */
  rest(): void
  readonly entries: number
  /** The bytes of keys and values. */
  readonly bytes: number
}
