/**
 * Allowance: how much of one stream may be *out* (sent and not acknowledged) at each consumer, told before it is. When a
 * producer is killed, the last allowance that it told bounds what was lost with it.
 *
 *   AL1. Nothing is sent, or taken into memory that would be lost with the process, before a bound that covers it was told.
 *   AL2. A bound is raised to a quarter and `spareRecords` more than is in flight, and falls by a quarter each time it is
 *        `lowered`; while nothing is sent it falls to what is in flight, so an idle producer that is killed has lost nothing.
 *        Unaccounted records are added to it.
 * Design: docs/design/0002-channels.md, "The account of a producer that is killed"
 * @module
 */

const spareRecords = 16

/** Adds records that are out at a consumer: in flight, and unaccounted. */
export type AddOut = (consumer: string, inFlight: number, unaccounted?: number) => void

export class Allowance {
  readonly #eachOut: (add: AddOut) => void
  readonly #tell: () => void
  /** Bounds for what is in flight, by consumer. */
  readonly #bounds = new Map<string, number>()
  /** In flight and unaccounted, as of the last look. */
  readonly #out = new Map<string, number>()
  readonly #unaccounted = new Map<string, number>()
  readonly #addOut: AddOut = (consumer, inFlight, unaccounted = 0) => {
    this.#out.set(consumer, (this.#out.get(consumer) ?? 0) + inFlight)
    this.#unaccounted.set(consumer, (this.#unaccounted.get(consumer) ?? 0) + unaccounted)
  }
  /** How many records can be sent before the next look. */
  #room = 0
  /** True if something was sent since the bounds were last lowered. */
  #isBusy = false

  /**
   * @param eachOut Reports what is out, for instance per partition.
   * @param tell Called when bounds have been raised, before the frame that needed it is sent.
   */
  constructor(eachOut: (add: AddOut) => void, tell: () => void) {
    this.#eachOut = eachOut
    this.#tell = tell
  }

  /** Counts records that are about to be sent. */
  spend(records: number): void {
    this.#isBusy = true
    this.#room -= records
    if (this.#room < 0 && this.#look((bound, out) => (out > bound ? withSpare(out) : bound))) this.#tell()
  }

  /** Notes that consumers have come or gone. */
  changed(): void {
    this.#room = 0
  }

  /** Lowers the bounds towards what is out, never raises them. @returns The new bounds; it is safe if they are not heard. */
  lowered(): ReadonlyMap<string, number> {
    const nearest = this.#isBusy ? withSpare : (out: number) => out
    this.#isBusy = false
    this.#look((bound, out) => Math.min(bound, Math.max(nearest(out), Math.floor((bound * 3) / 4))))
    return this.#sums()
  }

  /** The present bounds. */
  get bounds(): ReadonlyMap<string, number> {
    this.#look((bound) => bound)
    return this.#sums()
  }

  #sums(): ReadonlyMap<string, number> {
    return new Map(
      [...this.#bounds].map(([name, bound]) => [name, bound + (this.#unaccounted.get(name) ?? 0)]),
    )
  }

  /** @returns Whether a bound has grown. */
  #look(boundFor: (bound: number, out: number) => number): boolean {
    let grown = false
    this.#room = Number.POSITIVE_INFINITY
    this.#out.clear()
    this.#unaccounted.clear()
    this.#eachOut(this.#addOut)
    for (const [consumer, out] of this.#out) {
      const before = this.#bounds.get(consumer) ?? 0
      const bound = boundFor(before, out)
      grown ||= bound > before
      this.#bounds.set(consumer, bound)
      this.#room = Math.min(this.#room, bound - out)
    }
    return grown
  }
}

function withSpare(out: number): number {
  return out + Math.floor(out / 4) + spareRecords
}
