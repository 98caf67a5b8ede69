/**
 * Scope: what one callback may use, and the contexts through which it does.
 *
 * A synchronous function gets the same context for all of its callbacks. An asynchronous callback keeps its context
 * to the end, and the next callback gets another one: so code that it left running cannot affect a later record (I3).
 * @module
 */
import type {
  Asset,
  Context,
  Counter,
  Data,
  Kept,
  LifecycleContext,
  List,
  ListOptions,
  Metrics,
  ProduceOptions,
  StateOptions,
  Value,
  WindowShape,
  Windows,
} from '../../function.ts'
import { partKind } from '../arena/index.ts'
import type { KeyedState } from '../arena/keyed-state.ts'
import { runtimeError } from '../errors.ts'
import type { OutcomeWriter, OutputStream } from '../outcome/outcome-writer.ts'
import { isFiniteNumber } from '../realm/primordials.ts'
import { utf8Read } from '../realm/utf8.ts'
import type { Cursor } from '../records/record.ts'
import type { Timer } from '../shared/timer-at-hand.ts'
import { jsonOf } from '../state/json-form.ts'
import { expiryOf, type Ground } from '../state/shaped.ts'
import type { Timers } from '../state/timers.ts'
import { StateCounter, StateList, StateValue } from '../state/typed-state.ts'
import { StateWindows } from '../state/windows.ts'
import type { Seam } from './seam.ts'

/** What all callbacks of an instance share. */
export interface CallbackServices {
  readonly seam: Seam
  readonly writer: OutcomeWriter
  readonly timers: Timers
  /** The streams that the function may write to. */
  streams: ReadonlyMap<string, OutputStream>
  /** The state of a partition. */
  stateOf(partition: number): KeyedState
  readonly takesTimers: boolean
}

export class Scope {
  readonly services: CallbackServices
  readonly cursor: Cursor
  /** False after the end of the callback. */
  live = false
  partition = 0
  /** The current timer; undefined for a record. */
  timer: Timer | undefined
  /** Distinguishes a callback from the next one with the same scope. */
  turn = 0
  /** What typed state needs. */
  readonly ground: Ground
  #state: KeyedState | undefined
  /** The stream written last, and the table that contains it. */
  #stream: OutputStream | undefined
  #streams: ReadonlyMap<string, OutputStream> | undefined

  constructor(services: CallbackServices, cursor: Cursor) {
    this.services = services
    this.cursor = cursor
    this.ground = {
      state: (attempted) => live(this, attempted).state,
      get nowMs() {
        return services.seam.nowMs
      },
    }
  }

  get timeMs(): number {
    return this.timer === undefined ? this.cursor.timeMs : this.timer.timeMs
  }

  get state(): KeyedState {
    this.#state ??= this.services.stateOf(this.partition)
    return this.#state
  }

  stream(name: string): OutputStream {
    const { streams } = this.services
    if (this.#stream?.name === name && this.#streams === streams) return this.#stream
    const stream = streams.get(name)
    if (stream === undefined) throw unknownStream(name, streams)
    this.#stream = stream
    this.#streams = streams
    return stream
  }

  /** Prepares the next callback: for this timer, which was removed from its partition's state, or for a record. */
  take(timer: Timer | undefined): void {
    this.timer = timer
    if (timer === undefined) return
    this.partition = timer.partition
    this.#state = this.services.stateOf(timer.partition)
  }

  /** After a rollback: removes the current timer again, if there is one. */
  retake(): void {
    if (this.timer !== undefined) this.state.timers.delete(this.timer.key, this.timer.timeMs)
  }

  /** Commits what the callback did to state and timers. */
  commit(): void {
    this.#state?.commit()
    this.#over()
  }

  /** Undoes what the callback did to state and timers. */
  rollback(): void {
    this.#state?.rollback()
    this.#over()
  }

  #over(): void {
    this.#state = undefined
    this.turn++
  }
}

function unknownStream(name: string, streams: ReadonlyMap<string, OutputStream>): Error {
  const known = [...streams.keys()].map((known) => `'${known}'`)
  const has = known.length === 0 ? 'it has none' : `they are ${known.join(', ')}`
  return runtimeError(
    'ERR_STREAM_UNKNOWN',
    `Cannot produce to '${String(name)}': it is not among metadata.ostreams; ${has}`,
  )
}

/** The context of `init` and `destroy`. */
export class Lifecycle implements LifecycleContext {
  readonly function: string
  readonly version: number
  readonly instance: number
  readonly env: Readonly<Record<string, string>>
  readonly args: readonly string[]
  readonly replaces: number | undefined
  readonly #seam: Seam

  constructor(seam: Seam) {
    this.#seam = seam
    this.function = seam.function
    this.version = seam.version
    this.instance = seam.instance
    this.env = seam.env
    this.args = seam.args
    this.replaces = seam.replaces
  }

  asset(name: string): Asset {
    return this.#seam.asset(name)
  }

  nowMs(): number {
    return this.#seam.nowMs
  }
}

/** The context of `processRecord` and `processTimer`. */
export class FunctionContext extends Lifecycle implements Context {
  readonly metrics: Metrics
  readonly #scope: Scope

  constructor(scope: Scope) {
    super(scope.services.seam)
    this.#scope = scope
    this.metrics = new ScopeMetrics(scope)
  }

  produceRecord(stream: string, key: Data, value: Data, options?: ProduceOptions): void {
    const scope = live(this.#scope, 'produce a record')
    const output = scope.stream(stream)
    if (options === undefined) {
      scope.services.writer.output(output, key, value, scope.timeMs, undefined)
      return
    }
    const { timeMs = scope.timeMs, partition } = options
    if (!Number.isSafeInteger(timeMs)) {
      throw runtimeError(
        'ERR_ARGUMENT',
        `Cannot produce to '${stream}': its timeMs is ${String(timeMs)}, not whole milliseconds`,
      )
    }
    if (
      partition !== undefined &&
      !(Number.isInteger(partition) && partition >= 0 && partition < output.partitions)
    ) {
      throw runtimeError(
        'ERR_PARTITION_UNKNOWN',
        `Cannot produce to partition ${String(partition)} of '${stream}': it has 0 to ${output.partitions - 1}`,
      )
    }
    scope.services.writer.output(output, key, value, timeMs, partition)
  }

  getState(key: Data): Uint8Array | undefined {
    return live(this.#scope, 'get state').state.get(key)
  }

  setState(key: Data, value: Data, options?: StateOptions): void {
    const { state, ground } = live(this.#scope, 'set state')
    if (options === undefined) state.set(key, value)
    else state.set(key, value, expiryOf(ground, options))
  }

  deleteState(key: Data): boolean {
    return live(this.#scope, 'delete state').state.delete(key)
  }

  getJson<T = unknown>(key: Data): T | undefined {
    return live(this.#scope, 'get state').state.getJson(key) as T | undefined
  }

  setJson(key: Data, value: unknown, options?: StateOptions): void {
    this.setState(key, jsonOf(value), options)
  }

  keys(of: 'state' | 'counter' = 'state'): IterableIterator<Uint8Array> {
    return new Keys(this.#scope, of, (key) => key)
  }

  keyTexts(of: 'state' | 'counter' = 'state'): IterableIterator<string> {
    return new Keys(this.#scope, of, (key) => utf8Read(key))
  }

  counter(key: Data, options: StateOptions = {}): Counter {
    return new StateCounter(this.#scope.ground, key, options)
  }

  value<T extends Kept<T>>(key: Data, options: StateOptions = {}): Value<T> {
    return new StateValue<T>(this.#scope.ground, key, options)
  }

  list<T extends Kept<T>>(key: Data, options: ListOptions = {}): List<T> {
    return new StateList<T>(this.#scope.ground, key, options)
  }

  windows(key: Data, shape: WindowShape): Windows {
    return new StateWindows(this.#scope.ground, key, shape)
  }

  setTimer(key: string, timeMs: number): void {
    const { services, state } = live(this.#scope, 'set a timer')
    checkTimer('set a timer', key, timeMs)
    if (!services.takesTimers) {
      throw runtimeError('ERR_ARGUMENT', 'Cannot set a timer: the function has no processTimer')
    }
    services.timers.set(state, key, timeMs, services.seam.nowMs)
  }

  deleteTimer(key: string, timeMs: number): boolean {
    const { state } = live(this.#scope, 'delete a timer')
    checkTimer('delete a timer', key, timeMs)
    return state.timers.delete(key, timeMs)
  }
}

class ScopeMetrics implements Metrics {
  readonly #scope: Scope

  constructor(scope: Scope) {
    this.#scope = scope
  }

  count(name: string, by = 1): void {
    const { writer } = live(this.#scope, 'count').services
    if (!(isFiniteNumber(by) && by >= 0)) {
      throw runtimeError(
        'ERR_ARGUMENT',
        `Cannot count '${String(name)}': by ${String(by)}, not a number from 0`,
      )
    }
    writer.metric('count', name, by)
  }

  observe(name: string, value: number): void {
    const { writer } = live(this.#scope, 'observe').services
    if (!isFiniteNumber(value)) {
      throw runtimeError('ERR_ARGUMENT', `Cannot observe '${String(name)}': ${String(value)} is not a number`)
    }
    writer.metric('observe', name, value)
  }
}

/** The keys of a partition, as long as the callback runs that asked for them. */
class Keys<T> implements IterableIterator<T> {
  readonly #scope: Scope
  readonly #turn: number
  readonly #keys: IterableIterator<Uint8Array>
  readonly #form: (key: Uint8Array) => T

  constructor(scope: Scope, of: 'state' | 'counter', form: (key: Uint8Array) => T) {
    this.#scope = live(scope, 'go through keys')
    this.#turn = scope.turn
    this.#keys = scope.state.keys(of === 'counter' ? partKind.counter : 0)
    this.#form = form
  }

  [Symbol.iterator](): this {
    return this
  }

  next(): IteratorResult<T, undefined> {
    if (this.#turn !== this.#scope.turn) throw over('go through keys')
    live(this.#scope, 'go through keys')
    const { done, value } = this.#keys.next()
    return done ? { done, value: undefined } : { done: false, value: this.#form(value) }
  }
}

function over(attempted: string): Error {
  return runtimeError('ERR_CALLBACK_OVER', `Cannot ${attempted}: the callback of this context is over`)
}

function live(scope: Scope, attempted: string): Scope {
  if (!scope.live) throw over(attempted)
  return scope
}

function checkTimer(attempted: string, key: unknown, timeMs: unknown): void {
  if (typeof key !== 'string') {
    const found =
      key instanceof Uint8Array ? 'bytes, not a string: use record.keyText()' : `${typeof key}, not a string`
    throw runtimeError('ERR_ARGUMENT', `Cannot ${attempted}: its key is ${found}`)
  }
  if (!Number.isSafeInteger(timeMs)) {
    throw runtimeError(
      'ERR_ARGUMENT',
      `Cannot ${attempted}: its timeMs is ${String(timeMs)}, not whole milliseconds`,
    )
  }
}
