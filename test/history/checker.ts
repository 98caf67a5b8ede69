/**
 * Checker: reads a history event by event and reports what is wrong with it. Findings: docs/design/0010-histories.md.
 *
 *   H3. Memory grows with channels, owners and gaps, not with records or events.
 *   H4. For each kind of finding all records are counted, and the first `examplesMax` findings are kept.
 * @module
 */
import { ChannelAccount, type Kind } from './channel.ts'
import type { HistoryEvent, Layer, Range } from './event.ts'
import { Intervals } from './intervals.ts'
import { Owners, type ReportAt } from './owners.ts'

export const examplesMax = 20

/** Records at fault; with a count of 0 the partition. */
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

interface ConsumerAccount {
  readonly accounts: Map<Channel, ChannelAccount>
  readonly owners: Owners
}

export class Checker {
  readonly #complete: Layer
  readonly #overcountMax: number
  readonly #channels = new Map<string, Channel>()
  readonly #consumers = new Map<string, ConsumerAccount>()
  readonly #consumersOf = new Map<string, Set<string>>()
  readonly #findings: Finding[] = []
  readonly #records: Partial<Record<Kind, number>> = {}
  readonly #examples = new Map<Kind, number>()
  #events = 0
  #sent = 0
  #ended = false

  constructor(complete: Layer, overcountMax = 0) {
    this.#complete = complete
    this.#overcountMax = overcountMax
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
        for (const stream of Object.keys(event.partitions)) this.#reads(event.consumer, stream)
        return this.#consumer(event.consumer).owners.onClaim(event, this.#reportOf(event.consumer))
      case 'heard':
        return this.#consumer(event.consumer).owners.onHeard(event)
      case 'left':
        return this.#consumer(event.consumer).owners.onLeft(event)
      case 'crash':
        return this.#consumer(event.consumer).owners.onCrash(event.owner)
      default: {
        const consumer = this.#consumer(event.consumer)
        const channel = this.#channel(event)
        const isEffect = event.event === 'processed' || event.event === 'output' || event.event === 'fired'
        if (isEffect) consumer.owners.onEffect(event, this.#reportOf(event.consumer))
        const ticks = isEffect && event.ticks ? consumer.owners.ticks(event) : undefined
        this.#account(consumer, event.consumer, channel).see(
          event,
          ticks,
          this.#reporter(event.consumer, channel),
        )
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
        const around = {
          ...{ sent: channel.sent, complete: this.#complete, ended: this.#ended },
          leftAt: consumer.owners.leftAt(channel),
          hasCrashed: consumer.owners.crashesOf(channel),
        }
        account.judge(around, report)
        for (const [count, records] of Object.entries(account.counts())) counts[count]! += records
      }
    }
    for (const [name, consumer] of this.#consumers) {
      consumer.owners.judge(this.#reportOf(name))
      this.#judgeOvercount(name, consumer)
    }
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

  /** A producer may give up what its owner had put out, and could not say any more; but only so much. */
  #judgeOvercount(name: string, { accounts }: ConsumerAccount): void {
    const all = Array.from(accounts, ([channel, account]) => ({ channel, parts: account.overcounted() }))
    const total = all.reduce((sum, { parts }) => sum + new Intervals(parts).size, 0)
    if (total <= this.#overcountMax) return
    const why = `given up, and yet there is an output: ${total} are, and ${this.#overcountMax} may be`
    for (const { channel, parts } of all)
      for (const [from, to] of parts) this.#report('overcount', name, channel, from, to, why)
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
      consumer = { accounts: new Map(), owners: new Owners() }
      this.#consumers.set(name, consumer)
    }
    return consumer
  }

  #account(consumer: ConsumerAccount, name: string, channel: Channel): ChannelAccount {
    let account = consumer.accounts.get(channel)
    if (account === undefined) {
      this.#reads(name, channel.stream)
      account = new ChannelAccount()
      consumer.accounts.set(channel, account)
    }
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

  #reportOf(consumer: string): ReportAt {
    return (kind, range, why) =>
      this.#report(kind, consumer, range, range.from, range.from + range.count, why)
  }

  #report(
    kind: Kind,
    consumer: string,
    { stream, partition, producer }: Pick<Range, 'stream' | 'partition' | 'producer'>,
    from: number,
    to: number,
    why: string,
  ): void {
    this.#records[kind] = (this.#records[kind] ?? 0) + Math.max(1, to - from)
    const examples = this.#examples.get(kind) ?? 0
    if (examples >= examplesMax) return
    this.#examples.set(kind, examples + 1)
    this.#findings.push({ kind, consumer, stream, partition, producer, from, count: to - from, why })
  }
}

/** Judges a whole history. @param overcountMax As in the header. */
export function check(complete: Layer, events: Iterable<HistoryEvent>, overcountMax = 0): Verdict {
  const checker = new Checker(complete, overcountMax)
  for (const event of events) checker.see(event)
  return checker.verdict()
}
