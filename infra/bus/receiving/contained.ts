/**
 * ContainedRecords: up to where the records of each producer of a partition have had their effects on state, and how many
 * never will. It starts from what the owner's checkpoint says, and from nothing where there was none.
 *
 *   CR1. Records from what the state contains to the position at which a channel goes on are counted once, when the
 *        channel begins; none below is taken again.
 *   CR2. Where the owner began without state, none can be lost.
 *   CR3. Records that were set aside are below a position, and the state lacks them: out of a checkpoint they are lost, whatever
 *        became of them afterwards.
 *   CR4. What has had its effects on state in a format that is open alone is lost when the version of that format goes, and contained
 *        for good once the format is settled (docs/design/0032-migrate.md).
 * Design: docs/design/0008-checkpoints.md
 * @module
 */
import type { StateFormat } from '../../../sdk/function.ts'
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

/** Records that were processed by a version that may go again, and the format in which alone their effects on state are. */
export interface OpenRecords {
  readonly format: number
  readonly records: number
}

/** Of a partition of a stream: what state contains, and how many records it lacks for good. */
export interface StatePositions {
  readonly lost: number
  /** Of those that it contains; absent: none. */
  readonly open?: OpenRecords
  readonly positions: readonly Contained[]
}

export class ContainedRecords {
  /** Of producers that have no channel: silent ones, and those that were not heard yet. */
  readonly #silent: Map<string, Contained>
  readonly #hadState: boolean
  #lost: number
  #open: OpenRecords | undefined

  constructor(start: StatePositions | undefined) {
    const { lost = 0, open, positions = [] } = start ?? {}
    this.#silent = new Map(positions.map(({ aside: _, ...each }) => [each.producer, each]))
    this.#hadState = start !== undefined
    this.#lost = positions.reduce((sum, { aside = 0 }) => sum + aside, lost)
    this.#open = open
  }

  get lost(): number {
    return this.#lost
  }

  /** So many records have had their effects in a format that is open. */
  addOpen(format: number, records: number): void {
    if (this.#open !== undefined && this.#open.format !== format) {
      this.#lost += this.#open.records // of a version that has gone
      this.#open = undefined
    }
    this.#open = { format, records: (this.#open?.records ?? 0) + records }
  }

  /** State is used in this format from now on, as arenas are told (`tableFor` in sdk/runtime/arena/formats.ts): any other that was open is void. */
  useFormat(format: StateFormat | undefined): void {
    if (this.#open === undefined || format === undefined) return
    if (this.#open.format !== format.own) this.#lost += this.#open.records
    else if (format.kept < format.own) return
    this.#open = undefined
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
    return { lost: this.#lost, ...(this.#open && { open: this.#open }), positions: [...positions.values()] }
  }
}

function containedOf(channel: InChannel): Contained {
  const { producer, origin, epoch } = channel
  const { through, aside } = positionOf(channel)
  return { producer, origin, epoch, through, ...(aside > 0 && { aside }) }
}
