/**
 * ChannelAccount: what one consumer did with the records of one producer in one partition, and what is wrong with it.
 *
 *   H1. A record is judged once in each layer: seen again it is a repeat; seen after a later one it is reordered.
 *   H2. The order of lines of different kinds of events decides nothing: what needs two kinds is judged at the end.
 * @module
 */
import type { Effect, HistoryEvent, Layer } from './event.ts'
import { type Interval, Intervals } from './intervals.ts'
import type { HasCrashed, LeftAt } from './owners.ts'
import { type Tenure, Tenures } from './tenures.ts'

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
  | 'timer'
  | 'overcount'

/** Says that [from, to) of the channel is at fault. */
export type Report = (kind: Kind, from: number, to: number, why: string) => void
type ReportEach = (kind: Kind, parts: readonly Interval[], why: string) => void

interface Seen {
  readonly seen: Intervals
  readonly tenures: Tenures
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
  readonly before: Tenure | undefined
  readonly owner: string
  readonly epoch: number
}

/** What the judgement of a channel needs to know of the rest of the history. */
export interface Around {
  readonly sent: Intervals
  readonly complete: Layer
  readonly ended: boolean
  readonly leftAt: LeftAt
  readonly hasCrashed: HasCrashed
}

const farEpoch = Number.POSITIVE_INFINITY

export class ChannelAccount {
  readonly #layers: Readonly<Record<Layer, Seen>> = {
    processed: { seen: new Intervals(), tenures: new Tenures() },
    output: { seen: new Intervals(), tenures: new Tenures() },
  }
  readonly #accepted = new Intervals()
  readonly #timers = new Intervals()
  readonly #fired = new Intervals()
  readonly #dropped = new Intervals()
  readonly #unaccounted = new Intervals()
  readonly #setbacks: Setback[] = []
  #acknowledged = 0

  see(
    event: Exclude<HistoryEvent, { event: 'sent' | 'claim' | 'heard' | 'left' | 'crash' | 'note' | 'end' }>,
    /** What its owner has counted so far. */
    ticks: Intervals | undefined,
    report: Report,
  ): void {
    switch (event.event) {
      case 'processed':
      case 'output':
        if (event.timer) this.#timers.add(event.from, event.from + event.count)
        return this.#onEffect(event, this.#layers[event.event], ticks, report)
      case 'accepted':
        this.#accepted.add(event.from, event.from + event.count)
        return
      case 'fired':
        for (const [from, to] of this.#fired.add(event.from, event.from + event.count))
          report('repeat', from, to, 'a timer that they had set fired again')
        checkTicks(event, ticks, report)
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
  judge(around: Around, report: Report): void {
    const each: ReportEach = (kind, parts, why) => {
      for (const [from, to] of parts) report(kind, from, to, why)
    }
    const { processed, output } = this.#layers
    const { sent, complete } = around
    each('ghost', this.#accepted.minus(sent), 'accepted, but never sent')
    each('ghost', processed.seen.minus(sent), 'processed, but never sent')
    each('ghost', output.seen.minus(sent), 'an output of what was never sent')
    each('ghost', this.#fired.minus(sent), 'a timer of what was never sent')
    each('ghost', this.#dropped.minus(sent), 'dropped, but never sent')
    each('ghost', sent.missing(sent.end, this.#acknowledged), 'acknowledged, but never sent')
    each('torn', output.seen.and(this.#dropped), 'dropped, and yet there is an output')
    each('torn', this.#fired.and(this.#dropped), 'dropped, and yet a timer of them has fired')
    this.#judgeGivenUp(this.#layers[complete].tenures, around, each)
    this.#judgeSetbacks(around, report)
    this.#judgeTimers(around, each)
    for (const { tenures } of [processed, output]) judgeLeft(tenures, around.leftAt, report)
    this.#judgeMissing(around, this.#layers[complete].seen, each)
  }

  /** Given up, and yet put out. */
  overcounted(): Interval[] {
    return this.#unaccounted.and(this.#layers.output.seen)
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

  #onEffect(event: Effect, { seen, tenures }: Seen, ticks: Intervals | undefined, report: Report): void {
    const { from, count, owner, epoch, after } = event
    const to = from + count
    const end = seen.end
    const before = tenures.last
    const repeats = seen.add(from, to)
    for (const [start, stop] of repeats) report('repeat', start, stop, `seen again, by ${owner}`)
    if (repeats.length === 0) checkTicks(event, ticks, report)
    if (from < end) {
      const late = new Intervals(repeats).missing(from, Math.min(to, end))
      for (const [start, stop] of late) report('reorder', start, stop, `seen behind record ${end - 1}`)
    } else if (after !== undefined && after !== end - 1)
      this.#setbacks.push({ from, after, expected: end - 1, before, owner, epoch })
    tenures.add(owner, epoch, from, to)
  }

  /** Only what a killed owner had in hand is given up: behind what others did before it, and ahead of what they did since. */
  #judgeGivenUp(tenures: Tenures, { hasCrashed }: Around, each: ReportEach): void {
    for (const [from, to] of this.#unaccounted.ranges) {
      const before = tenures.lastFrom(from)?.epoch ?? 0
      const since = tenures.firstBeyond(to)?.epoch ?? farEpoch
      if (!hasCrashed(before, since))
        each(
          'loss',
          [[from, to]],
          'given up as those of a killed owner, but no owner that had them has crashed',
        )
    }
  }

  #judgeSetbacks({ hasCrashed }: Around, report: Report): void {
    for (const { from, after, expected, before, owner, epoch } of this.#setbacks) {
      const isOther = before?.owner !== owner || before.epoch !== epoch
      const isLost = isOther && hasCrashed(before?.epoch ?? 0, epoch)
      if (isLost && after < from && !this.#dropped.has(after)) continue
      report(
        'state',
        from,
        from + 1,
        `its state stands on record ${after}, the one before it was ${expected}`,
      )
    }
  }

  /** A timer fires, unless it went with the state of an owner that crashed. */
  #judgeTimers({ ended, hasCrashed }: Around, each: ReportEach): void {
    const { seen, tenures } = this.#layers.output
    const unset = new Intervals(this.#fired.and(seen)).minus(this.#timers)
    each('timer', unset, 'a timer has fired that they had not set')
    if (!ended) return
    const unfired = new Intervals(this.#timers.minus(this.#fired))
    for (const { epoch, first, end } of tenures)
      if (!hasCrashed(epoch, farEpoch))
        each('timer', unfired.within(first, end), 'the timer that they had set has not fired')
  }

  #judgeMissing({ sent, complete, ended }: Around, seen: Intervals, each: ReportEach): void {
    const missing = [seen, this.#dropped, this.#unaccounted].reduce(
      (rest, covered) => new Intervals(rest.minus(covered)),
      sent,
    )
    const word =
      complete === 'output' ? 'no output, no drop, no account' : 'not processed, not dropped, no account'
    const passed = ended ? Math.max(seen.end, this.#acknowledged) : seen.end
    each('loss', missing.within(0, seen.end), `${word}, though later ones were seen`)
    each('loss', missing.within(seen.end, passed), `acknowledged, but ${word}`)
    if (ended) each('stuck', missing.within(passed, sent.end), `at the end ${word}, and not acknowledged`)
  }
}

/** An owner that has left in order has no effect behind where it stopped. */
function judgeLeft(tenures: Tenures, leftAt: LeftAt, report: Report): void {
  for (const { owner, epoch, first, end } of tenures)
    for (const through of leftAt(owner, epoch))
      if (end > through)
        report(
          'wrong-owner',
          Math.max(first, through),
          end,
          `by ${owner} in epoch ${epoch}, behind where it left`,
        )
}

/**
 * I1: callbacks that run one after another raise the counter twice each, and nobody raises it in between. Two at once that count on their
 * own count the same.
 */
function checkTicks({ from, count, ticks }: Effect, counted: Intervals | undefined, report: Report): void {
  if (ticks === undefined || counted === undefined) return
  const [first, last] = ticks
  if (last - first + 1 !== 2 * count)
    report('overlap', from, from + count, `${count} callbacks began and ended in ticks ${first} to ${last}`)
  for (const [start, end] of counted.add(first, last + 1)) {
    const to = Math.min(count, (end - first + 1) >> 1)
    report(
      'overlap',
      from + Math.min(count - 1, (start - first) >> 1),
      from + to,
      `ticks ${start} to ${end - 1} were counted before`,
    )
  }
}
