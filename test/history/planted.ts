/**
 * Planted: random sound histories, and faults to plant into them, to test the checker itself.
 *
 * Each is the history of one consumer with one owner at a time. An owner claims, processes the producers' records one
 * by one, drops some, and sometimes crashes; then the next owner finds records unaccounted and state lost.
 * @module
 */
import type { Kind } from './channel.ts'
import type { Effect, HistoryEvent, Range } from './event.ts'

/** Uniform in [0, n). */
export type Random = (n: number) => number

export interface Planted {
  readonly kind: Kind
  /** The record at fault. */
  readonly at: Pick<Range, 'stream' | 'partition' | 'producer' | 'from'>
  readonly events: readonly HistoryEvent[]
}

interface Channel {
  readonly stream: string
  readonly partition: number
  readonly producer: string
  sent: number
  position: number
  after: number
}

const consumer = 'f'
const partitions = [0, 1]

export function soundHistory(random: Random, steps: number): HistoryEvent[] {
  const events: HistoryEvent[] = []
  const channels = partitions.flatMap((partition) =>
    ['p', 'q'].map(
      (producer): Channel => ({ stream: 's', partition, producer, sent: 0, position: 0, after: -1 }),
    ),
  )
  let epoch = 0
  let ticks = 0
  const actor = (): { consumer: string; owner: string; epoch: number } => ({
    consumer,
    owner: `o${epoch}`,
    epoch,
  })
  const range = ({ stream, partition, producer }: Channel, from: number, count: number): Range => ({
    stream,
    partition,
    producer,
    from,
    count,
  })
  const claim = (): void => {
    epoch += 1
    ticks = 0
    events.push({ event: 'claim', ...actor(), partitions: { s: partitions } })
  }
  const send = (channel: Channel, count: number): void => {
    events.push({ event: 'sent', ...range(channel, channel.sent, count) })
    channel.sent += count
  }
  const processNext = (channel: Channel): void => {
    if (channel.position === channel.sent) return
    const record = range(channel, channel.position++, 1)
    ticks += 2
    if (random(8) === 0) {
      events.push({ event: 'dropped', ...record, consumer, reason: 'skipped' })
      return
    }
    const effect = { ...record, ...actor(), ticks: [ticks - 2, ticks - 1] as const }
    events.push({ event: 'processed', ...effect }, { event: 'output', ...effect, after: channel.after })
    if (random(4) === 0) events.push({ event: 'fired', ...record, ...actor() })
    channel.after = record.from
  }
  const crash = (): void => {
    events.push({ event: 'crash', consumer, owner: `o${epoch}` })
    for (const channel of channels) {
      const gone = random(1 + Math.min(3, channel.sent - channel.position))
      if (gone > 0) events.push({ event: 'unaccounted', ...range(channel, channel.position, gone), consumer })
      channel.position += gone
      channel.after = -1
    }
    claim()
  }
  claim()
  for (let step = 0; step < steps; step++) {
    const channel = channels[random(channels.length)]!
    const what = random(20)
    if (what === 0) crash()
    else if (what < 7) send(channel, 1 + random(4))
    else for (let n = random(6); n >= 0; n--) processNext(channel)
  }
  for (const channel of channels) {
    send(channel, 3)
    while (channel.position < channel.sent) processNext(channel)
    const { stream, partition, producer } = channel
    events.push({ event: 'acknowledged', stream, partition, producer, consumer, through: channel.position })
  }
  return [...events, { event: 'end' }]
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
      (_, { owner, partition }) => [
        'wrong-owner',
        events.map((e) =>
          e.event === 'claim' && e.owner === owner
            ? { ...e, partitions: { s: partitions.filter((p) => p !== partition) } }
            : e,
        ),
        events.find(
          (e) => e.event === 'processed' && e.owner === owner && e.partition === partition,
        ) as Output,
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

/** Whether it is the first output of its channel behind a crash, and not the first of all. */
function isAfterCrash(events: readonly HistoryEvent[], index: number, output: Output): boolean {
  const before = events
    .slice(0, index)
    .findLast((e) => e.event === 'output' && sameChannel(e as Output, output)) as Output | undefined
  return before !== undefined && before.owner !== output.owner
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
