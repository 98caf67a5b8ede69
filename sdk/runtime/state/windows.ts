/**
 * StateWindows: sums by time, or by another number that only grows.
 * @module
 */
import type { Data, WindowShape, Windows } from '../../function.ts'
import { type Part, partKind } from '../arena/index.ts'
import { badArgument, checkedNumber, type Ground, Shaped } from './shaped.ts'

const { floor } = Math

const bucketAt = (number: number): Part => ({ kind: partKind.window, number })

/**
 * The width of a bucket is the distance between two windows: a value belongs to one bucket, and a window is the sum
 * of some.
 */
export class StateWindows extends Shaped<WindowShape> implements Windows {
  readonly #size: number
  readonly #every: number

  constructor(ground: Ground, key: Data, shape: WindowShape) {
    super(ground, key, shape)
    const { size, every = size } = shape
    if (!(size > 0 && every > 0 && size % every === 0 && size < Number.POSITIVE_INFINITY))
      throw badArgument(
        `Cannot make windows of size ${String(size)}, one every ${String(every)}: expected numbers above 0, the first a multiple of the second`,
      )
    this.#size = size
    this.#every = every
  }

  of(at: number): number[] {
    const last = this.#bucket(at)
    const starts: number[] = []
    for (let start = last - this.#size + this.#every; start <= last; start += this.#every) starts.push(start)
    return starts
  }

  add(at: number, by = 1): number {
    const part = bucketAt(this.#bucket(at))
    const number = checkedNumber('add to windows', by)
    return this.state('add to windows').addNumber(this.key, number, this.expiry(), part)
  }

  sum(start: number): number {
    const state = this.state('read windows')
    let sum = 0
    for (let at = this.#bucket(start); at < start + this.#size; at += this.#every)
      sum += state.getNumber(this.key, bucketAt(at)) ?? 0
    return sum
  }

  close(start: number): number {
    const sum = this.sum(start)
    this.state('close a window').delete(this.key, bucketAt(this.#bucket(start)))
    return sum
  }

  #bucket(at: number): number {
    return floor(checkedNumber('find a window', at) / this.#every) * this.#every
  }
}
