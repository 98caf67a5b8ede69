/**
 * Allowance: how much of one stream may be *out* (sent, and not heard of since) at each consumer, told before it is. A
 * producer that is killed says nothing more; what was told last bounds what it took along.
 *
 *   AL1. Nothing is sent, nor taken where it would end with the process, before a bound was told that covers it.
 *   AL2. A bound is raised by a quarter and `spareRecords` beyond what is in flight, and falls by a quarter each time it is `lowered`;
 *        while nothing is sent to what is, so that who is killed in its sleep has lost nothing. What is unaccounted comes on top.
 * Design: docs/design/0002-channels.md, "The account of a producer that is killed"
 * @module
 */

const spareRecords = 16

/** Takes records that are out at a consumer: in flight, and of owners that were killed. */
export type AddOut = (consumer: string, inFlight: number, unaccounted?: number) => void

export class Allowance {
  readonly #eachOut: (add: AddOut) => void
  readonly #tell: () => void
  /** Of what is in flight. */
  readonly #bounds = new Map<string, number>()
  /** What is in flight, and unaccounted, as of the last look. */
  readonly #out = new Map<string, number>()
  readonly #unaccounted = new Map<string, number>()
  readonly #addOut: AddOut = (consumer, inFlight, unaccounted = 0) => {
    this.#out.set(consumer, (this.#out.get(consumer) ?? 0) + inFlight)
    this.#unaccounted.set(consumer, (this.#unaccounted.get(consumer) ?? 0) + unaccounted)
  }
  /** So many records can go out before it has to be looked. */
  #room = 0
  /** Something went out since the bounds were lowered last. */
  #isBusy = false

  /**
   * @param eachOut Names what is out, of each partition for instance.
   * @param tell Called when bounds have been raised, and before what they are raised for is sent.
   */
  constructor(eachOut: (add: AddOut) => void, tell: () => void) {
    this.#eachOut = eachOut
    this.#tell = tell
  }

  /** So many records more are out, and not on their way yet. */
  spend(records: number): void {
    this.#isBusy = true
    this.#room -= records
    if (this.#room < 0 && this.#look((bound, out) => (out > bound ? withSpare(out) : bound))) this.#tell()
  }

  /** Consumers have come or gone. */
  changed(): void {
    this.#room = 0
  }

  /** The bounds from now on, by consumer: nearer to what is out, never higher. Whoever is not told of them knows higher ones. */
  lowered(): ReadonlyMap<string, number> {
    const nearest = this.#isBusy ? withSpare : (out: number) => out
    this.#isBusy = false
    this.#look((bound, out) => Math.min(bound, Math.max(nearest(out), Math.floor((bound * 3) / 4))))
    return this.#sums()
  }

  /** The bounds as they are. */
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
