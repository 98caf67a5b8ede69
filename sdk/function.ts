/**
 * The API of a function: what its author writes, and what the platform passes to it (docs/functions.md).
 *
 * The names are those of Concord's C++ API of 2016: init, processRecord, processTimer, destroy, metadata; on the
 * context produceRecord, setTimer, getState, setState. An instance runs one callback at a time (I1).
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

/** What happens to the sender when records arrive faster than the function processes them (docs/functions.md). */
export type BackPressure = 'block' | 'enqueue' | 'dropHead' | 'dropTail' | 'none'

/** What happens to a record whose callback threw. `then` applies once the retries are used up. */
export type ErrorPolicy = 'fail' | 'skip' | 'deadLetter' | RetryPolicy

export interface RetryPolicy {
  /** How many times a record is tried again. Attempts before a restart of the instance count too. */
  readonly retry: number
  readonly then: 'fail' | 'skip' | 'deadLetter'
  /**
   * Milliseconds before the next attempt, doubled each time; other records are processed meanwhile. 0: at once.
   * Default 100.
   */
  readonly waitMs?: number
  /** The longest wait between two attempts, in milliseconds. Default 10,000. */
  readonly waitMaxMs?: number
  /** Whether later records with the same key wait for it. Default: false. */
  readonly keepOrder?: boolean
}

export interface InputOptions {
  readonly grouping: Grouping
  readonly backPressure?: BackPressure
  /** The size of the queue at each producer, in MiB: memory for `dropHead` and `dropTail`, disk for `enqueue`. */
  readonly queueMib?: number
  /** With `enqueue`: the longest time that a record may wait, in milliseconds. */
  readonly queueAgeMs?: number
}

/**
 * What the code says about the function. The manifest adds resources and limits. `In` and `Out` are the names of its
 * streams, for type checks.
 */
export interface Metadata<In extends string = string, Out extends string = string> {
  /** Lower-case letters, digits and dashes, starting with a letter; at most 63 characters. */
  readonly name: string
  /** Input streams. */
  readonly istreams?: Readonly<Record<In, Grouping | InputOptions>>
  /** Output streams: `produceRecord` refuses any other. */
  readonly ostreams?: readonly Out[]
  /**
   * What happens when a callback throws. Default `fail`: the instance ends, the error is reported, and it restarts
   * with back-off.
   */
  readonly onError?: ErrorPolicy
}

/** Bytes, or text that is encoded as UTF-8. */
export type Data = Uint8Array | string

/**
 * The record that a callback processes. `key` and `value` are views that are valid only during the callback (if it is
 * asynchronous, until its promise settles). To keep the record, `copy()` it.
 */
export interface StreamRecord<In extends string = string> {
  readonly stream: In
  readonly partition: number
  readonly key: Uint8Array
  readonly value: Uint8Array
  /** Event time, milliseconds since 1970. */
  readonly timeMs: number
  /** The key as UTF-8 text. */
  keyText(): string
  /** The value as UTF-8 text. The string is a copy. */
  text(): string
  /** The value parsed as JSON. @throws {SyntaxError} */
  json<T = unknown>(): T
  /** A copy of the record that stays valid after the callback. */
  copy(): StreamRecord<In>
}

export interface ProduceOptions {
  /** Event time, milliseconds since 1970. Default: that of the current record or timer. */
  readonly timeMs?: number
  /** The partition to send to. Only for streams with the grouping `explicit`. */
  readonly partition?: number
}

export interface StateOptions {
  /** Time to live from this write, in whole milliseconds of the platform's clock. Default: for ever. */
  readonly ttlMs?: number
}

/**
 * Types whose values JSON keeps, for type parameters: `<T extends Kept<T>>`. Maps, Sets, Dates and what has methods are not among
 * them. A type cannot tell everything: what the values are is checked when they are set.
 */
export type Kept<T> = { [Key in keyof T]: KeptPart<T[Key]> } | string | number | boolean | null | undefined

type KeptPart<T> = unknown extends T
  ? unknown
  : T extends
        | bigint
        | symbol
        | Date
        | ReadonlyMap<never, unknown>
        | ReadonlySet<never>
        | ((...args: never[]) => unknown)
    ? 'JSON has no form of it'
    : T extends object
      ? { [Key in keyof T]: KeptPart<T[Key]> }
      : T

/** The state operations, scoped to (function, partition of the current record or timer). */
export interface State {
  /** A copy of the bytes stored under `key`; undefined if there are none. */
  getState(key: Data): Uint8Array | undefined
  /** Stores bytes, or text as UTF-8. Undone if the callback throws. */
  setState(key: Data, value: Data, options?: StateOptions): void
  /** @returns Whether there was something to delete. */
  deleteState(key: Data): boolean
  /** The value under `key`, parsed as JSON; undefined if there is none. */
  getJson<T = unknown>(key: Data): T | undefined
  /**
   * Stores a value as JSON: plain objects, arrays, text, finite numbers, booleans and null. A property that is undefined is left out.
   * @throws {Error} If something in it would come back as something else: a Map, Set or Date, a class instance, NaN, a bigint, a
   *   function, or undefined in an array.
   */
  setJson(key: Data, value: unknown, options?: StateOptions): void
  /**
   * The keys of the current partition that have a value (of `setState`), or that have a counter. They are copies, in
   * no particular order. The callback may set and delete entries during the iteration: a key that exists throughout
   * is returned once, a deleted key is not returned after its deletion, and a new key may or may not be.
   */
  keys(of?: 'state' | 'counter'): IterableIterator<Uint8Array>
  /** The same keys as text. */
  keyTexts(of?: 'state' | 'counter'): IterableIterator<string>
  /**
   * The counter named `key`. It is separate from the value that `setState` stores there, and lives `ttlMs` after its
   * last change.
   */
  counter(key: Data, options?: StateOptions): Counter
  /** The value under `key`, as JSON with a type: the one that `getJson` and `setJson` use. See `setJson` for what it takes. */
  value<T extends Kept<T>>(key: Data, options?: StateOptions): Value<T>
  /** The list named `key`. It is separate from the value that `setState` stores there. See `setJson` for what an item may be. */
  list<T extends Kept<T>>(key: Data, options?: ListOptions): List<T>
  /**
   * The windows named `key`: sums by time, or by another number that only grows. Windows of one key and one `every` have what is
   * added in common, whatever their `size`: add once, and sum as many sizes as you like.
   */
  windows(key: Data, shape: WindowShape): Windows
}

export interface Counter {
  /** The current number; 0 if there is none. */
  get(): number
  /** Adds `by`, or 1. @returns The new number. */
  add(by?: number): number
  set(to: number): void
  /** @returns Whether there was one. */
  delete(): boolean
}

export interface Value<T> {
  get(): T | undefined
  set(value: T): void
  /** @returns Whether there was one. */
  delete(): boolean
}

export interface ListOptions extends StateOptions {
  /** The largest number of items; `push` then drops the oldest. */
  readonly max?: number
}

/** A list of items as JSON. Each item is an entry of its own, so `push` and `shift` cost the same for a long list. */
export interface List<T> {
  readonly length: number
  /** Adds an item at the end; it lives `ttlMs`. @returns The new number of items. */
  push(item: T): number
  /** Removes and returns the oldest item. */
  shift(): T | undefined
  /** The item at an index: from 0, the oldest; negative indexes count from the end. */
  at(index: number): T | undefined
  /** All items, oldest first. */
  items(): T[]
  clear(): void
}

/**
 * Windows of the length `size`, one starting at every multiple of `every`. If both are equal (the default) they are
 * tumbling windows, else sliding ones. The unit is milliseconds for windows by time, records for windows by count.
 *
 * A sum reads `size / every` numbers, some 0.2 µs each: choose `every` as coarse as your windows may slide. With `ttlMs`, what
 * was added goes that long after the last addition near it, by the platform's clock: at least `size`. Windows that
 * are never closed need it.
 */
export interface WindowShape extends StateOptions {
  readonly size: number
  /** Must divide `size`. Default: `size`. All windows of a key have the same. */
  readonly every?: number
}

/** Windows are named by their start: a window contains the positions from `start` to below `start + size`. */
export interface Windows {
  /** The starts of the windows that contain `at`, earliest first. */
  of(at: number): number[]
  /**
   * The starts of the windows that contain `since` and end at `until` or before, earliest first. If `since` is the time of the
   * latest record before and `until` that of the current one, these are the windows to close now: those in between have nothing.
   */
  ended(since: number, until: number): number[]
  /**
   * Adds `by`, or 1, to all windows of the key that contain `at`, in one write. Add through the longest windows of a key, so that
   * closing shorter ones leaves what they need. @returns The sum of the interval of length `every` around `at`.
   */
  add(at: number, by?: number): number
  /** The sum of the window that begins at `start`. @throws {Error} If none begins there: `sumUntil` takes any time. */
  sum(start: number): number
  /** The sum of the last `size` up to a time: of the earliest window that contains it, to its end. */
  sumUntil(at: number): number
  /**
   * As `sum`, and then forgets what no later window contains. Close windows in the order of their starts. What longer windows have
   * added to or summed stays for them.
   */
  close(start: number): number
}

/**
 * Metrics of the author's own. `concord fn inspect` shows them, and the runner's /metrics exports them for
 * Prometheus. What a callback counts takes effect when it returns, and not at all if it throws. An instance has at
 * most 64 names.
 */
export interface Metrics {
  /** Adds `by`, or 1, to a count. @throws {Error} If `by` is negative, or the name is malformed. */
  count(name: string, by?: number): void
  /** Adds a value to a distribution: its count, sum, minimum, maximum and quantiles are shown. */
  observe(name: string, value: number): void
}

/**
 * The contents of a file deployed beside the code. All instances of a runner share the bytes: read them, and never
 * write them.
 */
export interface Asset extends Uint8Array {
  /** The bytes as UTF-8 text; each call decodes them again. */
  text(): string
  /** The bytes parsed as JSON; each call parses them again. @throws {SyntaxError} */
  json<T = unknown>(): T
}

/** What a callback may use. Valid only while a callback runs. */
export interface Context<Out extends string = string> extends State {
  readonly metrics: Metrics
  readonly function: string
  readonly version: number
  /** Index of this instance, from 0. */
  readonly instance: number
  /** The manifest's `env`. */
  readonly env: Readonly<Record<string, string>>
  /** The manifest's `args`. */
  readonly args: readonly string[]
  /**
   * A file of this version, such as a model or a table, by its name (`concord asset push`, or the project's folder
   * assets/). It stays valid as long as the instance lives.
   * @throws {Error} If the version has no asset of that name.
   */
  asset(name: string): Asset
  /** The platform's clock, milliseconds since 1970. It stands still during a batch, as `Date.now()` does. */
  nowMs(): number
  /**
   * Sends a record to a stream. It leaves when the callback has returned, and not at all if the callback throws (I3).
   * @throws {Error} If `stream` is not among the ostreams, or the record is too large.
   */
  produceRecord(stream: Out, key: Data, value: Data, options?: ProduceOptions): void
  /**
   * Calls `processTimer(ctx, key, timeMs)` once, at `timeMs` (milliseconds since 1970) or soon after. A timer is the
   * pair (key, timeMs), so setting it twice calls once. A time in the past is due at once. The key is text: pass
   * `record.keyText()` for the record's key.
   */
  setTimer(key: string, timeMs: number): void
  /** @returns Whether there was such a timer. */
  deleteTimer(key: string, timeMs: number): boolean
}

/** The context of `init` and `destroy`. No partition is current there, so it has neither state nor timers. */
export interface LifecycleContext
  extends Pick<Context, 'function' | 'version' | 'instance' | 'env' | 'args' | 'asset' | 'nowMs'> {
  /**
   * In `init`: the version that is running in this place, and that this one will take over from between two batches,
   * with its state and timers. (It is the same version if only the isolate is renewed.) Undefined if the instance
   * starts without a predecessor.
   */
  readonly replaces?: number | undefined
}

/** An entry of state in an earlier format, as `migrate` sees it. */
export interface Migration
  extends Pick<Context, 'function' | 'version' | 'instance' | 'env' | 'args' | 'asset' | 'nowMs'> {
  /**
   * What `setState`, `setJson` or `value` stored, or an item of a `list`. Counters and windows are numbers, and need
   * no migration.
   */
  readonly kind: 'state' | 'list'
  readonly key: Uint8Array
  readonly value: Uint8Array
  /** The key as UTF-8 text. */
  keyText(): string
  /** The value as UTF-8 text. */
  text(): string
  /** The value parsed as JSON. @throws {SyntaxError} */
  json<T = unknown>(): T
  /**
   * Replaces the value: bytes, or text as UTF-8. Its time to live is kept. If nothing is set, the value stays as it
   * is.
   */
  set(value: Data): void
  /** Replaces the value by JSON. */
  setJson(value: unknown): void
  /** Deletes the entry. */
  delete(): void
}

/** Formats of a function's state. A format is named by the version that began it. */
export interface StateFormat {
  /** The format that the version writes. */
  readonly own: number
  /** The format that must stay readable: that of the version to which a rollback would go. */
  readonly kept: number
  /** The formats that were promoted before that one. Absent: none. */
  readonly before?: readonly number[]
}

export interface FunctionDefinition<In extends string = string, Out extends string = string> {
  readonly metadata: Metadata<In, Out>
  init?(ctx: LifecycleContext): void | Promise<void>
  processRecord?(ctx: Context<Out>, record: StreamRecord<In>): void | Promise<void>
  processTimer?(ctx: Context<Out>, key: string, timeMs: number): void | Promise<void>
  /**
   * Converts one entry of state that an earlier version wrote, when it is first used. A version with `migrate` has a
   * state format of its own; a version without it continues in the format of the version before. If it throws, the
   * operation on state throws too.
   * @param fromVersion The version that began the entry's format: the latest one with a `migrate`, or 1.
   */
  migrate?(ctx: Migration, fromVersion: number): void
  destroy?(ctx: LifecycleContext): void | Promise<void>
}

/**
 * Declares a function. It does nothing at run time; it is there for completion and type checks in the editor: of the
 * stream names too, if the metadata is written in place.
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
export function defineFunction<In extends string = never, Out extends string = never>(
  definition: FunctionDefinition<In, Out>,
): FunctionDefinition {
  return definition
}
