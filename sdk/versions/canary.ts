/**
 * Canary: the measurements of a version that gets a share of the keys, beside as many other keys of the version
 * before.
 *
 *   CA1. Both sides are keys drawn by hash, in equally many buckets. So if the versions do not differ, every bucket
 *        might just as well belong to the other side, whatever the keys are. The judge's tests rely on that
 *        (scheduler/core/rollout/judge.ts).
 * Design: docs/design/0026-rollouts.md
 * @module
 */
import { type KeyShare, pointsMax } from '../wire/key-share.ts'
import { type ShadowEvidence, sumOfShadows } from './shadow.ts'

export const bucketsPerSide = 16

export interface CanarySide {
  /** For the canary this includes records that it gave up, so that no more than all of them can fail. */
  readonly records: number
  /** For the canary: records that it gave up and the version before did not. For the control: records that failed. */
  readonly errors: number
  readonly outputs: number
  /** Processing time, without the fixed cost of a batch. */
  readonly ms: number
  /** By bucket: records, outputs, and the sum and the number of values of the rules' metric. */
  readonly buckets: readonly (readonly [records: number, outputs: number, metric: number, values: number])[]
  /** Outputs by bucket, for each stream that the version may write to. */
  readonly streams: Readonly<Record<string, readonly number[]>>
}

export interface CanaryEvidence {
  readonly canary: CanarySide
  readonly control: CanarySide
  /**
   * Windows in which both sides took long enough to be compared, and in how many of them the canary was slower than
   * allowed.
   */
  readonly windows: number
  readonly slower: number
  /** Microseconds a record, at the 99th percentile of the windows since the step began; of several instances, the slowest. */
  readonly canaryP99Us: number
  readonly controlP99Us: number
  /** The first error that counts against it. */
  readonly example?: string
  /** The canary's outputs for the control's records, compared; `live` is the version before. Absent: not compared. */
  readonly diff?: ShadowEvidence
}

/** An instance's report on its canary. */
export interface CanaryReport {
  readonly version: number
  /** The step that the measurements belong to. */
  readonly step: number
  readonly state: 'preparing' | 'working' | 'failed'
  readonly reason?: string
  readonly evidence: CanaryEvidence
}

/** The shares of the keys in a step: the canary's, the control's, and the rest. */
export interface CanaryShares {
  readonly canary: KeyShare
  readonly control: KeyShare | undefined
  readonly rest: KeyShare | undefined
}

/** @param percent Of the keys. Records without a key stay with the version before (key-share.ts, KS2). */
export function sharesOf(percent: number, salt: number): CanaryShares {
  const to = Math.max(1, Math.round((percent / 100) * pointsMax))
  const controlTo = Math.min(2 * to, pointsMax - 1)
  const share = (from: number, end: number): KeyShare | undefined =>
    from < end ? { salt, from, to: end } : undefined
  return {
    canary: { salt, from: 0, to },
    control: share(to, controlTo),
    rest: share(Math.max(to, controlTo), pointsMax),
  }
}

export function noSide(): CanarySide {
  return { records: 0, errors: 0, outputs: 0, ms: 0, buckets: [], streams: {} }
}

export function noEvidence(): CanaryEvidence {
  return { canary: noSide(), control: noSide(), windows: 0, slower: 0, canaryP99Us: 0, controlP99Us: 0 }
}

/** The sum of the measurements of several instances. */
export function sumOf(all: readonly CanaryEvidence[]): CanaryEvidence {
  return all.reduce((sum, one) => {
    const example = sum.example ?? one.example
    const diffs = [sum.diff, one.diff].filter((diff) => diff !== undefined)
    return {
      canary: sumOfSides(sum.canary, one.canary),
      control: sumOfSides(sum.control, one.control),
      windows: sum.windows + one.windows,
      slower: sum.slower + one.slower,
      canaryP99Us: Math.max(sum.canaryP99Us, one.canaryP99Us),
      controlP99Us: Math.max(sum.controlP99Us, one.controlP99Us),
      ...(example === undefined ? {} : { example }),
      ...(diffs.length === 0 ? {} : { diff: sumOfShadows(diffs) }),
    }
  }, noEvidence())
}

function sumOfSides(one: CanarySide, other: CanarySide): CanarySide {
  const count = Math.max(one.buckets.length, other.buckets.length)
  const none = [0, 0, 0, 0] as const
  return {
    records: one.records + other.records,
    errors: one.errors + other.errors,
    outputs: one.outputs + other.outputs,
    ms: one.ms + other.ms,
    buckets: Array.from({ length: count }, (_, i) => {
      const [a, b] = [one.buckets[i] ?? none, other.buckets[i] ?? none]
      return [a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]] as const
    }),
    streams: Object.fromEntries(
      [...new Set([...Object.keys(one.streams), ...Object.keys(other.streams)])].map((stream) => {
        const [a, b] = [one.streams[stream] ?? [], other.streams[stream] ?? []]
        return [
          stream,
          Array.from({ length: Math.max(a.length, b.length) }, (_, i) => (a[i] ?? 0) + (b[i] ?? 0)),
        ]
      }),
    ),
  }
}
