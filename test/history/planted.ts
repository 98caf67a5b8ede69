/**
 * Planted: faults to plant into sound histories, to test the checker itself.
 * @module
 */
import type { Kind } from './channel.ts'
import { examplesMax } from './checker.ts'
import type { Claim, Effect, HistoryEvent, Range } from './event.ts'
import { consumer, type Random } from './sound.ts'

export interface Planted {
  readonly kind: Kind
  /** The record at fault; of no producer: the partition. */
  readonly at: Pick<Range, 'stream' | 'partition' | 'producer' | 'from'>
  readonly events: readonly HistoryEvent[]
}

/** Plants a fault; undefined where the history has no place for it. */
export type Fault = (events: readonly HistoryEvent[], random: Random) => Planted | undefined

type Output = Effect & { readonly event: 'output' }

export const faults: Readonly<Record<string, Fault>> = {
  'an output is lost': (events, random) =>
    atOutput(
      events,
      random,
      (i) => later(events, i).length > 0,
      (i) => ['loss', without(events, i)],
    ),
  'the last output is lost though acknowledged': (events, random) =>
    atOutput(
      events,
      random,
      (i) => later(events, i).length === 0,
      (i) => ['loss', without(events, i)],
    ),
  'an output comes twice': (events, random) =>
    atOutput(
      events,
      random,
      () => true,
      (i, output) => ['repeat', spliced(events, i + 1, output)],
    ),
  'the next owner puts it out again': (events, random) =>
    atOutput(
      events,
      random,
      (i, o) => nextOwner(events, i, o) >= 0,
      (i, output) => {
        const next = nextOwner(events, i, output)
        const { owner, epoch } = events[next] as Output
        return ['repeat', spliced(events, next + 1, { ...output, owner, epoch })]
      },
    ),
  'an output comes behind the next': (events, random) =>
    atOutput(
      events,
      random,
      (i) => later(events, i).length > 0,
      (i, output) => ['reorder', without(spliced(events, later(events, i)[0]! + 1, output), i)],
    ),
  'an output of what was never sent': (events, random) =>
    atOutput(
      events,
      random,
      (i) => later(events, i).length === 0,
      (i, output) => {
        const ghost = { ...output, from: output.from + 1000 }
        return ['ghost', spliced(events, i + 1, ghost), ghost]
      },
    ),
  'a drop of what was never sent': (events, random) =>
    atOutput(
      events,
      random,
      () => true,
      (i, { stream, partition, producer }) => {
        const ghost = { stream, partition, producer, from: 5000, count: 1 }
        return [
          'ghost',
          spliced(events, i, { event: 'dropped', ...ghost, consumer, reason: 'failed' }),
          ghost,
        ]
      },
    ),
  'nobody takes the last records': (events, random) =>
    atOutput(
      events,
      random,
      () => true,
      (_, { stream, partition, producer }) => {
        const sent = events.filter(
          (e) => e.event === 'sent' && sameChannel(e, { stream, partition, producer }),
        )
        const last = sent.at(-1) as Range
        const tail = { stream, partition, producer, from: last.from + last.count, count: 2 }
        return ['stuck', spliced(events, events.length - 1, { event: 'sent', ...tail }), tail]
      },
    ),
  'an owner of an epoch that has passed': (events, random) =>
    atOutput(
      events,
      random,
      (i, o) => o.epoch > 1 && previousIs(events, i, o),
      (i, output) => [
        'wrong-owner',
        replaced(events, i, { ...output, owner: `o${output.epoch - 1}`, epoch: output.epoch - 1 }),
      ],
    ),
  'two owners in one epoch': (events, random) =>
    atOutput(
      events,
      random,
      (i, o) => previousIs(events, i, o),
      (i, output) => ['wrong-owner', replaced(events, i, { ...output, owner: 'impostor' })],
    ),
  'an owner that never claimed': (events, random) =>
    atOutput(
      events,
      random,
      () => true,
      (_, { epoch, partition }) => [
        'wrong-owner',
        events.map((e) =>
          (e.event === 'claim' || e.event === 'heard') && e.epoch === epoch
            ? { ...e, partitions: { s: e.partitions['s']!.filter((p) => p !== partition) } }
            : e,
        ),
        events.find((e) => 'ticks' in e && e.epoch === epoch && e.partition === partition) as Output,
      ],
    ),
  'two callbacks at a time': (events, random) =>
    atOutput(
      events,
      random,
      () => true,
      (i, output) => [
        'overlap',
        replaced(events, i, { ...output, ticks: [output.ticks![0], output.ticks![1] + 1] }),
      ],
    ),
  'an output of a record that failed': (events, random) =>
    atOutput(
      events,
      random,
      () => true,
      (i, { stream, partition, producer, from, count }) => [
        'torn',
        spliced(events, i, {
          event: 'dropped',
          stream,
          partition,
          producer,
          from,
          count,
          consumer,
          reason: 'failed',
        }),
      ],
    ),
  'a timer of a record that failed': (events, random) => {
    const drops = events.filter((e) => e.event === 'dropped')
    const drop = drops[random(drops.length)]
    if (drop === undefined) return undefined
    const { reason: _, ...record } = drop
    const fired: HistoryEvent = { ...record, event: 'fired', owner: 'o1', epoch: 1 }
    return { kind: 'torn', at: drop, events: spliced(events, 1, fired) }
  },
  'a state that a failed record has touched': (events, random) =>
    atOutput(
      events,
      random,
      (i, o) => o.after! >= 0 && previousIs(events, i, o),
      (i, output) => [
        'state',
        replaced(events, i, {
          ...output,
          after: output.after! + 1 === output.from ? output.after! - 1 : output.from - 1,
        }),
      ],
    ),
  'a state that a crash has left knows the record already': (events, random) =>
    atOutput(
      events,
      random,
      (i, o) => isAfterCrash(events, i, o),
      (i, output) => ['state', replaced(events, i, { ...output, after: output.from + random(2) })],
    ),
  'an effect behind where its owner has left': (events, random) =>
    atOutput(
      events,
      random,
      (i, o) => leftBefore(events, i, o) !== undefined,
      (i, output) => {
        const { owner, epoch } = leftBefore(events, i, output)!
        return ['wrong-owner', replaced(events, i, { ...output, owner, epoch })]
      },
    ),
  'an owner that was stopped puts out what it had in hand, before the next one puts out anything': (
    events,
    random,
  ) =>
    atOutput(
      events,
      random,
      (i, o) => isLastBefore(events, i, heardAfter(events, i, o)),
      (i, output) => ['wrong-owner', without(spliced(events, heardAfter(events, i, output) + 1, output), i)],
    ),
  'an owner that was stopped puts out what was given up of it': (events, random) => {
    const places = events.flatMap((gone, i) => {
      const heard = gone.event === 'unaccounted' ? heardAfter(events, i, gone) : -1
      const last = events.slice(0, i).findLast((e) => e.event === 'output' && sameChannel(e, gone as Range))
      return heard < 0 || last === undefined ? [] : [{ gone: gone as Range, heard, last: last as Output }]
    })
    const place = places[random(places.length)]
    if (place === undefined) return undefined
    const { owner, epoch } = place.last
    const late = { ...place.gone, event: 'output', consumer, owner, epoch } as const
    return { kind: 'wrong-owner', at: late, events: spliced(events, place.heard + 1, late) }
  },
  'a timer of an owner that was stopped fires before the next one puts out anything': (events, random) => {
    const places = events.flatMap((e, i) =>
      e.event === 'fired' && heardAfter(events, i, e) >= 0 ? [{ fired: e, i }] : [],
    )
    const place = places[random(places.length)]
    if (place === undefined) return undefined
    const { fired, i } = place
    const late = spliced(events, heardAfter(events, i, fired) + 1, fired)
    return { kind: 'wrong-owner', at: fired, events: without(late, i) }
  },
  'a claim while another has the partition': (events, random) => {
    const places = events.flatMap((e, i) =>
      e.event === 'left' && events[i + 1]?.event === 'claim' ? [i] : [],
    )
    const place = places[random(places.length)]
    if (place === undefined) return undefined
    const { stream, partition } = events[place] as Extract<HistoryEvent, { event: 'left' }>
    return {
      kind: 'wrong-owner',
      at: { stream, partition, producer: '', from: 0 },
      events: without(events, place),
    }
  },
  'two isolates at once, each with ticks of its own': (events, random) =>
    atOutput(
      events,
      random,
      (i, o) => o.partition === 1 && isFirstOf(events, i, o) && firstOf(events, o, 0) < i,
      (_, { owner }) => {
        const counted = { processed: [0, 0], output: [0, 0], fired: [100_000, 200_000] }
        const count = (e: Effect): Effect => {
          const of = counted[e.event as keyof typeof counted]
          const first = of[e.partition]!
          of[e.partition] = first + 2
          return { ...e, ticks: [first, first + 1] }
        }
        return ['overlap', events.map((e) => ('ticks' in e && e.owner === owner ? count(e) : e))]
      },
    ),
  'a timer is lost': (events, random) =>
    atOutput(
      events,
      random,
      (i, o) => o.timer === true && !events.slice(i).some((e) => e.event === 'crash'),
      (_, output) => ['timer', events.filter((e) => e.event !== 'fired' || !isOf(e, output))],
    ),
  'every timer is lost': (events, random) =>
    atOutput(
      events,
      random,
      (i, o) =>
        o.timer === true &&
        !events.slice(i).some((e) => e.event === 'crash') &&
        events.filter((e) => e.event === 'output' && e.timer).length <= examplesMax,
      () => ['timer', events.filter((e) => e.event !== 'fired')],
    ),
  'a timer fires that nobody has set': (events, random) =>
    atOutput(
      events,
      random,
      (_, o) => o.timer === true && events.some((e) => e.event === 'fired' && isOf(e, o)),
      (i, { timer: _, ...output }) => ['timer', replaced(events, i, output)],
    ),
  'records given up in a partition whose owner goes on': (events, random) =>
    atOutput(
      events,
      random,
      (i, o) =>
        goesOn(events, i, o) && !events.slice(i, later(events, i)[0]).some((e) => e.event === 'crash'),
      (_, output) => {
        const { stream, partition, producer, from } = output
        const gone = { event: 'unaccounted', stream, partition, producer, from, count: 1, consumer } as const
        return ['loss', [gone, ...events.filter((e) => !('owner' in e && 'from' in e && isOf(e, output)))]]
      },
    ),
  'records given up though they were put out': (events, random) =>
    atOutput(
      events,
      random,
      (i, o) => later(events, i).length > 0 && crashesUntil(events, i, later(events, i)[0]!, o.partition),
      (i, { stream, partition, producer, from }) => [
        'overcount',
        spliced(events, i, { event: 'unaccounted', stream, partition, producer, from, count: 1, consumer }),
      ],
    ),
  'records given up though nobody crashed': (events) => {
    const at = events.find((e) => e.event === 'unaccounted')
    return at && { kind: 'loss', at, events: events.filter((e) => e.event !== 'crash') }
  },
  'one number for two records': (events, random) => {
    const sends = events.flatMap((e, i) => (e.event === 'sent' ? [{ e, i }] : []))
    const { e, i } = sends[random(sends.length)]!
    return { kind: 'repeat', at: e, events: spliced(events, i, e) }
  },
}

function atOutput(
  events: readonly HistoryEvent[],
  random: Random,
  fits: (index: number, output: Output) => boolean,
  plant: (index: number, output: Output) => readonly [Kind, readonly HistoryEvent[], Planted['at']?],
): Planted | undefined {
  const places = events.flatMap((event, i) =>
    event.event === 'output' && fits(i, event as Output) ? [i] : [],
  )
  const place = places[random(places.length)]
  if (place === undefined) return undefined
  const output = events[place] as Output
  const [kind, planted, at] = plant(place, output)
  return { kind, at: at ?? output, events: planted }
}

function isOf(e: Range, { from, ...where }: Range): boolean {
  return sameChannel(e, where) && e.from === from
}

/** Of the outputs of its owner in a partition: where the first is; Infinity for nowhere. */
function firstOf(events: readonly HistoryEvent[], { owner }: Output, partition: number): number {
  const at = events.findIndex((e) => e.event === 'output' && e.owner === owner && e.partition === partition)
  return at < 0 ? Number.POSITIVE_INFINITY : at
}

function isFirstOf(events: readonly HistoryEvent[], index: number, output: Output): boolean {
  return firstOf(events, output, output.partition) === index
}

/** Who has left the partition, if this is the first output since. */
function leftBefore(events: readonly HistoryEvent[], index: number, { partition }: Output) {
  const last = events
    .slice(0, index)
    .findLast((e) => (e.event === 'output' || e.event === 'left') && e.partition === partition)
  return last?.event === 'left' ? last : undefined
}

/** Where the next claim of a partition is heard; -1 for nowhere. */
function heardAfter(events: readonly HistoryEvent[], index: number, { partition }: Range): number {
  return events.findIndex(
    (e, i) => i > index && e.event === 'heard' && e.partitions['s']!.includes(partition),
  )
}

/** Whether no output of its channel comes between it and a place. */
function isLastBefore(events: readonly HistoryEvent[], index: number, place: number): boolean {
  return place >= 0 && !later(events, index).some((i) => i < place)
}

/** Whether an owner crashes that has the partition. */
function crashesUntil(events: readonly HistoryEvent[], from: number, to: number, partition: number): boolean {
  return events.slice(from, to).some((e, i, rest) => {
    if (e.event !== 'crash') return false
    const claim = [...events.slice(0, from), ...rest.slice(0, i)].findLast(
      (one) => one.event === 'claim' && one.partitions['s']!.includes(partition),
    ) as Claim
    const hasLeft = events.some(
      (one) => one.event === 'left' && one.partition === partition && one.epoch === claim.epoch,
    )
    return claim.owner === e.owner && !hasLeft
  })
}

export function sameChannel(
  a: Pick<Range, 'stream' | 'partition' | 'producer'>,
  b: Pick<Range, 'stream' | 'partition' | 'producer'>,
): boolean {
  return a.stream === b.stream && a.partition === b.partition && a.producer === b.producer
}

/** Places of later outputs of the same channel. */
function later(events: readonly HistoryEvent[], index: number): number[] {
  const output = events[index] as Output
  return events.flatMap((e, i) => (i > index && e.event === 'output' && sameChannel(e, output) ? [i] : []))
}

/** Where another owner than that of `output` puts out something of the same partition; -1 for nowhere. */
function nextOwner(events: readonly HistoryEvent[], index: number, output: Output): number {
  return events.findIndex(
    (e, i) =>
      i > index && e.event === 'output' && e.partition === output.partition && e.owner !== output.owner,
  )
}

/** Whether the output before it in its channel, and the one before it in its partition, are its owner's. */
function previousIs(events: readonly HistoryEvent[], index: number, output: Output): boolean {
  const before = events
    .slice(0, index)
    .filter((e) => e.event === 'output' && e.partition === output.partition)
  const sameOwner = (e: HistoryEvent | undefined): boolean =>
    (e as Output | undefined)?.owner === output.owner
  return sameOwner(before.at(-1)) && sameOwner(before.findLast((e) => sameChannel(e as Output, output)))
}

/** Whether there are outputs behind it, and the one before it is of the same owner and epoch. */
function goesOn(events: readonly HistoryEvent[], index: number, output: Output): boolean {
  const before = events
    .slice(0, index)
    .findLast((e) => e.event === 'output' && sameChannel(e as Output, output)) as Output | undefined
  return before?.epoch === output.epoch && later(events, index).length > 0
}

/** Whether it is the first output of its channel behind a crash that has left no state, and not the first of all. */
function isAfterCrash(events: readonly HistoryEvent[], index: number, output: Output): boolean {
  const before = events
    .slice(0, index)
    .findLast((e) => e.event === 'output' && sameChannel(e as Output, output)) as Output | undefined
  return before !== undefined && before.owner !== output.owner && output.after === -1
}

function spliced(events: readonly HistoryEvent[], index: number, event: HistoryEvent): HistoryEvent[] {
  return [...events.slice(0, index), event, ...events.slice(index)]
}

function replaced(events: readonly HistoryEvent[], index: number, event: HistoryEvent): HistoryEvent[] {
  return events.map((e, i) => (i === index ? event : e))
}

function without(events: readonly HistoryEvent[], index: number): HistoryEvent[] {
  return events.filter((_, i) => i !== index)
}
