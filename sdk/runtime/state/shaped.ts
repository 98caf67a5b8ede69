/**
 * Shaped: what counters, values, lists and windows have in common: a name in the current partition, a time to live, and the checks
 * of what they are given.
 * @module
 */
import type { Data, StateOptions } from '../../function.ts'
import type { KeyedState } from '../arena/keyed-state.ts'
import { runtimeError } from '../errors.ts'

/** The current state and time. Read at each use, because the callback may be over. */
export interface Ground {
  state(attempted: string): KeyedState
  readonly nowMs: number
}

/** When an entry written now expires. @throws {CodedError} ERR_ARGUMENT */
export function expiryOf(ground: Ground, { ttlMs }: StateOptions): number | undefined {
  if (ttlMs === undefined) return undefined
  if (!Number.isSafeInteger(ttlMs) || ttlMs < 1)
    throw badArgument(`Cannot set state: its ttlMs is ${String(ttlMs)}, not whole milliseconds from 1 on`)
  return ground.nowMs + ttlMs
}

export abstract class Shaped<Options extends StateOptions> {
  readonly #ground: Ground
  protected readonly key: Data
  protected readonly options: Options

  constructor(ground: Ground, key: Data, options: Options) {
    this.#ground = ground
    this.key = key
    this.options = options
  }

  protected state(attempted: string): KeyedState {
    return this.#ground.state(attempted)
  }

  protected expiry(): number | undefined {
    return expiryOf(this.#ground, this.options)
  }
}

export function checkedNumber(attempted: string, number: unknown): number {
  if (typeof number !== 'number' || !Number.isFinite(number))
    throw badArgument(`Cannot ${attempted}: ${String(number)} is not a finite number`)
  return number
}

export function badArgument(message: string): Error {
  return runtimeError('ERR_ARGUMENT', message)
}
