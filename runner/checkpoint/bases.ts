/**
 * Bases: checkpoints of a slot that are kept longer than its last two, so that a judgement can process the records since.
 *
 *   BS1. There are at most two, at least `everyMs` apart: the older one is that old, or the first of all.
 *   BS2. They stay while no record is processed.
 *   BS3. They are known only in memory, as the tape is; the next owner of the slot collects their parts as strays.
 *   BS4. None are kept of a large slot: nobody would copy it.
 * Design: docs/design/0031-replay-gate.md
 * @module
 */
import type { Checkpoint, SegmentInfo } from '../../infra/checkpoints/index.ts'

/** An earlier state, and what it contains. */
export interface Base extends Checkpoint {
  /** True if this owner made it, and so knows what was processed since. */
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

  /** Begins with empty state: the slot has none yet. */
  beginEmpty(): void {
    if (this.#everyMs === undefined) return
    const nothing = { slabs: [], segments: [], inputs: {} }
    this.#kept = [{ epoch: 0, number: 0, timeMs: this.#nowMs(), version: 0, clean: false, ...nothing }]
  }

  clear(): void {
    this.#kept = []
  }

  /** Takes a new checkpoint. */
  add(made: Checkpoint, before: Checkpoint | undefined): void {
    const everyMs = this.#everyMs
    if (everyMs === undefined || bytesOf(made) > slabBytesMax) return this.clear()
    const newest = this.#kept.at(-1)
    if (newest !== undefined && made.timeMs - newest.timeMs < everyMs) return
    if (before !== undefined && JSON.stringify(before.inputs) === JSON.stringify(made.inputs)) return
    this.#kept = [...this.#kept.slice(-1), made]
  }

  /** The segments that they need. */
  get segments(): readonly SegmentInfo[] {
    return this.#kept.flatMap(({ segments }) => segments)
  }

  /** Bases and last checkpoints, oldest first, without one made after an isolate was ended inside a record. */
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
