/**
 * StateWindows: sums by time, or by another number that only grows.
 *
 * The numbers lie in buckets as long as the distance between two windows, so a value belongs to one bucket, and a window is the sum
 * of some. The buckets are those of the key: windows of any size are ways to look at them.
 *
 *   SW1. A bucket is named by its start, `index * every`, computed in one way only: sums of fractions would miss it.
 *   SW2. A bucket knows how many buckets the longest window has that has added to it or summed it. Only windows of at least that
 *        length delete it.
 * @module
 */
import type { Data, WindowShape, Windows } from '../../function.ts'
import { type Part, partKind } from '../arena/index.ts'
import { badArgument, checkedNumber, type Ground, Shaped } from './shaped.ts'

const { floor, min } = Math
/** A mark is a whole number of 31 bits. */
const markMax = 2 ** 31 - 1

export class StateWindows extends Shaped<WindowShape> implements Windows {
  readonly #every: number
  /** How many buckets a window has. */
  readonly #length: number
  readonly #mark: number

  constructor(ground: Ground, key: Data, shape: WindowShape) {
    super(ground, key, shape)
    const { size, every = size } = shape
    if (!(size > 0 && every > 0 && size % every === 0 && size < Number.POSITIVE_INFINITY))
      throw badArgument(
        `Cannot make windows of size ${String(size)}, one every ${String(every)}: expected numbers above 0, the first a multiple of the second`,
      )
    this.#every = every
    this.#length = size / every
    this.#mark = min(this.#length, markMax)
  }

  of(at: number): number[] {
    const last = this.#indexOf(at)
    return this.#starts(last - this.#length + 1, last)
  }

  ended(since: number, until: number): number[] {
    const last = this.#indexOf(since)
    return this.#starts(last - this.#length + 1, min(last, this.#indexOf(until) - this.#length))
  }

  add(at: number, by = 1): number {
    const part = this.#bucket(this.#indexOf(at))
    const number = checkedNumber('add to windows', by)
    return this.state('add to windows').addMarked(this.key, number, this.#mark, this.expiry(), part)
  }

  sum(start: number): number {
    return this.#sum(this.#startIndex('sum', start))
  }

  sumUntil(at: number): number {
    return this.#sum(this.#indexOf(at) - this.#length + 1)
  }

  close(start: number): number {
    const first = this.#startIndex('close', start)
    const sum = this.#sum(first)
    const state = this.state('close a window')
    const bucket = this.#bucket(first)
    if (state.markOf(this.key, bucket) <= this.#mark) state.delete(this.key, bucket)
    return sum
  }

  #sum(first: number): number {
    const state = this.state('read windows')
    let sum = 0
    for (let index = first; index < first + this.#length; index++)
      sum += state.getMarked(this.key, this.#mark, this.#bucket(index)) ?? 0
    return sum
  }

  #starts(first: number, last: number): number[] {
    const starts: number[] = []
    for (let index = first; index <= last; index++) starts.push(index * this.#every)
    return starts
  }

  #bucket(index: number): Part {
    return { kind: partKind.window, number: index * this.#every }
  }

  #indexOf(at: number): number {
    return floor(checkedNumber('find a window', at) / this.#every)
  }

  /** @throws {CodedError} ERR_ARGUMENT if no window starts there: its sum would have a bucket too many. */
  #startIndex(attempted: string, start: number): number {
    const before = this.#indexOf(start)
    const every = this.#every
    if (before * every === start) return before
    if ((before + 1) * every === start) return before + 1
    throw badArgument(
      `Cannot ${attempted} the window that starts at ${start}: they start at multiples of ${every}, the nearest are ${before * every} and ${(before + 1) * every}; the sum of what is latest at a time is sumUntil(time)`,
    )
  }
}
