/**
 * Sound: random sound histories, to test the checker itself.
 *
 * Each is the history of one consumer. An owner has one or both partitions; it processes the producers' records one by one, drops some, and
 * sets timers, which fire later. Partitions are handed over in order, and owners crash: then records are unaccounted, and state is lost.
 * In three of four it is heard downstream that an owner claims.
 * @module
 */
import type { HistoryEvent, Range } from './event.ts'

/** Uniform in [0, n). */
export type Random = (n: number) => number

interface Channel {
  readonly stream: string
  readonly partition: number
  readonly producer: string
  sent: number
  position: number
  after: number
}

interface Owner {
  readonly name: string
  ticks: number
}

export const consumer = 'f'
const partitions = [0, 1]

export function soundHistory(random: Random, steps: number): HistoryEvent[] {
  return new Sound(random, steps).events
}

/** As joined from files of several processes, of which each has seen some kinds of events: any order among these that keeps their own. */
export function joinedAnyhow(events: readonly HistoryEvent[], random: Random): HistoryEvent[] {
  const files = [...Map.groupBy(events, ({ event }) => seenBy(event)).values()]
  const joined: HistoryEvent[] = []
  while (files.length > 0) {
    const which = random(files.length)
    joined.push(files[which]!.shift()!)
    if (files[which]!.length === 0) files.splice(which, 1)
  }
  return joined
}

function seenBy(event: HistoryEvent['event']): string {
  if (event === 'claim' || event === 'left' || event === 'crash') return 'owners'
  return event === 'output' || event === 'fired' || event === 'heard' ? 'downstream' : event
}

class Sound {
  readonly events: HistoryEvent[] = []
  readonly #random: Random
  readonly #isHeard: boolean
  readonly #channels: readonly Channel[]
  readonly #holders = new Map<number, { readonly owner: Owner; readonly epoch: number }>()
  #timers: Range[] = []
  #epoch = 0
  #owners = 0

  constructor(random: Random, steps: number) {
    this.#random = random
    this.#isHeard = random(4) > 0
    this.#channels = partitions.flatMap((partition) =>
      ['p', 'q'].map(
        (producer): Channel => ({ stream: 's', partition, producer, sent: 0, position: 0, after: -1 }),
      ),
    )
    this.#claim(partitions, this.#newOwner())
    for (let step = 0; step < steps; step++) this.#step(this.#channels[random(this.#channels.length)]!)
    for (const channel of this.#channels) {
      this.#send(channel, 3)
      while (channel.position < channel.sent) this.#process(channel)
      const { stream, partition, producer, position: through } = channel
      this.events.push({ event: 'acknowledged', stream, partition, producer, consumer, through })
    }
    while (this.#timers.length > 0) this.#fire()
    this.events.push({ event: 'end' })
  }

  #step(channel: Channel): void {
    const what = this.#random(40)
    if (what === 0) this.#crash(this.#holders.get(channel.partition)!.owner)
    else if (what < 3) this.#handOver(channel.partition)
    else if (what < 7) this.#fire()
    else if (what < 17) this.#send(channel, 1 + this.#random(4))
    else for (let n = this.#random(6); n >= 0; n--) this.#process(channel)
  }

  #newOwner(): Owner {
    this.#owners += 1
    return { name: `o${this.#owners}`, ticks: 0 }
  }

  #claim(list: readonly number[], owner: Owner): void {
    this.#epoch += 1
    for (const partition of list) this.#holders.set(partition, { owner, epoch: this.#epoch })
    const claim = { consumer, owner: owner.name, epoch: this.#epoch, partitions: { s: list } }
    this.events.push({ event: 'claim', ...claim })
    if (this.#isHeard) this.events.push({ event: 'heard', ...claim })
  }

  #send(channel: Channel, count: number): void {
    this.events.push({ event: 'sent', ...range(channel, channel.sent, count) })
    channel.sent += count
  }

  #process(channel: Channel): void {
    if (channel.position === channel.sent) return
    const record = range(channel, channel.position++, 1)
    const actor = this.#act(record)
    if (this.#random(8) === 0) {
      this.events.push({ event: 'dropped', ...record, consumer, reason: 'skipped' })
      return
    }
    const timer = this.#random(4) === 0 ? { timer: true as const } : {}
    const effect = { ...record, ...actor }
    this.events.push(
      { event: 'processed', ...effect },
      { event: 'output', ...effect, ...timer, after: channel.after },
    )
    if (timer.timer) this.#timers.push(record)
    channel.after = record.from
  }

  #fire(): void {
    const [timer] = this.#timers.splice(this.#random(this.#timers.length), 1)
    if (timer !== undefined) this.events.push({ event: 'fired', ...timer, ...this.#act(timer) })
  }

  /** A callback of the partition's owner. */
  #act({ partition }: Range) {
    const { owner, epoch } = this.#holders.get(partition)!
    owner.ticks += 2
    return { consumer, owner: owner.name, epoch, ticks: [owner.ticks - 2, owner.ticks - 1] as const }
  }

  #handOver(partition: number): void {
    const { owner, epoch } = this.#holders.get(partition)!
    const other = this.#holders.get(1 - partition)!.owner
    const ofPartition = this.#channels.filter((channel) => channel.partition === partition)
    const through = Object.fromEntries(ofPartition.map(({ producer, position }) => [producer, position]))
    const taker = other === owner || this.#random(2) === 0 ? this.#newOwner() : other
    this.events.push({
      ...{ event: 'left', stream: 's', partition, consumer, owner: owner.name, epoch, through },
      next: taker.name,
    })
    this.#holders.delete(partition)
    if (this.#random(4) > 0) return this.#claim([partition], taker)
    this.#crash(this.#random(2) === 0 ? owner : taker)
    this.#lose(partition)
    this.#claim([partition], this.#newOwner())
  }

  #crash(owner: Owner): void {
    this.events.push({ event: 'crash', consumer, owner: owner.name })
    const had = [...this.#holders].flatMap(([partition, holder]) =>
      holder.owner === owner ? [partition] : [],
    )
    for (const channel of this.#channels.filter(({ partition }) => had.includes(partition))) {
      const gone = this.#random(1 + Math.min(3, channel.sent - channel.position))
      if (gone > 0)
        this.events.push({ event: 'unaccounted', ...range(channel, channel.position, gone), consumer })
      channel.position += gone
    }
    for (const partition of had) this.#lose(partition)
    if (had.length > 0) this.#claim(had, this.#newOwner())
  }

  /** The state of a partition, with some of its timers. */
  #lose(partition: number): void {
    for (const channel of this.#channels) if (channel.partition === partition) channel.after = -1
    this.#timers = this.#timers.filter((timer) => timer.partition !== partition || this.#random(2) === 0)
  }
}

function range({ stream, partition, producer }: Channel, from: number, count: number): Range {
  return { stream, partition, producer, from, count }
}
