/**
 * Intervals: a set of integers as sorted, disjoint ranges [from, to) that never touch. Adding at the end, by far the
 * most frequent case, needs no search.
 * @module
 */

export type Interval = readonly [from: number, to: number]

export class Intervals {
  #ranges: [number, number][] = []

  constructor(ranges: Iterable<Interval> = []) {
    for (const [from, to] of ranges) this.add(from, to)
  }

  get ranges(): readonly Interval[] {
    return this.#ranges
  }

  get size(): number {
    return this.#ranges.reduce((sum, [from, to]) => sum + to - from, 0)
  }

  /** One past the highest; 0 if empty. */
  get end(): number {
    return this.#ranges.at(-1)?.[1] ?? 0
  }

  /** Adds [from, to). @returns The parts that were in it before. */
  add(from: number, to: number): readonly Interval[] {
    if (to <= from) return []
    const last = this.#ranges.at(-1)
    if (last === undefined || from > last[1]) {
      this.#ranges.push([from, to])
      return []
    }
    if (from === last[1]) {
      last[1] = to
      return []
    }
    return this.#merge(from, to)
  }

  has(number: number): boolean {
    return this.hasAny(number, number + 1)
  }

  /** Whether a number of [from, to) is in it. */
  hasAny(from: number, to: number): boolean {
    const at = this.#firstEndingFrom(from + 1)
    return from < to && at < this.#ranges.length && this.#ranges[at]![0] < to
  }

  /** The parts of [from, to) that are in it. */
  within(from: number, to: number): Interval[] {
    const parts: Interval[] = []
    for (let i = this.#firstEndingFrom(from + 1); i < this.#ranges.length && this.#ranges[i]![0] < to; i++)
      parts.push([Math.max(from, this.#ranges[i]![0]), Math.min(to, this.#ranges[i]![1])])
    return parts
  }

  /** The parts of [from, to) that are not in it. */
  missing(from: number, to: number): Interval[] {
    const parts: Interval[] = []
    let at = from
    for (const [start, end] of this.within(from, to)) {
      if (start > at) parts.push([at, start])
      at = end
    }
    if (at < to) parts.push([at, to])
    return parts
  }

  /** What is in it and not in `other`. */
  minus(other: Intervals): Interval[] {
    return this.#ranges.flatMap(([from, to]) => other.missing(from, to))
  }

  /** What is in both. */
  and(other: Intervals): Interval[] {
    return this.#ranges.flatMap(([from, to]) => other.within(from, to))
  }

  #merge(from: number, to: number): readonly Interval[] {
    const first = this.#firstEndingFrom(from)
    let after = first
    while (after < this.#ranges.length && this.#ranges[after]![0] <= to) after += 1
    const touched = this.#ranges.slice(first, after)
    const merged: [number, number] = [
      Math.min(from, touched[0]?.[0] ?? from),
      Math.max(to, touched.at(-1)?.[1] ?? to),
    ]
    this.#ranges.splice(first, after - first, merged)
    return touched
      .map(([start, end]): Interval => [Math.max(from, start), Math.min(to, end)])
      .filter(([start, end]) => end > start)
  }

  /** Index of the first range whose end is at or beyond `number`. */
  #firstEndingFrom(number: number): number {
    return firstIndex(this.#ranges, ([, end]) => end >= number)
  }
}

/** Index of the first item of which something holds, where it holds of all behind it too; the length if of none. */
export function firstIndex<T>(items: readonly T[], holds: (item: T) => boolean): number {
  let low = 0
  let high = items.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (holds(items[middle]!)) high = middle
    else low = middle + 1
  }
  return low
}
