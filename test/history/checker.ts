/**
 * Checker: reads a history event by event and reports what is wrong with it. Findings: docs/design/0010-histories.md.
 *
 *   H3. Memory grows with channels, owners and gaps, not with records or events.
 *   H4. For each kind of finding all records are counted, and the first `examplesMax` findings are kept.
 * @module
 */
import { ChannelAccount, type Kind } from './channel.ts'
import type { Actor, HistoryEvent, Layer, Range } from './event.ts'
import { Intervals } from './intervals.ts'

const examplesMax = 20

/** Records at fault. */
export interface Finding extends Range {
  readonly kind: Kind
  readonly consumer: string
  readonly why: string
}

export interface Verdict {
  readonly sound: boolean
  readonly ended: boolean
  readonly events: number
  readonly counts: Readonly<Record<string, number>>
  /** Records at fault, by kind. */
  readonly records: Readonly<Partial<Record<Kind, number>>>
  readonly findings: readonly Finding[]
}

interface Channel {
  readonly stream: string
  readonly partition: number
  readonly producer: string
  readonly sent: Intervals
}

interface Holder {
  readonly owner: string
  readonly epoch: number
}

interface ConsumerAccount {
  readonly channels: Map<string, { readonly channel: Channel; readonly account: ChannelAccount }>
  /** By layer, stream and partition. */
  readonly holders: Map<string, Holder>
  /** First effect of each owner in each partition, by `OWNER EPOCH STREAM PARTITION`. */
  readonly actors: Map<string, Range>
  readonly claimed: Set<string>
  /** By stream and partition. */
  readonly claims: Map<string, Holder[]>
  readonly crashed: Set<string>
}

export class Checker {
  readonly #complete: Layer
  readonly #channels = new Map<string, Channel>()
  readonly #consumers = new Map<string, ConsumerAccount>()
  readonly #consumersOf = new Map<string, Set<string>>()
  readonly #findings: Finding[] = []
  readonly #records: Partial<Record<Kind, number>> = {}
  readonly #examples = new Map<Kind, number>()
  #events = 0
  #sent = 0
  #ended = false

  constructor(complete: Layer) {
    this.#complete = complete
  }

  see(event: HistoryEvent): void {
    this.#events += 1
    switch (event.event) {
      case 'note':
        return
      case 'end':
        this.#ended = true
        return
      case 'sent':
        return this.#onSent(event)
      case 'claim':
        return this.#onClaim(event)
      case 'crash':
        this.#consumer(event.consumer).crashed.add(event.owner)
        return
      default: {
        const consumer = this.#consumer(event.consumer)
        const channel = this.#channel(event)
        if (event.event === 'processed' || event.event === 'output' || event.event === 'fired')
          this.#checkHolder(consumer, event)
        this.#account(consumer, event.consumer, channel).see(event, this.#reporter(event.consumer, channel))
      }
    }
  }

  verdict(): Verdict {
    const counts: Record<string, number> = {
      sent: this.#sent,
      processed: 0,
      output: 0,
      dropped: 0,
      unaccounted: 0,
    }
    for (const channel of this.#channels.values()) {
      for (const name of this.#consumersOf.get(channel.stream) ?? []) {
        const consumer = this.#consumer(name)
        const account = this.#account(consumer, name, channel)
        const report = this.#reporter(name, channel)
        const between = crashedBetween(consumer, channel)
        account.judge(channel.sent, this.#complete, this.#ended, consumer.crashed, between, report)
        for (const [count, records] of Object.entries(account.counts())) counts[count]! += records
      }
    }
    for (const [name, consumer] of this.#consumers) this.#checkClaims(name, consumer)
    return {
      sound: this.#findings.length === 0,
      ended: this.#ended,
      events: this.#events,
      counts,
      records: { ...this.#records },
      findings: [...this.#findings],
    }
  }

  #onSent(event: Range): void {
    const { sent } = this.#channel(event)
    this.#sent += event.count
    const to = event.from + event.count
    for (const [from, end] of sent.add(event.from, to)) {
      this.#sent -= end - from
      this.#report('repeat', '', event, from, end, 'two records were sent under one number')
    }
  }

  #onClaim({
    consumer: name,
    owner,
    epoch,
    partitions,
  }: Actor & { partitions: Readonly<Record<string, readonly number[]>> }): void {
    const { claimed, claims } = this.#consumer(name)
    for (const [stream, list] of Object.entries(partitions)) {
      this.#reads(name, stream)
      for (const partition of list) {
        claimed.add(`${owner} ${epoch} ${stream} ${partition}`)
        const place = `${stream} ${partition}`
        claims.set(place, [...(claims.get(place) ?? []), { owner, epoch }])
      }
    }
  }

  /** I8, as far as it shows in the order of one partition: epochs only grow, and each has one owner. */
  #checkHolder(consumer: ConsumerAccount, event: Range & Actor & { readonly event: string }): void {
    const { stream, partition, from, count, owner, epoch } = event
    const place = `${event.event} ${stream} ${partition}`
    const holder = consumer.holders.get(place)
    if (holder?.owner === owner && holder.epoch === epoch) return
    const actor = `${owner} ${epoch} ${stream} ${partition}`
    if (!consumer.actors.has(actor)) consumer.actors.set(actor, event)
    const wrong =
      holder === undefined || epoch > holder.epoch
        ? undefined
        : epoch === holder.epoch
          ? `by ${owner} in epoch ${epoch}, which is ${holder.owner}'s`
          : `by ${owner} in epoch ${epoch}, after ${holder.owner} in epoch ${holder.epoch}`
    if (wrong === undefined) consumer.holders.set(place, { owner, epoch })
    else this.#report('wrong-owner', event.consumer, event, from, from + count, `${event.event} ${wrong}`)
  }

  #checkClaims(name: string, { actors, claimed }: ConsumerAccount): void {
    if (claimed.size === 0) return
    for (const [actor, range] of actors) {
      if (claimed.has(actor)) continue
      const [owner, epoch] = actor.split(' ')
      const why = `by ${owner} in epoch ${epoch}, which never claimed the partition`
      this.#report('wrong-owner', name, range, range.from, range.from + range.count, why)
    }
  }

  #channel({ stream, partition, producer }: Pick<Range, 'stream' | 'partition' | 'producer'>): Channel {
    const key = `${stream} ${partition} ${producer}`
    let channel = this.#channels.get(key)
    if (channel === undefined) {
      channel = { stream, partition, producer, sent: new Intervals() }
      this.#channels.set(key, channel)
    }
    return channel
  }

  #consumer(name: string): ConsumerAccount {
    let consumer = this.#consumers.get(name)
    if (consumer === undefined) {
      consumer = {
        channels: new Map(),
        holders: new Map(),
        actors: new Map(),
        claimed: new Set(),
        claims: new Map(),
        crashed: new Set(),
      }
      this.#consumers.set(name, consumer)
    }
    return consumer
  }

  #account(consumer: ConsumerAccount, name: string, channel: Channel): ChannelAccount {
    const key = `${channel.stream} ${channel.partition} ${channel.producer}`
    const found = consumer.channels.get(key)
    if (found !== undefined) return found.account
    this.#reads(name, channel.stream)
    const account = new ChannelAccount()
    consumer.channels.set(key, { channel, account })
    return account
  }

  #reads(consumer: string, stream: string): void {
    const names = this.#consumersOf.get(stream)
    if (names === undefined) this.#consumersOf.set(stream, new Set([consumer]))
    else names.add(consumer)
  }

  #reporter(consumer: string, channel: Channel): (kind: Kind, from: number, to: number, why: string) => void {
    return (kind, from, to, why) => this.#report(kind, consumer, channel, from, to, why)
  }

  #report(
    kind: Kind,
    consumer: string,
    { stream, partition, producer }: Pick<Range, 'stream' | 'partition' | 'producer'>,
    from: number,
    to: number,
    why: string,
  ): void {
    this.#records[kind] = (this.#records[kind] ?? 0) + to - from
    const examples = this.#examples.get(kind) ?? 0
    if (examples >= examplesMax) return
    this.#examples.set(kind, examples + 1)
    this.#findings.push({ kind, consumer, stream, partition, producer, from, count: to - from, why })
  }
}

/** Whether an owner that has crashed had claimed the partition between two epochs. */
function crashedBetween({ claims, crashed }: ConsumerAccount, { stream, partition }: Channel) {
  const list = claims.get(`${stream} ${partition}`) ?? []
  return (epochBefore: number, now: number): boolean =>
    list.some(({ owner, epoch }) => epoch > epochBefore && epoch < now && crashed.has(owner))
}

/** Judges a whole history. */
export function check(complete: Layer, events: Iterable<HistoryEvent>): Verdict {
  const checker = new Checker(complete)
  for (const event of events) checker.see(event)
  return checker.verdict()
}
