/**
 * Measures: what a canary is judged by, counted as batches go by.
 *
 * A call of either version costs something by itself: it walks the whole batch. Of the version before there are two calls of
 * different size on each batch, the control's and that of the rest of the keys; from both follows what a call and what a
 * record costs. So a canary that happens to have few records is not taken for a slow one, nor one whose calls are the first of a batch
 * and seldom, and find cold caches and code that is not compiled yet (`coldMs`).
 * Design: docs/design/0026-rollouts.md
 * @module
 */
import { bucketsPerSide, type CanaryEvidence, type CanarySide } from '../../sdk/versions/canary.ts'
import type { KeyShare } from '../../sdk/wire/key-share.ts'
import type { Tally } from './tally.ts'

export type Side = 'canary' | 'control' | 'rest'

/** How long a window is at least, and what it has to hold of either side. */
const windowMs = 200
const windowRecords = 20
const windowCalls = 4
/** What a call of the canary may cost beyond one of the control and not be held against it; 0.04 to 0.1 ms were seen of good ones. */
const coldMs = 0.1
/** Windows whose times are kept, to show the slowest of. */
const windowsKept = 500

/** What so many calls had and took. */
export interface Calls {
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
  /** In the order of the version's manifest: its name, and its outputs by bucket. */
  readonly streams: readonly (readonly [name: string, outputs: number[]])[]
}

export class Measures {
  readonly #maxSlowdown: number
  readonly #nowMs: () => number
  readonly #canary: Sums
  readonly #control: Sums
  #window = noCalls()
  #windowSinceMs: number
  #windows = 0
  #slower = 0
  readonly #canaryUs: number[] = []
  readonly #controlUs: number[] = []
  #example: string | undefined

  /** @param streams Which each version may write to. */
  constructor(
    maxSlowdown: number,
    streams: { readonly canary: readonly string[]; readonly control: readonly string[] },
    nowMs: () => number,
  ) {
    this.#canary = noSums(streams.canary)
    this.#control = noSums(streams.control)
    this.#maxSlowdown = maxSlowdown
    this.#nowMs = nowMs
    this.#windowSinceMs = nowMs()
  }

  /** A record of a side is done. */
  record(side: 'canary' | 'control', bucket: number, { streams, metric, values }: Readonly<Tally>): void {
    const sums = this.#of(side)
    sums.records += 1
    sums.outputs += streams.length
    for (const stream of streams) sums.streams[stream]![1][bucket]! += 1
    const counts = sums.buckets[bucket]!
    counts[0] += 1
    counts[1] += streams.length
    counts[2] += metric
    counts[3] += values
  }

  /** The canary threw at it for good: it has had it, and `record` is told of it only as one of the version before (SB3 of shared-batch.ts). */
  regression(example: string): void {
    this.#canary.records += 1
    this.#canary.errors += 1
    this.#example ??= example
  }

  /** One of the control failed, of which `record` is told as well. */
  controlFailed(): void {
    this.#control.errors += 1
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
    if (!(oldMs > 0)) return // noise
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
  const perCall = ({ ms, calls }: Calls): number => ms / calls
  const size = ({ records, calls }: Calls): number => records / calls
  const more = rest.calls === 0 ? 0 : size(rest) - size(control)
  const isTold = Math.abs(more) >= size(control) / 4
  // About as many in both, and so no telling call from record: what speaks for the canary, if its calls have fewer records.
  const oldMs = isTold
    ? (perCall(rest) - perCall(control)) / more
    : perCall(control) * Math.max(1 / size(canary), 1 / size(control))
  const callMs = isTold ? Math.max(0, perCall(control) - oldMs * size(control)) : 0
  const newMs = Math.max(0, perCall(canary) - callMs) / size(canary)
  return [Math.min(newMs, Math.max(oldMs, newMs - coldMs / size(canary))), oldMs]
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

function noSums(streams: readonly string[]): Sums {
  const buckets = Array.from({ length: bucketsPerSide }, (): [number, number, number, number] => [0, 0, 0, 0])
  const none = (): number[] => new Array<number>(bucketsPerSide).fill(0)
  return {
    ...{ records: 0, errors: 0, outputs: 0, ms: 0, buckets },
    streams: streams.map((name) => [name, none()] as const),
  }
}

function noCalls(): Record<Side, Calls> {
  const none = (): Calls => ({ calls: 0, records: 0, ms: 0 })
  return { canary: none(), control: none(), rest: none() }
}

function sideOf({ buckets, streams, ...sums }: Sums): CanarySide {
  return {
    ...sums,
    buckets: buckets.map((counts) => [...counts] as const),
    streams: Object.fromEntries(streams.map(([name, outputs]) => [name, [...outputs]])),
  }
}
