/**
 * The API of a function: what its author writes and what the platform hands to it (docs/functions.md).
 *
 * The names are those of Concord's 2016 C++ API: init, processRecord, processTimer, destroy, metadata; on the
 * context produceRecord, setTimer, getState, setState. One callback of an instance runs at a time (I1).
 * @module
 */

/** How a record finds its partition. See docs/glossary.md. */
export type Grouping = 'groupBy' | 'shuffle' | 'roundRobin' | 'broadcast' | 'local' | 'explicit'

export const groupBy = 'groupBy' satisfies Grouping as 'groupBy'
export const shuffle = 'shuffle' satisfies Grouping as 'shuffle'
export const roundRobin = 'roundRobin' satisfies Grouping as 'roundRobin'
export const broadcast = 'broadcast' satisfies Grouping as 'broadcast'
export const local = 'local' satisfies Grouping as 'local'
export const explicit = 'explicit' satisfies Grouping as 'explicit'

/** What the platform does when an input outruns its function. */
export type BackPressure = 'block' | 'enqueue' | 'dropHead' | 'dropTail' | 'none'

/** What happens to a record whose callback threw. `then` says what follows when the retries are used up. */
export type ErrorPolicy =
  | 'fail'
  | 'skip'
  | 'deadLetter'
  | { readonly retry: number; readonly then: 'fail' | 'skip' | 'deadLetter' }

export interface InputOptions {
  readonly grouping: Grouping
  readonly backPressure?: BackPressure
}

/** What a function says about itself; a manifest adds resources and limits. */
export interface Metadata {
  /** Lower case, digits and dashes, first a letter, at most 63. */
  readonly name: string
  /** Input streams. */
  readonly istreams?: Readonly<Record<string, Grouping | InputOptions>>
  /** Output streams: `produceRecord` refuses any other. */
  readonly ostreams?: readonly string[]
  /** Default `fail`: the instance crashes, is reported, and restarts with back-off. */
  readonly onError?: ErrorPolicy
}

/** Bytes, or text that is encoded as UTF-8. */
export type Data = Uint8Array | string

/**
 * A record under the eyes of a callback. `key` and `value` are views that are valid during the callback only
 * (for an async callback: until its promise settles); `copy()` keeps one.
 */
export interface StreamRecord {
  readonly stream: string
  readonly partition: number
  readonly key: Uint8Array
  readonly value: Uint8Array
  /** Event time, milliseconds since 1970. */
  readonly timeMs: number
  /** The key as UTF-8 text. */
  keyText(): string
  /** The value as UTF-8 text, a string of its own. */
  text(): string
  /** The value parsed as JSON. @throws {SyntaxError} */
  json<T = unknown>(): T
  /** A record that outlives the callback. */
  copy(): StreamRecord
}

export interface ProduceOptions {
  /** Event time; default: that of the record at hand, or the timer's. */
  readonly timeMs?: number
  /** Names the partition (grouping `explicit`). */
  readonly partition?: number
}

/** The state operations, scoped to (function, partition of the current record or timer). */
export interface State {
  /** The bytes stored under `key`, a copy of one's own, or undefined. */
  getState(key: Data): Uint8Array | undefined
  /** Stores bytes, or text as UTF-8. Undone if the callback throws. */
  setState(key: Data, value: Data): void
  /** @returns Whether there was something to delete. */
  deleteState(key: Data): boolean
  /** `getState` parsed as JSON. */
  getJson<T = unknown>(key: Data): T | undefined
  /** `setState` of a value's JSON. */
  setJson(key: Data, value: unknown): void
}

/** What a callback may do. Valid only while a callback runs. */
export interface Context extends State {
  readonly function: string
  readonly version: number
  /** Index of this instance, from 0. */
  readonly instance: number
  /** The manifest's `env`. */
  readonly env: Readonly<Record<string, string>>
  /** The manifest's `args` (the original's executable_arguments). */
  readonly args: readonly string[]
  /** The platform's clock, milliseconds since 1970; the same all through a batch, like Date.now(). */
  nowMs(): number
  /**
   * Sends a record. It leaves when the callback has returned, and not at all if it throws (I3).
   * @throws {Error} If `stream` is not among the ostreams, or the record is too large.
   */
  produceRecord(stream: string, key: Data, value: Data, options?: ProduceOptions): void
  /**
   * Calls `processTimer(ctx, key, timeMs)` once, at `timeMs` or soon after. A timer is the pair (key, timeMs):
   * setting it twice calls once. A time in the past is due at once.
   */
  setTimer(key: string, timeMs: number): void
  /** @returns Whether there was such a timer. */
  deleteTimer(key: string, timeMs: number): boolean
}

/** The context of `init` and `destroy`, where no partition is current: no state, no timers. */
export type LifecycleContext = Pick<Context, 'function' | 'version' | 'instance' | 'env' | 'args' | 'nowMs'>

export interface FunctionDefinition {
  readonly metadata: Metadata
  init?(ctx: LifecycleContext): void | Promise<void>
  processRecord?(ctx: Context, record: StreamRecord): void | Promise<void>
  processTimer?(ctx: Context, key: string, timeMs: number): void | Promise<void>
  destroy?(ctx: LifecycleContext): void | Promise<void>
}

/**
 * Declares a function. It adds nothing at run time; it is here for the editor to complete and check.
 * @example
 * ```ts
 * import { defineFunction, groupBy } from 'concord'
 *
 * export default defineFunction({
 *   metadata: { name: 'shout', istreams: { words: groupBy }, ostreams: ['loud'] },
 *   processRecord(ctx, record) {
 *     ctx.produceRecord('loud', record.key, record.text().toUpperCase())
 *   },
 * })
 * ```
 */
export function defineFunction(definition: FunctionDefinition): FunctionDefinition {
  return definition
}
