/**
 * Bases: checkpoints of a slot that are kept longer than its last two, so that the records since can be processed again.
 *
 *   BS1. There are two at most, `everyMs` apart at least: the older one is so old, or of the beginning.
 *   BS2. While no record is processed they stay.
 *   BS3. They are in memory only, as the records are that go on from them; who owns the slot next collects their parts as strays.
 *   BS4. Of a large slot none are kept: nobody would copy it.
 * Design: docs/design/0031-replay-gate.md
 * @module
 */
import type { Checkpoint, SegmentInfo } from '../../infra/checkpoints/index.ts'

/** A state that was, and what it contains. */
export interface Base extends Checkpoint {
  /** What was processed since is known: it was this owner. */
  readonly isOwn: boolean
}

const slabBytesMax = 64 * 2 ** 20

export class Bases {
  readonly #everyMs: number | undefined
  readonly #nowMs: () => number
  readonly #sinceMs: number
  #kept: Checkpoint[] = []

  constructor(everyMs: number | undefined, nowMs: () => number) {
    this.#everyMs = everyMs
    this.#nowMs = nowMs
    this.#sinceMs = nowMs()
  }

  /** The slot has no state yet. */
  beginEmpty(): void {
    if (this.#everyMs === undefined) return
    const nothing = { slabs: [], segments: [], inputs: {} }
    this.#kept = [{ epoch: 0, number: 0, timeMs: this.#nowMs(), version: 0, clean: false, ...nothing }]
  }

  clear(): void {
    this.#kept = []
  }

  /** A checkpoint was made. */
  add(made: Checkpoint, before: Checkpoint | undefined): void {
    const everyMs = this.#everyMs
    if (everyMs === undefined || bytesOf(made) > slabBytesMax) return this.clear()
    const newest = this.#kept.at(-1)
    if (newest !== undefined && made.timeMs - newest.timeMs < everyMs) return
    if (before !== undefined && JSON.stringify(before.inputs) === JSON.stringify(made.inputs)) return
    this.#kept = [...this.#kept.slice(-1), made]
  }

  /** What they are made of. */
  get segments(): readonly SegmentInfo[] {
    return this.#kept.flatMap(({ segments }) => segments)
  }

  /** Together with the last checkpoints, the oldest first. One that was made of an isolate's ruins is none. */
  with(last: readonly (Checkpoint | undefined)[]): readonly Base[] {
    const known = new Set<string>()
    const all = [...this.#kept, ...last].flatMap((one) => {
      if (one === undefined || one.commitWord !== undefined) return []
      const key = `${one.epoch}-${one.number}-${one.timeMs}`
      if (known.has(key)) return []
      known.add(key)
      return [{ ...one, isOwn: one.timeMs >= this.#sinceMs }]
    })
    return all.sort((a, b) => a.timeMs - b.timeMs)
  }
}

function bytesOf({ slabs }: Checkpoint): number {
  return slabs.reduce((sum, bytes) => sum + bytes, 0)
}
