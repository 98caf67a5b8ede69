/**
 * Forecast: learns how demand changes over the day and the week, and predicts it.
 *
 *   FC1. A prediction comes from the same time of the week, else from the same time of day; else there is none.
 *   FC2. What is learned has a fixed size: `weekBins` numbers for the week, and `dayBins` for the day.
 * Design: docs/design/0025-autoscaling.md
 * @module
 */

const dayBins = 100
const daysAWeek = 7
const weekBins = dayBins * daysAWeek
/** The weight of the latest measurement. */
const weight = 0.4
/** How far today may differ from what was learned. */
const scaleMax = 2

/** As it is stored. A bin without data is -1. */
export interface LearnedShape {
  readonly dayMs: number
  readonly day: readonly number[]
  readonly week: readonly number[]
}

export class Forecast {
  readonly dayMs: number
  readonly #day: number[]
  readonly #week: number[]
  #open: { bin: number; sum: number; count: number } | undefined

  constructor(dayMs: number, learned?: LearnedShape) {
    const known = learned?.dayMs === dayMs ? learned : undefined
    this.dayMs = dayMs
    this.#day = [...(known?.day ?? new Array<number>(dayBins).fill(-1))]
    this.#week = [...(known?.week ?? new Array<number>(weekBins).fill(-1))]
  }

  /** Adds a measurement. @returns True when something was learned, because a bin was completed. */
  see(atMs: number, demand: number): boolean {
    const bin = this.#binOf(atMs)
    const open = this.#open
    if (open?.bin === bin) {
      open.sum += demand
      open.count += 1
      return false
    }
    this.#open = { bin, sum: demand, count: 1 }
    if (open === undefined) return false
    const mean = open.sum / open.count
    this.#week[open.bin] = learn(this.#week[open.bin]!, mean)
    this.#day[open.bin % dayBins] = learn(this.#day[open.bin % dayBins]!, mean)
    return true
  }

  /** The maximum expected until then; undefined: nothing is known about that time. */
  until(nowMs: number, aheadMs: number): number | undefined {
    const from = Math.floor(nowMs / this.#binMs)
    const to = Math.floor((nowMs + aheadMs) / this.#binMs)
    let most: number | undefined
    for (let bin = from; bin <= to; bin++) {
      const expected = this.#learned(bin % weekBins)
      if (expected !== undefined) most = Math.max(most ?? 0, expected)
    }
    return most === undefined ? undefined : most * this.#today(nowMs)
  }

  get learned(): LearnedShape {
    const round = (value: number): number => Math.round(value * 100) / 100
    return { dayMs: this.dayMs, day: this.#day.map(round), week: this.#week.map(round) }
  }

  /** How today compares with what was learned, as a ratio. */
  #today(nowMs: number): number {
    const open = this.#open
    const bin = this.#binOf(nowMs)
    const expected = this.#learned(bin)
    if (open === undefined || open.bin !== bin || open.count < 3 || expected === undefined || expected <= 0)
      return 1
    return Math.min(scaleMax, Math.max(1 / scaleMax, open.sum / open.count / expected))
  }

  #learned(bin: number): number | undefined {
    const ofWeek = this.#week[bin]!
    const found = ofWeek >= 0 ? ofWeek : this.#day[bin % dayBins]!
    return found >= 0 ? found : undefined
  }

  get #binMs(): number {
    return this.dayMs / dayBins
  }

  #binOf(atMs: number): number {
    return Math.floor(atMs / this.#binMs) % weekBins
  }
}

function learn(before: number, seen: number): number {
  return before < 0 ? seen : before + weight * (seen - before)
}
