/**
 * Findings: the sums of a comparison of a version with the working one; differences are handed on to be stored.
 * @module
 */
import {
  examplesMax,
  noShadowEvidence,
  type ShadowDifference,
  type ShadowEvidence,
  type ShadowSide,
} from '../../sdk/versions/shadow.ts'
import type { Made } from './compare.ts'

/** How many calls the 99th percentile of times is of. */
const timesKept = 1_000
/** Characters of a text in an example; examples are part of each heartbeat. */
const exampleText = 200
const exampleOutputs = 4

export interface FindingsOptions {
  /** Most differences that are handed on. */
  readonly listedMax: number
  /** Takes a difference. @returns False if it has no room for it. */
  readonly list: (difference: ShadowDifference) => boolean
}

type Sums = { -readonly [Key in keyof ShadowEvidence]: ShadowEvidence[Key] }

export class Findings {
  readonly #options: FindingsOptions
  readonly #sums: Sums = noShadowEvidence()
  readonly #liveUs: number[] = []
  readonly #shadowUs: number[] = []

  constructor(options: FindingsOptions) {
    this.#options = options
  }

  get compared(): number {
    return this.#sums.compared
  }

  /** The times of both for the timed records so far. */
  get tookMs(): ShadowEvidence['ms'] {
    return { ...this.#sums.ms }
  }

  /** Counts records that the working version has finished. */
  given(records: number): void {
    this.#sums.records += records
  }

  missed(why: keyof ShadowEvidence['missed'], records: number): void {
    this.#sums.missed[why] += records
  }

  /** Counts a record that both have finished. */
  record(live: Made, shadow: Made): void {
    const sums = this.#sums
    sums.compared += 1
    sums.outputs.live += live.outputs.length
    sums.outputs.shadow += shadow.outputs.length
    if (!live.failed && !shadow.failed) return
    if (live.failed && shadow.failed) sums.failed.both += 1
    else sums.failed[live.failed ? 'live' : 'shadow'] += 1
  }

  /** Counts a record whose results differ. */
  differs(describe: () => ShadowDifference): void {
    this.#sums.different += 1
    this.#list(describe)
  }

  timers(same: boolean, describe: () => ShadowDifference): void {
    const { timers } = this.#sums
    timers.compared += 1
    if (same) return
    timers.different += 1
    this.#list(describe)
  }

  /** Adds the times of both for a call. */
  timed(records: number, liveMs: number, shadowMs: number): void {
    if (records === 0) return
    const sums = this.#sums
    sums.timed += records
    sums.ms.live += liveMs
    sums.ms.shadow += shadowMs
    keep(this.#liveUs, (liveMs / records) * 1000)
    keep(this.#shadowUs, (shadowMs / records) * 1000)
  }

  evidence(): ShadowEvidence {
    const { missed, timers, failed, outputs, ms, examples, ...counts } = this.#sums
    return {
      ...counts,
      ...{ missed: { ...missed }, timers: { ...timers }, failed: { ...failed }, outputs: { ...outputs } },
      ms: { ...ms },
      p99Us: { live: p99(this.#liveUs), shadow: p99(this.#shadowUs) },
      examples: [...examples],
    }
  }

  #list(describe: () => ShadowDifference): void {
    const { listed, examples } = this.#sums
    if (listed >= this.#options.listedMax && examples.length >= examplesMax) return
    const difference = describe()
    if (examples.length < examplesMax) examples.push(exampleOf(difference))
    if (listed < this.#options.listedMax && this.#options.list(difference)) this.#sums.listed += 1
  }
}

function exampleOf({ live, shadow, ...rest }: ShadowDifference): ShadowDifference {
  const side = ({ outputs, ...more }: ShadowSide): ShadowSide => ({
    outputs: outputs.slice(0, exampleOutputs).map(shortened),
    ...shortened(more),
  })
  return { ...shortened(rest), live: side(live), shadow: side(shadow) }
}

function shortened<T extends object>(of: T): T {
  return Object.fromEntries(
    Object.entries(of).map(([field, value]: [string, unknown]) => [
      field,
      typeof value === 'string' && value.length > exampleText ? `${value.slice(0, exampleText)}…` : value,
    ]),
  ) as T
}

function keep(values: number[], value: number): void {
  if (values.push(value) > timesKept) values.shift()
}

function p99(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length * 0.99)] ?? 0
}
