/**
 * Owners: who had which partition of one consumer, as its claims, orderly leavings and crashes say; and effects of those who had it not
 * (I8).
 *
 *   WO1. Claims, leavings and crashes of a consumer count in their order. Effects are compared with them by epoch and position, since
 *        their lines may come from another file (H2 of channel.ts).
 *   WO2. What an owner says behind its crash is not believed: it may be thought dead and live on. A claim then is of a tenure that its crash
 *        has ended.
 *   WO3. If nobody claims anything, any owner that has crashed may have had any partition.
 * @module
 */
import type { Kind } from './channel.ts'
import type { Actor, HistoryEvent, Range } from './event.ts'
import { Intervals } from './intervals.ts'

type Place = Pick<Range, 'stream' | 'partition'>
type Claim = Extract<HistoryEvent, { event: 'claim' }>
type Leaving = Extract<HistoryEvent, { event: 'left' }>

/** Says that records of a range are at fault; a range of none is the partition. */
export type ReportAt = (kind: Kind, range: Range, why: string) => void

interface Tenure {
  readonly owner: string
  readonly epoch: number
  state: 'has' | 'left' | 'ended'
  /** To whom it was left. */
  next?: string | undefined
}

/**
 * Whether a crash has ended what was owned from one epoch until before another. What was left is on its way until the next claim: state, and
 * the word that it was left. It may end with the owner that left it or with the one to which it was left.
 */
export type HasCrashed = (from: number, before: number) => boolean

/** Where an owner has stopped. */
export interface Left {
  readonly owner: string
  readonly epoch: number
  readonly through: number
}

interface Owned {
  last: Tenure
  /** Epochs of tenures that crashes have ended. */
  readonly crashes: number[]
  readonly left: Leaving[]
}

export class Owners {
  /** By stream and partition. */
  readonly #owned = new Map<string, Owned>()
  readonly #claimed = new Set<string>()
  readonly #crashed = new Set<string>()
  /** By kind of effect, stream and partition. */
  readonly #holders = new Map<string, Actor>()
  /** First effect of each owner in each partition, by `OWNER EPOCH STREAM PARTITION`. */
  readonly #actors = new Map<string, Range>()
  readonly #ticks = new Map<string, Intervals>()

  onClaim({ owner, epoch, partitions }: Claim, report: ReportAt): void {
    for (const [stream, list] of Object.entries(partitions))
      for (const partition of list) {
        this.#claimed.add(`${owner} ${epoch} ${stream} ${partition}`)
        if (this.#crashed.has(owner)) this.#endAt({ stream, partition }, owner, epoch)
        else this.#take({ stream, partition }, owner, epoch, report)
      }
  }

  onLeft(event: Leaving): void {
    const owned = this.#owned.get(keyOf(event))
    const { owner, epoch, state } = owned?.last ?? {}
    if (state !== 'has' || owner !== event.owner || epoch !== event.epoch) return
    owned!.last.state = 'left'
    owned!.last.next = event.next
    owned!.left.push(event)
    if (event.next !== undefined && this.#crashed.has(event.next)) owned!.crashes.push(event.epoch)
  }

  onCrash(owner: string): void {
    this.#crashed.add(owner)
    for (const { last, crashes } of this.#owned.values()) {
      if (last.owner !== owner && last.next !== owner) continue
      crashes.push(last.epoch)
      if (last.state === 'has') last.state = 'ended'
    }
  }

  /** As far as it shows in the order of one partition: epochs only grow, and each has one owner. */
  onEffect(event: Range & Actor & { readonly event: string }, report: ReportAt): void {
    const { stream, partition, owner, epoch } = event
    const place = `${event.event} ${stream} ${partition}`
    const holder = this.#holders.get(place)
    if (holder?.owner === owner && holder.epoch === epoch) return
    const actor = `${owner} ${epoch} ${stream} ${partition}`
    if (!this.#actors.has(actor)) this.#actors.set(actor, event)
    if (holder === undefined || epoch > holder.epoch) {
      this.#holders.set(place, event)
      return
    }
    const wrong =
      epoch === holder.epoch
        ? `by ${owner} in epoch ${epoch}, which is ${holder.owner}'s`
        : `by ${owner} in epoch ${epoch}, after ${holder.owner} in epoch ${holder.epoch}`
    report('wrong-owner', event, `${event.event} ${wrong}`)
  }

  /** Values of the owner's counter of callbacks that were seen in this kind of effects; those of timers are among the outputs'. */
  ticks(event: string, owner: string): Intervals {
    const key = `${event === 'processed' ? event : 'output'} ${owner}`
    let ticks = this.#ticks.get(key)
    if (ticks === undefined) {
      ticks = new Intervals()
      this.#ticks.set(key, ticks)
    }
    return ticks
  }

  judge(report: ReportAt): void {
    if (this.#claimed.size === 0) return
    for (const [actor, range] of this.#actors) {
      if (this.#claimed.has(actor)) continue
      const [owner, epoch] = actor.split(' ')
      report('wrong-owner', range, `by ${owner} in epoch ${epoch}, which never claimed the partition`)
    }
  }

  /** The crashes that concern a partition. */
  crashesOf(place: Place): HasCrashed {
    const isAny = this.#claimed.size === 0 && this.#crashed.size > 0
    const crashes = this.#owned.get(keyOf(place))?.crashes ?? []
    return (from, before) => isAny || crashes.some((epoch) => epoch >= from && epoch < before)
  }

  /** Where owners that have left the partition in order have stopped with the records of one producer. */
  left(channel: Pick<Range, 'stream' | 'partition' | 'producer'>): Left[] {
    const left = this.#owned.get(keyOf(channel))?.left ?? []
    return left.map(({ owner, epoch, through }) => ({
      owner,
      epoch,
      through: through[channel.producer] ?? 0,
    }))
  }

  /** WO2. */
  #endAt(place: Place, owner: string, epoch: number): void {
    const owned = this.#owned.get(keyOf(place))
    if (owned !== undefined) owned.crashes.push(epoch)
    else this.#owned.set(keyOf(place), { last: { owner, epoch, state: 'ended' }, crashes: [epoch], left: [] })
  }

  #take(place: Place, owner: string, epoch: number, report: ReportAt): void {
    const next: Tenure = { owner, epoch, state: 'has' }
    const owned = this.#owned.get(keyOf(place))
    if (owned === undefined) {
      this.#owned.set(keyOf(place), { last: next, crashes: [], left: [] })
      return
    }
    const { last } = owned
    const none = { ...place, producer: '', from: 0, count: 0 }
    if (last.state === 'has' && last.owner !== owner)
      report('wrong-owner', none, `claimed by ${owner} in epoch ${epoch}, while ${last.owner} had it`)
    else if (epoch < last.epoch)
      report(
        'wrong-owner',
        none,
        `claimed by ${owner} in epoch ${epoch}, after ${last.owner} in ${last.epoch}`,
      )
    owned.last = next
  }
}

function keyOf({ stream, partition }: Place): string {
  return `${stream} ${partition}`
}
