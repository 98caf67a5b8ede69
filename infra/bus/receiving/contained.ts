/**
 * ContainedRecords: up to which record of each producer of a partition state contains the effects, and how many records
 * it lacks for good. It starts from the owner's checkpoint, or from nothing.
 *
 *   CR1. Records between what the state contains and the position at which a channel continues are counted as lost once,
 *        when the channel begins; none below is taken again.
 *   CR2. If the owner began without state, none are lost.
 *   CR3. Records that were set aside are below a position, but the state lacks them: after a restore they count as lost,
 *        whatever became of them.
 *   CR4. Records with effects only in an open format are lost when the version of that format is withdrawn, and contained
 *        for good once the format is settled (docs/design/0032-migrate.md).
 *   CR5. Of silent producers only the newest `silentMax` are kept and passed on: a gateway is another producer each time that it
 *        starts, and most are never heard again. One that is heard after that counts as lost whole, and is not done again.
 * Design: docs/design/0008-checkpoints.md
 * @module
 */
import type { StateFormat } from '../../../sdk/function.ts'
import { isPromoted } from '../../../sdk/versions/state-format.ts'
import type { BeaconEntry } from '../messages/beacon.ts'
import { acknowledgedOf, type InChannel, type InPosition, positionOf } from './in-channel.ts'

/** In a manifest each takes about 110 bytes, and NATS takes 1 MiB. */
const silentMax = 1_000

/** What state contains of one producer. */
export interface Contained {
  readonly producer: string
  readonly origin: string
  readonly epoch: number
  /** Behind the last record whose effects the state contains. */
  readonly through: number
  /** How many before it were set aside and wait for a retry; absent: none. */
  readonly aside?: number
}

/** Records whose effects on state are only in the format of a version that may be withdrawn. */
export interface OpenRecords {
  readonly format: number
  readonly records: number
}

/** What state contains of a partition of a stream, and how many records it lacks for good. */
export interface StatePositions {
  readonly lost: number
  /** Contained records in an open format; absent: none. */
  readonly open?: OpenRecords
  readonly positions: readonly Contained[]
}

export class ContainedRecords {
  /** Positions of producers without a channel: silent ones, and those not heard yet; the newest last. */
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

  /** Counts records with effects in an open format. */
  addOpen(format: number, records: number): void {
    if (this.#open !== undefined && this.#open.format !== format) {
      this.#lost += this.#open.records // of a withdrawn version
      this.#open = undefined
    }
    this.#open = { format, records: (this.#open?.records ?? 0) + records }
  }

  /**
   * Says that state is used in this format from now on, as arenas are told (`tableFor` in sdk/runtime/arena/formats.ts): what
   * was promoted is settled, and any other open one is void.
   */
  useFormat(format: StateFormat | undefined): void {
    if (this.#open === undefined || format === undefined) return
    const { own, kept } = format
    const { format: open, records } = this.#open
    if (open === own && kept < own) return
    if (open !== own && !isPromoted(format, open)) this.#lost += records
    this.#open = undefined
  }

  /** Where the channel of a producer begins (CR1). */
  begin(producer: string, { position, from }: Pick<BeaconEntry, 'position' | 'from'>): number {
    const since = Math.max(this.#silent.get(producer)?.through ?? from, from) // earlier records were for nobody
    const isKnown = this.#silent.delete(producer)
    if (!this.#hadState && !isKnown) return position
    this.#lost += Math.max(0, position - since)
    return Math.max(position, since)
  }

  /** A silent channel is given up; its producer may be heard again. */
  end(channel: InChannel): void {
    if (channel.expected === undefined) return
    this.#silent.set(channel.producer, containedOf(channel, positionOf(channel)))
    for (const [oldest] of this.#silent) {
      if (this.#silent.size <= silentMax) break // CR5
      this.#silent.delete(oldest)
    }
  }

  /** Forgets producers of a slot that has a higher epoch now: they will not be heard again. */
  dropOlder(origin: string, epoch: number): void {
    for (const [producer, each] of this.#silent)
      if (each.origin === origin && each.epoch < epoch) this.#silent.delete(producer)
  }

  /** Positions for the next owner. */
  with(channels: Iterable<InChannel>, at: 'done' | 'acknowledged' = 'done'): StatePositions {
    // CR5. Here the others stay: soon after a start, live ones may be among them.
    const positions = new Map([...this.#silent].slice(-silentMax))
    for (const channel of channels) {
      if (channel.expected === undefined) continue
      const position = at === 'done' ? positionOf(channel) : acknowledgedOf(channel)
      positions.set(channel.producer, containedOf(channel, position))
    }
    return { lost: this.#lost, ...(this.#open && { open: this.#open }), positions: [...positions.values()] }
  }
}

function containedOf(
  channel: InChannel,
  { through, aside }: Pick<InPosition, 'through' | 'aside'>,
): Contained {
  const { producer, origin, epoch } = channel
  return { producer, origin, epoch, through, ...(aside > 0 && { aside }) }
}
