/**
 * ContainedRecords: up to where the records of each producer of a partition have had their effects on state, and how many
 * never will. It starts from what the owner's checkpoint says, and from nothing where there was none.
 *
 *   CR1. Records from what the state contains to the position at which a channel goes on are counted once, when the
 *        channel begins; none below is taken again.
 *   CR2. Where the owner began without state, none can be lost.
 *   CR3. Records that were set aside are below a position, and the state lacks them: out of a checkpoint they are lost, whatever
 *        became of them afterwards.
 * Design: docs/design/0008-checkpoints.md
 * @module
 */
import type { BeaconEntry } from '../messages/beacon.ts'
import { type InChannel, positionOf } from './in-channel.ts'

/** Of one producer. */
export interface Contained {
  readonly producer: string
  readonly origin: string
  readonly epoch: number
  /** Behind the last record whose effects the state contains. */
  readonly through: number
  /** How many before it were set aside, and not tried again yet; absent: none. */
  readonly aside?: number
}

/** Of a partition of a stream: what state contains, and how many records it lacks for good. */
export interface StatePositions {
  readonly lost: number
  readonly positions: readonly Contained[]
}

export class ContainedRecords {
  /** Of producers that have no channel: silent ones, and those that were not heard yet. */
  readonly #silent: Map<string, Contained>
  readonly #hadState: boolean
  #lost: number

  constructor(start: StatePositions | undefined) {
    const { lost = 0, positions = [] } = start ?? {}
    this.#silent = new Map(positions.map(({ aside: _, ...each }) => [each.producer, each]))
    this.#hadState = start !== undefined
    this.#lost = positions.reduce((sum, { aside = 0 }) => sum + aside, lost)
  }

  get lost(): number {
    return this.#lost
  }

  /** Where the channel of a producer begins (CR1). */
  begin(producer: string, { position, from }: Pick<BeaconEntry, 'position' | 'from'>): number {
    const since = Math.max(this.#silent.get(producer)?.through ?? from, from) // what lies before was for nobody
    const isKnown = this.#silent.delete(producer)
    if (!this.#hadState && !isKnown) return position
    this.#lost += Math.max(0, position - since)
    return Math.max(position, since)
  }

  /** The channel of a producer is given up; it may speak again. */
  end(channel: InChannel): void {
    if (channel.expected !== undefined) this.#silent.set(channel.producer, containedOf(channel))
  }

  /** Producers of an origin that a higher epoch has now will not speak again. */
  dropOlder(origin: string, epoch: number): void {
    for (const [producer, each] of this.#silent)
      if (each.origin === origin && each.epoch < epoch) this.#silent.delete(producer)
  }

  /** As the next owner is to be told. */
  with(channels: Iterable<InChannel>): StatePositions {
    const positions = new Map(this.#silent)
    for (const channel of channels)
      if (channel.expected !== undefined) positions.set(channel.producer, containedOf(channel))
    return { lost: this.#lost, positions: [...positions.values()] }
  }
}

function containedOf(channel: InChannel): Contained {
  const { producer, origin, epoch } = channel
  const { through, aside } = positionOf(channel)
  return { producer, origin, epoch, through, ...(aside > 0 && { aside }) }
}
