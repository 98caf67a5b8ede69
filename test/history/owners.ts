/**
 * Owners: who had which partition of one consumer, as its claims, orderly leavings and crashes say; and effects of those who had it not
 * (I8).
 *
 *   WO1. Claims, leavings and crashes of a consumer count in their order. Effects are compared with them by epoch and position, since
 *        their lines may come from another file (H2 of channel.ts).
 *   WO2. What an owner says behind its crash is not believed: it may be thought dead and live on. A claim then is of a tenure that its crash
 *        has ended.
 *   WO3. If nobody claims anything, any owner that has crashed may have had any partition.
 *   WO4. A claim that was heard downstream stands in one order with what is put out: behind it nothing of an earlier epoch is right, even if its
 *        owner, of whatever slot, has put out nothing yet.
 * @module
 */
import type { Kind } from './channel.ts'
import type { Actor, Claim, Effect, HistoryEvent, Range } from './event.ts'
import { Intervals } from './intervals.ts'

type Place = Pick<Range, 'stream' | 'partition'>
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

/** Where an owner has stopped, each time that it left a partition. */
export type LeftAt = (owner: string, epoch: number) => readonly number[]

interface Owned {
  last: Tenure
  /** Epochs of tenures that crashes have ended. */
  readonly crashes: Intervals
  /** By epoch. */
  readonly left: Map<number, Leaving[]>
}

/** Effects that are seen downstream. */
const effects = ['output', 'fired'] as const

export class Owners {
  /** By stream and partition. */
  readonly #owned = new Map<string, Owned>()
  readonly #claimed = new Set<string>()
  readonly #crashed = new Set<string>()
  /** By kind of effect, stream and partition. */
  readonly #holders = new Map<string, Actor>()
  /** First effect of each owner in a partition that it has not claimed so far, by `OWNER EPOCH STREAM PARTITION`. */
  readonly #unclaimed = new Map<string, Range>()
  /** By owner, or by isolate. */
  readonly #ticks = { processed: new Map<string, Intervals>(), output: new Map<string, Intervals>() }

  onClaim({ owner, epoch, partitions }: Claim, report: ReportAt): void {
    for (const [stream, list] of Object.entries(partitions))
      for (const partition of list) {
        this.#claims(owner, epoch, { stream, partition })
        if (this.#crashed.has(owner)) this.#endAt({ stream, partition }, owner, epoch)
        else this.#take({ stream, partition }, owner, epoch, report)
      }
  }

  /** From now on the partitions are its own, as if it had put out something (WO4). */
  onHeard(event: Claim): void {
    for (const [stream, list] of Object.entries(event.partitions))
      for (const partition of list) {
        this.#claims(event.owner, event.epoch, { stream, partition })
        for (const effect of effects) {
          const place = `${effect} ${stream} ${partition}`
          if (event.epoch > (this.#holders.get(place)?.epoch ?? -1)) this.#holders.set(place, event)
        }
      }
  }

  onLeft(event: Leaving): void {
    const owned = this.#owned.get(keyOf(event))
    const { owner, epoch, state } = owned?.last ?? {}
    if (state !== 'has' || owner !== event.owner || epoch !== event.epoch) return
    owned!.last.state = 'left'
    owned!.last.next = event.next
    owned!.left.set(event.epoch, [...(owned!.left.get(event.epoch) ?? []), event])
    if (event.next !== undefined && this.#crashed.has(event.next)) endEpoch(owned!, event.epoch)
  }

  onCrash(owner: string): void {
    this.#crashed.add(owner)
    for (const owned of this.#owned.values()) {
      const { last } = owned
      if (last.owner !== owner && last.next !== owner) continue
      endEpoch(owned, last.epoch)
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
    if (!this.#claimed.has(actor) && !this.#unclaimed.has(actor)) this.#unclaimed.set(actor, event)
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

  /** Values of its counter of callbacks that were seen in this kind of effects; those of timers are among the outputs'. */
  ticks({ event, owner, isolate }: Effect): Intervals {
    const byOwner = this.#ticks[event === 'processed' ? event : 'output']
    const counter = isolate ?? owner
    let ticks = byOwner.get(counter)
    if (ticks === undefined) {
      ticks = new Intervals()
      byOwner.set(counter, ticks)
    }
    return ticks
  }

  judge(report: ReportAt): void {
    if (this.#claimed.size === 0) return
    for (const [actor, range] of this.#unclaimed) {
      const [owner, epoch] = actor.split(' ')
      report('wrong-owner', range, `by ${owner} in epoch ${epoch}, which never claimed the partition`)
    }
  }

  /** The crashes that concern a partition. */
  crashesOf(place: Place): HasCrashed {
    const isAny = this.#owned.size === 0 && this.#crashed.size > 0
    const crashes = this.#owned.get(keyOf(place))?.crashes
    return (from, before) => isAny || (crashes?.hasAny(from, before) ?? false)
  }

  /** For the records of one producer. */
  leftAt(channel: Pick<Range, 'stream' | 'partition' | 'producer'>): LeftAt {
    const left = this.#owned.get(keyOf(channel))?.left
    return (owner, epoch) =>
      (left?.get(epoch) ?? [])
        .filter((leaving) => leaving.owner === owner)
        .map(({ through }) => through[channel.producer] ?? 0)
  }

  #claims(owner: string, epoch: number, { stream, partition }: Place): void {
    const actor = `${owner} ${epoch} ${stream} ${partition}`
    this.#claimed.add(actor)
    this.#unclaimed.delete(actor)
  }

  /** WO2. */
  #endAt(place: Place, owner: string, epoch: number): void {
    const owned = this.#owned.get(keyOf(place)) ?? this.#begin(place, { owner, epoch, state: 'ended' })
    endEpoch(owned, epoch)
  }

  #take(place: Place, owner: string, epoch: number, report: ReportAt): void {
    const next: Tenure = { owner, epoch, state: 'has' }
    const owned = this.#owned.get(keyOf(place))
    if (owned === undefined) {
      this.#begin(place, next)
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

  #begin(place: Place, last: Tenure): Owned {
    const owned = { last, crashes: new Intervals(), left: new Map() }
    this.#owned.set(keyOf(place), owned)
    return owned
  }
}

function endEpoch({ crashes }: Owned, epoch: number): void {
  crashes.add(epoch, epoch + 1)
}

function keyOf({ stream, partition }: Place): string {
  return `${stream} ${partition}`
}
