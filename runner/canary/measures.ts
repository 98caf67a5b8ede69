/**
 * Measures: what a canary is judged by, counted as batches go by.
 *
 * A call of either version costs something by itself: it walks the whole batch. Of the version before there are two calls of
 * different size on each batch, the control's and that of the rest of the keys; from both follows what a call and what a
 * record costs. So a canary that happens to have few records is not taken for a slow one.
 * Design: docs/design/0026-rollouts.md
 * @module
 */
import { bucketsPerSide, type CanaryEvidence, type CanarySide } from '../../sdk/canary.ts'
import type { KeyShare } from '../../sdk/key-share.ts'

export type Side = 'canary' | 'control' | 'rest'

/** How long a window is at least, and what it has to hold of either side. */
const windowMs = 200
const windowRecords = 20
const windowCalls = 4
/** Windows whose times are kept, to show the slowest of. */
const windowsKept = 500

interface Calls {
  calls: number
  records: number
  ms: number
}

interface Sums {
  records: number
  errors: number
  outputs: number
  ms: number
  readonly buckets: [number, number, number, number][]
}

export class Measures {
  readonly #maxSlowdown: number
  readonly #nowMs: () => number
  readonly #canary = noSums()
  readonly #control = noSums()
  #window = noCalls()
  #windowSinceMs: number
  #windows = 0
  #slower = 0
  readonly #canaryUs: number[] = []
  readonly #controlUs: number[] = []
  #example: string | undefined

  constructor(maxSlowdown: number, nowMs: () => number) {
    this.#maxSlowdown = maxSlowdown
    this.#nowMs = nowMs
    this.#windowSinceMs = nowMs()
  }

  /** A record of a side is done. */
  record(side: 'canary' | 'control', bucket: number, outputs: number, metric: number, values: number): void {
    const sums = this.#of(side)
    sums.records += 1
    sums.outputs += outputs
    const counts = sums.buckets[bucket]!
    counts[0] += 1
    counts[1] += outputs
    counts[2] += metric
    counts[3] += values
  }

  /** What counts against a side. */
  error(side: 'canary' | 'control', example?: string): void {
    this.#of(side).errors += 1
    if (side === 'canary') this.#example ??= example
  }

  /** A call that had so many records of its own. */
  call(side: Side, records: number, ms: number): void {
    const calls = this.#window[side]
    calls.calls += 1
    calls.records += records
    calls.ms += ms
    if (side === 'canary') this.#close()
  }

  evidence(): CanaryEvidence {
    return {
      canary: sideOf(this.#canary),
      control: sideOf(this.#control),
      windows: this.#windows,
      slower: this.#slower,
      canaryP99Us: p99(this.#canaryUs),
      controlP99Us: p99(this.#controlUs),
      ...(this.#example === undefined ? {} : { example: this.#example }),
    }
  }

  #of(side: 'canary' | 'control'): Sums {
    return side === 'canary' ? this.#canary : this.#control
  }

  /** Compares the two sides, if there is enough of both. */
  #close(): void {
    const { canary, control, rest } = this.#window
    const isFull = (calls: Calls): boolean => calls.calls >= windowCalls && calls.records >= windowRecords
    if (this.#nowMs() - this.#windowSinceMs < windowMs || !isFull(canary) || !isFull(control)) return
    this.#window = noCalls()
    this.#windowSinceMs = this.#nowMs()
    const [newMs, oldMs] = msPerRecord(canary, control, rest)
    // As much time as a call costs by itself tells nothing of the version.
    if (!(newMs > 0 && oldMs > 0)) return
    this.#windows += 1
    if (newMs > this.#maxSlowdown * oldMs) this.#slower += 1
    this.#canary.ms += newMs * canary.records
    this.#control.ms += oldMs * control.records
    keep(this.#canaryUs, newMs * 1000)
    keep(this.#controlUs, oldMs * 1000)
  }
}

/** What a record costs the canary and the version before, without what a call costs. */
export function msPerRecord(canary: Calls, control: Calls, rest: Calls): readonly [number, number] {
  const more = rest.records / Math.max(1, rest.calls) - control.records / control.calls
  const perCall = (calls: Calls): number => calls.ms / calls.calls
  // About as many in both: nothing follows, and nothing has to.
  if (rest.calls === 0 || more < control.records / control.calls / 4)
    return [canary.ms / canary.records, control.ms / control.records]
  const old = (perCall(rest) - perCall(control)) / more
  const call = Math.max(0, perCall(control) - old * (control.records / control.calls))
  return [(perCall(canary) - call) / (canary.records / canary.calls), old]
}

export function bucketOf(point: number, { from, to }: KeyShare): number {
  return Math.floor(((point - from) * bucketsPerSide) / (to - from))
}

function keep(values: number[], value: number): void {
  if (values.push(value) > windowsKept) values.shift()
}

function p99(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.ceil(sorted.length * 0.99) - 1] ?? 0
}

function noSums(): Sums {
  const buckets = Array.from({ length: bucketsPerSide }, (): [number, number, number, number] => [0, 0, 0, 0])
  return { records: 0, errors: 0, outputs: 0, ms: 0, buckets }
}

function noCalls(): Record<Side, Calls> {
  const none = (): Calls => ({ calls: 0, records: 0, ms: 0 })
  return { canary: none(), control: none(), rest: none() }
}

function sideOf({ buckets, ...sums }: Sums): CanarySide {
  return { ...sums, buckets: buckets.map((counts) => [...counts] as const) }
}
