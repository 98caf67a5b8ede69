/**
 * SharedBatch: a batch of which a canary and the old version do a share each: who is called next, and what becomes of a record that
 * neither can do. It calls nobody itself: `next` says what is to be done, `took` is told what came of it.
 *
 *     canary ── others ── (the canary threw) again ── over         whole ── over: no key of the canary's, or it has gone
 *        └─ takeBack ┘    the canary ended
 *
 *   SB1. The canary has its share first. Where it stops, the batch ends: `records` of the result is that place.
 *   SB2. Below that place each record is done by one of the two, or dropped and told as failed, once; above it nothing is done.
 *   SB3. What the canary throws at for good has had no effect, and is the old one's to do. If that throws as well, it is the record's
 *        fault, and nobody's who is judged.
 *   SB4. When the old one ends, the canary does what that one has left, but calls no timer: one of them may have ended it.
 *   SB5. When both have ended, what is left is dropped.
 * Design: docs/design/0026-rollouts.md
 * @module
 */
import type { StateFormat } from '../../sdk/function.ts'
import type { CanaryShares } from '../../sdk/versions/canary.ts'
import type { KeyShare } from '../../sdk/wire/key-share.ts'
import { type BatchResult, type RecordFailure, Results } from '../isolate/index.ts'
import type { Side } from './measures.ts'
import { hasPointOf, isOf } from './points.ts'

/** What is to be done next. */
export type Turn =
  | Call
  /** The old one takes the state, of which the canary, which has ended, has nothing any more. */
  | { readonly kind: 'takeBack'; readonly why: BatchResult['fatal'] }

export interface Call {
  readonly kind: 'call'
  readonly by: 'old' | 'canary'
  /** The first record. */
  readonly from: number
  /** Default: all keys. */
  readonly share?: KeyShare
  /** Whose keys they are, if the call is measured. */
  readonly side?: Side
  /** It ends after the first callback. */
  readonly isOne?: boolean
}

export interface SharedBatchOptions {
  /** Of each record the point of its key. */
  readonly points: Uint16Array
  readonly shares: CanaryShares
  /** Whether a timer is due, of whatever key. */
  readonly isTimer: boolean
  /** `ended`: nobody knows yet. `gone`: the old one has all of the state. */
  readonly canary: 'works' | 'ended' | 'gone'
}

/** What the old one has still to do of a share. */
interface Part {
  readonly side: Side
  readonly share: KeyShare
  /** The first record. */
  at: number
}

export class SharedBatch {
  readonly #options: SharedBatchOptions
  readonly #results = new Results()
  /** By record: 1 where the canary has done it. */
  readonly #isCanarys: Uint8Array
  #state: 'whole' | 'canary' | 'takeBack' | 'others' | 'again' | 'over'
  /** Where the batch ends. */
  #end = 0
  /** How the canary has stopped at its own share. */
  #stop: BatchResult | undefined
  /** The first one is at hand. */
  #parts: Part[] = []
  /** How the old one has ended, and so the instance, and whether it was at the record where the batch ends. */
  #broken: { readonly how: BatchResult; readonly isAtEnd: boolean } | undefined
  /** Both have ended. */
  #isDeserted = false
  #gone: StateFormat | undefined
  /** What the canary threw at and the old one did not. */
  regression: RecordFailure | undefined

  constructor(options: SharedBatchOptions) {
    this.#options = options
    const { canary, isTimer, shares, points } = options
    this.#isCanarys = new Uint8Array(points.length)
    if (canary === 'ended') this.#state = 'takeBack'
    else if (canary === 'works' && (isTimer || this.#has(shares.canary, points.length)))
      this.#state = 'canary'
    else this.#state = 'whole'
  }

  /** Undefined: the batch is over. */
  next(): Turn | undefined {
    const { canary } = this.#options.shares
    const kind = 'call'
    switch (this.#state) {
      case 'whole':
        return { kind, by: 'old', from: 0 }
      case 'canary':
        return { kind, by: 'canary', from: 0, share: canary, side: 'canary' }
      case 'takeBack':
        return { kind: 'takeBack', why: this.#stop?.fatal }
      case 'others': {
        const { side, share: all, at: from } = this.#parts[0]!
        const share = { ...all, records: this.#end - from }
        if (this.#broken === undefined) return { kind, by: 'old', from, share, side }
        return { kind, by: 'canary', from, share: { ...share, withoutTimers: true } } // SB4
      }
      case 'again': {
        const from = this.#end
        if (this.#threwAtTimer)
          return { kind, by: 'old', from, share: { ...canary, records: 0 }, isOne: true }
        return { kind, by: 'old', from, share: { ...canary, records: 1, withoutTimers: true } }
      }
      case 'over':
        return undefined
    }
  }

  /** What came of what `next` says. */
  took(result: BatchResult): void {
    switch (this.#state) {
      case 'whole':
        this.#results.add(result, 0)
        this.#end = result.records
        this.#breaks(result, true)
        this.#state = 'over'
        break
      case 'canary':
        this.#add(result, 'canary', this.#options.shares.canary, 0)
        this.#end = result.records
        this.#stop = result
        this.#parts = this.#others()
        this.#state = result.fatal === undefined ? 'others' : 'takeBack'
        break
      case 'takeBack':
        this.#gone = result.gone
        this.#isDeserted = result.fatal !== undefined
        if (this.#isDeserted) this.#breaks(this.#stop ?? result, true)
        this.#state = this.#stop === undefined && !this.#isDeserted ? 'whole' : 'others'
        break
      case 'others':
        this.#tookPart(this.#parts[0]!, result)
        break
      case 'again':
        this.#tookAgain(result)
    }
    if (this.#state === 'others') this.#goOn()
  }

  get result(): BatchResult {
    const { how, isAtEnd } = this.#broken ?? {}
    return {
      ...this.#results.total(this.#end, how, isAtEnd),
      isCanarys: this.#isCanarys,
      ...(this.#gone && { gone: this.#gone }),
    }
  }

  get #threwAtTimer(): boolean {
    return this.#stop?.threw?.index === Number.POSITIVE_INFINITY
  }

  /** The old one's, below the end. The rest of the keys also without a record: what an empty call takes is measured by it. */
  #others(): Part[] {
    const { shares, isTimer } = this.#options
    return (['control', 'rest'] as const).flatMap((side) => {
      const share = shares[side]
      if (share === undefined) return []
      const hasRecords = this.#end > 0 && (side === 'rest' || this.#has(share, this.#end))
      return isTimer || hasRecords ? [{ side, share, at: 0 }] : []
    })
  }

  #tookPart(part: Part, result: BatchResult): void {
    const { fatal, threw } = result
    const by = this.#broken === undefined ? 'old' : 'canary'
    this.#add(result, by, part.share, part.at)
    part.at += result.records
    if (by === 'old') this.#breaks(result, false)
    else this.#isDeserted = fatal !== undefined
    const failed = threw === undefined && !isAtRecord(result) ? -1 : this.#firstOf(part)
    if (failed >= 0) {
      this.#results.fail(failed, result, threw)
      part.at = failed + 1
    }
    if (part.at >= this.#end) this.#parts.shift()
  }

  #tookAgain(result: BatchResult): void {
    const { records, timersFired, failures, fatal } = result
    this.#results.add(result, this.#end)
    this.#end += records
    this.#breaks(result, true)
    if (fatal === undefined && records === 0 && !this.#threwAtTimer) return // it lacked memory, and is given it
    if (fatal === undefined && failures.length === 0 && records + timersFired > 0)
      this.regression = this.#stop?.threw
    this.#state = 'over'
  }

  /** To the next part that somebody can do, or past the last one. */
  #goOn(): void {
    if (this.#broken !== undefined) this.#parts = this.#parts.filter(({ at }) => at < this.#end) // timers stay set
    if (this.#isDeserted) for (const part of this.#parts.splice(0)) this.#drop(part)
    if (this.#parts.length > 0) return
    this.#state = this.#stop?.threw !== undefined && this.#broken === undefined ? 'again' : 'over'
  }

  #add(result: BatchResult, by: Call['by'], share: KeyShare, from: number): void {
    this.#results.add(result, from)
    if (by === 'old') return
    for (let at = from; at < from + result.records; at++)
      if (isOf(share, this.#options.points[at]!)) this.#isCanarys[at] = 1
  }

  /** The old one has ended, if it has. */
  #breaks(how: BatchResult, isAtEnd: boolean): void {
    if (how.fatal !== undefined) this.#broken = { how, isAtEnd }
  }

  /** SB5 */
  #drop(part: Part): void {
    for (let at = this.#firstOf(part); at >= 0; at = this.#firstOf(part)) {
      this.#results.lose(at, 'both versions ended in its batch')
      part.at = at + 1
    }
  }

  /** The first record that is left of it, which records of other shares may be before. Below 0: none is. */
  #firstOf({ share, at }: Part): number {
    const { points } = this.#options
    const found = points.subarray(at, this.#end).findIndex((point) => isOf(share, point))
    return found < 0 ? -1 : at + found
  }

  #has(share: KeyShare, end: number): boolean {
    return hasPointOf(share, this.#options.points.subarray(0, end))
  }
}

/** Whether its isolate has ended at a record. */
function isAtRecord({ fatal, recordAtHand, failures }: BatchResult): boolean {
  const last = failures.at(-1)
  return (
    fatal !== undefined && (recordAtHand === true || (last?.action === 'fail' && Number.isFinite(last.index)))
  )
}
