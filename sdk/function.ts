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
export type ErrorPolicy = 'fail' | 'skip' | 'deadLetter' | RetryPolicy

export interface RetryPolicy {
  /** How often a record is tried again, over restarts too. */
  readonly retry: number
  readonly then: 'fail' | 'skip' | 'deadLetter'
  /** How long the record waits before it is tried again, while others go on; doubled each time. Default 100; 0: at once. */
  readonly waitMs?: number
  /** The longest of these waits. Default 10,000. */
  readonly waitMaxMs?: number
  /** Whether later records of its key wait behind it. Default: false, they go on as well. */
  readonly keepOrder?: boolean
}

export interface InputOptions {
  readonly grouping: Grouping
  readonly backPressure?: BackPressure
  /** What may wait for each producer: MiB of memory with `dropHead` and `dropTail`, of disk with `enqueue`. */
  readonly queueMib?: number
  /** With `enqueue`: for how long it may wait. */
  readonly queueAgeMs?: number
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

export interface StateOptions {
  /** Time to live in whole milliseconds, from this write on by the platform's clock; default: for ever. */
  readonly ttlMs?: number
}

/** The state operations, scoped to (function, partition of the current record or timer). */
export interface State {
  /** The bytes stored under `key`, a copy of one's own, or undefined. */
  getState(key: Data): Uint8Array | undefined
  /** Stores bytes, or text as UTF-8. Undone if the callback throws. */
  setState(key: Data, value: Data, options?: StateOptions): void
  /** @returns Whether there was something to delete. */
  deleteState(key: Data): boolean
  /** `getState` parsed as JSON. */
  getJson<T = unknown>(key: Data): T | undefined
  /** `setState` of a value's JSON. */
  setJson(key: Data, value: unknown, options?: StateOptions): void
  /**
   * The keys of the current partition, copies, in no order: those of `setState`, or those that have a counter.
   * The callback may set and delete while it goes through them: a key that is there all the time comes up once, one
   * that is deleted before its turn does not, one that is new may.
   */
  keys(of?: 'state' | 'counter'): IterableIterator<Uint8Array>
  /** The same as text. */
  keyTexts(of?: 'state' | 'counter'): IterableIterator<string>
  /** A number under `key`, apart from what `getState` has there. It lives `ttlMs` from its last change. */
  counter(key: Data, options?: StateOptions): Counter
  /** What `getJson` and `setJson` have under `key`, with a type. */
  value<T>(key: Data, options?: StateOptions): Value<T>
  /** A list under `key`, apart from what `getState` has there. */
  list<T>(key: Data, options?: ListOptions): List<T>
  /** Sums by time, or by any other number that grows. A key has windows of one shape. */
  windows(key: Data, shape: WindowShape): Windows
}

export interface Counter {
  /** 0 if there is none. */
  get(): number
  /** Adds 1, or `by`. @returns What it is now. */
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
  /** Most items: `push` drops the oldest beyond. */
  readonly max?: number
}

/** Items as JSON, each an entry of its own: `push` and `shift` cost the same however long it is. */
export interface List<T> {
  readonly length: number
  /** Adds an item at the end; it lives `ttlMs`. @returns How many there are now. */
  push(item: T): number
  /** Takes the oldest out. */
  shift(): T | undefined
  /** The item at an index, from 0, the oldest; or from the end if it is negative. */
  at(index: number): T | undefined
  /** All of them, the oldest first. */
  items(): T[]
  clear(): void
}

/**
 * Windows of `size`, one beginning at every multiple of `every`: tumbling if they are equal (the default), else
 * sliding. In milliseconds for time, in records for counts.
 */
export interface WindowShape extends StateOptions {
  readonly size: number
  /** Divides `size`. */
  readonly every?: number
}

/** A window is named by where it begins: it holds what lies from there on, below `start + size`. */
export interface Windows {
  /** The windows that hold `at`, the earliest first. */
  of(at: number): number[]
  /** Adds 1, or `by`, to all windows that hold `at`, in one write. @returns The sum of what is within `every` around it. */
  add(at: number, by?: number): number
  /** What was added to the window that begins at `start`. */
  sum(start: number): number
  /** The same, and forgets what no later window holds. Windows are closed in their order. */
  close(start: number): number
}

/**
 * Figures of the author's own: shown by `concord fn inspect`, and for Prometheus on the runner's /metrics. What a callback
 * counts is counted when it returns, and not at all if it throws. An instance has at most 64 names.
 */
export interface Metrics {
  /** Adds 1, or `by`, to a count. @throws {Error} If `by` is below 0, or the name is not one. */
  count(name: string, by?: number): void
  /** Takes a value into a distribution: its count, sum, least, greatest and quantiles are shown. */
  observe(name: string, value: number): void
}

/** The bytes of a file that is deployed beside the code: the same for all instances in a runner, to be read and never written. */
export interface Asset extends Uint8Array {
  /** The bytes as UTF-8 text, made anew each time. */
  text(): string
  /** The bytes parsed as JSON, anew each time. @throws {SyntaxError} */
  json<T = unknown>(): T
}

/** What a callback may do. Valid only while a callback runs. */
export interface Context extends State {
  readonly metrics: Metrics
  readonly function: string
  readonly version: number
  /** Index of this instance, from 0. */
  readonly instance: number
  /** The manifest's `env`. */
  readonly env: Readonly<Record<string, string>>
  /** The manifest's `args` (the original's executable_arguments). */
  readonly args: readonly string[]
  /**
   * A file of this version, by its name (`concord asset push`, or the folder assets/ of the project): a model, a list, a table.
   * It stays valid for as long as the instance lives.
   * @throws {Error} If the version has none of that name.
   */
  asset(name: string): Asset
  /** The platform's clock, milliseconds since 1970; the same all through a batch, like Date.now(). */
  nowMs(): number
  /**
   * Sends a record. It leaves when the callback has returned, and not at all if it throws (I3).
   * @throws {Error} If `stream` is not among the ostreams, or the record is too large.
   */
  produceRecord(stream: string, key: Data, value: Data, options?: ProduceOptions): void
  /**
   * Calls `processTimer(ctx, key, timeMs)` once, at `timeMs` or soon after. A timer is the pair (key, timeMs):
   * setting it twice calls once. A time in the past is due at once. The key is text: `record.keyText()` is the record's.
   */
  setTimer(key: string, timeMs: number): void
  /** @returns Whether there was such a timer. */
  deleteTimer(key: string, timeMs: number): boolean
}

/** The context of `init` and `destroy`, where no partition is current: no state, no timers. */
export interface LifecycleContext
  extends Pick<Context, 'function' | 'version' | 'instance' | 'env' | 'args' | 'asset' | 'nowMs'> {
  /**
   * In `init`: the version that runs beside this one and that it will take over from, between two batches, with state and
   * timers as they are then (the same version, if only its isolate is renewed). Undefined where it starts by itself.
   */
  readonly replaces?: number | undefined
}

/** An entry of state in the shape of an earlier version, under the eyes of `migrate`. */
export interface Migration
  extends Pick<Context, 'function' | 'version' | 'instance' | 'env' | 'args' | 'asset' | 'nowMs'> {
  /** What `setState`, `setJson` or `value` stored, or an item of a `list`. Counters and windows are numbers and come along by themselves. */
  readonly kind: 'state' | 'list'
  readonly key: Uint8Array
  readonly value: Uint8Array
  /** The key as UTF-8 text. */
  keyText(): string
  /** The value as UTF-8 text. */
  text(): string
  /** The value parsed as JSON. @throws {SyntaxError} */
  json<T = unknown>(): T
  /** What it is from now on: bytes, or text as UTF-8. Its time to live goes on. If nothing is said it stays as it is. */
  set(value: Data): void
  /** The same of a value's JSON. */
  setJson(value: unknown): void
  /** It is gone from now on. */
  delete(): void
}

/** Formats of a function's state: each is named by the version that began it. */
export interface StateFormat {
  /** Of what the version writes. */
  readonly own: number
  /** Of what must stay readable as it was: of the version that may have to go on. */
  readonly kept: number
}

export interface FunctionDefinition {
  readonly metadata: Metadata
  init?(ctx: LifecycleContext): void | Promise<void>
  processRecord?(ctx: Context, record: StreamRecord): void | Promise<void>
  processTimer?(ctx: Context, key: string, timeMs: number): void | Promise<void>
  /**
   * Rewrites one entry of state that an earlier version wrote, when it is first touched. A version that has it keeps its state
   * in a shape of its own; one without goes on in that of the version before. If it throws, so does the operation on state.
   * @param fromVersion The version that began the shape that the entry has: the latest one with a `migrate`, or 1.
   */
  migrate?(ctx: Migration, fromVersion: number): void
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
