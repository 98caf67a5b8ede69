/**
 * ChannelAccount: what one consumer did with the records of one producer in one partition, and what is wrong with it.
 *
 *   H1. A record is judged once in each layer: seen again it is a repeat; seen after a later one it is reordered.
 *   H2. The order of lines of different kinds of events decides nothing: what needs two kinds is judged at the end.
 * @module
 */
import type { Effect, HistoryEvent, Layer } from './event.ts'
import { type Interval, Intervals } from './intervals.ts'

export type Kind =
  | 'loss'
  | 'stuck'
  | 'repeat'
  | 'reorder'
  | 'ghost'
  | 'wrong-owner'
  | 'overlap'
  | 'torn'
  | 'state'

/** Says that [from, to) of the channel is at fault. */
export type Report = (kind: Kind, from: number, to: number, why: string) => void

interface Seen {
  readonly seen: Intervals
  lastOwner: string
  lastEpoch: number
  /** The record seen last; -1 for none. */
  last: number
}

/**
 * An effect whose state knew another record than the one before it: right only if the owner before has crashed, or one
 * between that had taken the state over. Even then the state knew an earlier record, or none: one that it knew already would
 * have its effect on state twice.
 */
interface Setback {
  readonly from: number
  readonly after: number
  readonly expected: number
  readonly ownerBefore: string
  /** Of the owner before, and of the one that it shows at. */
  readonly epochs: readonly [before: number, now: number]
}

export class ChannelAccount {
  readonly #layers: Readonly<Record<Layer, Seen>> = {
    processed: { seen: new Intervals(), lastOwner: '', lastEpoch: -1, last: -1 },
    output: { seen: new Intervals(), lastOwner: '', lastEpoch: -1, last: -1 },
  }
  readonly #accepted = new Intervals()
  readonly #fired = new Intervals()
  readonly #dropped = new Intervals()
  readonly #unaccounted = new Intervals()
  readonly #setbacks: Setback[] = []
  #acknowledged = 0

  see(
    event: Exclude<HistoryEvent, { event: 'sent' | 'claim' | 'crash' | 'note' | 'end' }>,
    report: Report,
  ): void {
    if ('ticks' in event && event.ticks !== undefined) checkTicks(event, event.ticks, report)
    switch (event.event) {
      case 'processed':
      case 'output':
        return this.#onEffect(event, this.#layers[event.event], report)
      case 'accepted':
        this.#accepted.add(event.from, event.from + event.count)
        return
      case 'fired':
        for (const [from, to] of this.#fired.add(event.from, event.from + event.count))
          report('repeat', from, to, 'a timer that they had set fired again')
        return
      case 'dropped':
        for (const [from, to] of this.#dropped.add(event.from, event.from + event.count))
          report('repeat', from, to, `dropped again (${event.reason})`)
        return
      case 'unaccounted':
        this.#unaccounted.add(event.from, event.from + event.count)
        return
      case 'acknowledged':
        this.#acknowledged = Math.max(this.#acknowledged, event.through)
    }
  }

  /** The judgement that needs all of the history. */
  judge(
    sent: Intervals,
    complete: Layer,
    ended: boolean,
    crashed: ReadonlySet<string>,
    crashedBetween: (epochBefore: number, epoch: number) => boolean,
    report: Report,
  ): void {
    const each = (kind: Kind, parts: readonly Interval[], why: string): void => {
      for (const [from, to] of parts) report(kind, from, to, why)
    }
    const { processed, output } = this.#layers
    each('ghost', this.#accepted.minus(sent), 'accepted, but never sent')
    each('ghost', processed.seen.minus(sent), 'processed, but never sent')
    each('ghost', output.seen.minus(sent), 'an output of what was never sent')
    each('ghost', this.#fired.minus(sent), 'a timer of what was never sent')
    each('ghost', this.#dropped.minus(sent), 'dropped, but never sent')
    each('ghost', sent.missing(sent.end, this.#acknowledged), 'acknowledged, but never sent')
    each('torn', output.seen.and(this.#dropped), 'dropped, and yet there is an output')
    each('torn', this.#fired.and(this.#dropped), 'dropped, and yet a timer of them has fired')
    if (crashed.size === 0)
      each('loss', this.#unaccounted.ranges, 'given up as those of a killed owner, but no owner has crashed')
    for (const { from, after, expected, ownerBefore, epochs } of this.#setbacks) {
      const isLost = crashed.has(ownerBefore) || crashedBetween(...epochs)
      if (isLost && after < from && !this.#dropped.has(after)) continue
      report(
        'state',
        from,
        from + 1,
        `its state stands on record ${after}, the one before it was ${expected}`,
      )
    }
    this.#judgeMissing(sent, this.#layers[complete].seen, complete, ended, each)
  }

  counts(): Record<'processed' | 'output' | 'dropped' | 'unaccounted', number> {
    const { processed, output } = this.#layers
    return {
      processed: processed.seen.size,
      output: output.seen.size,
      dropped: this.#dropped.size,
      unaccounted: this.#unaccounted.size,
    }
  }

  #onEffect({ from, count, owner, epoch, after }: Effect, layer: Seen, report: Report): void {
    const to = from + count
    const end = layer.seen.end
    const repeats = layer.seen.add(from, to)
    for (const [start, stop] of repeats) report('repeat', start, stop, `seen again, by ${owner}`)
    if (from < end) {
      const late = new Intervals(repeats).missing(from, Math.min(to, end))
      for (const [start, stop] of late) report('reorder', start, stop, `seen behind record ${end - 1}`)
    } else if (after !== undefined && after !== layer.last) {
      const epochs = [layer.lastEpoch, epoch] as const
      const setback = { from, after, expected: layer.last, ownerBefore: layer.lastOwner, epochs }
      this.#setbacks.push(owner === layer.lastOwner ? { ...setback, ownerBefore: '' } : setback)
    }
    if (to <= end) return
    layer.last = to - 1
    layer.lastOwner = owner
    layer.lastEpoch = epoch
  }

  #judgeMissing(
    sent: Intervals,
    seen: Intervals,
    layer: Layer,
    ended: boolean,
    each: (kind: Kind, parts: readonly Interval[], why: string) => void,
  ): void {
    const covered = new Intervals([...seen.ranges, ...this.#dropped.ranges, ...this.#unaccounted.ranges])
    const missing = new Intervals(sent.minus(covered))
    const word =
      layer === 'output' ? 'no output, no drop, no account' : 'not processed, not dropped, no account'
    const passed = ended ? Math.max(seen.end, this.#acknowledged) : seen.end
    each('loss', missing.within(0, seen.end), `${word}, though later ones were seen`)
    each('loss', missing.within(seen.end, passed), `acknowledged, but ${word}`)
    if (ended) each('stuck', missing.within(passed, sent.end), `at the end ${word}, and not acknowledged`)
  }
}

/** I1: callbacks that run one after another raise the counter twice each, and nobody raises it in between. */
function checkTicks({ from, count }: Effect, [first, last]: readonly [number, number], report: Report): void {
  if (last - first + 1 === 2 * count) return
  report('overlap', from, from + count, `${count} callbacks began and ended in ticks ${first} to ${last}`)
}
