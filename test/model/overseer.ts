/**
 * Overseer: decides who should have which share, as the scheduler's core does, without offers and store.
 *
 *   V1. A share has one holder, until that has ended or the taker reports that it took it; and it is promised to one
 *       taker at a time.
 *   V2. Epochs only grow.
 * @module
 */
import type { Bug } from './bugs.ts'
import type { ModelAssignment } from './instance.ts'

/** What a living task has last said of itself. */
export interface Seen {
  readonly task: string
  readonly index: number
  readonly owned: ReadonlyMap<number, number>
}

interface Promised {
  readonly task: string
  readonly epoch: number
  readonly from: string
}

export class Overseer {
  readonly #shares: readonly number[]
  readonly #bugs: ReadonlySet<Bug>
  #epoch = 0
  readonly #holders = new Map<number, { readonly task: string; readonly epoch: number }>()
  readonly #promised = new Map<number, Promised>()
  /** Of each task: it grows with whatever it is told to have, or no more. */
  readonly #told = new Map<string, number>()
  /** Slots whose last holder is gone, with an epoch above its own. */
  readonly #fences = new Map<number, number>()
  moves = 0

  constructor(shares: readonly number[], bugs: ReadonlySet<Bug>) {
    this.#shares = shares
    this.#bugs = bugs
  }

  nextEpoch(): number {
    this.#epoch += 1
    return this.#epoch
  }

  /** A task begins. @returns Its epoch. */
  began(task: string): number {
    this.#told.set(task, this.nextEpoch())
    return this.#epoch
  }

  get settled(): boolean {
    return this.#promised.size === 0 && this.#shares.every((share) => this.#holders.has(share))
  }

  /** Promises a share to a task. */
  move(share: number, task: string): void {
    const holder = this.#holders.get(share)
    const busy = this.#promised.has(share) && !this.#bugs.has('hasty-overseer')
    if (holder === undefined || holder.task === task || busy) return
    const epoch = this.nextEpoch()
    this.#promised.set(share, { task, epoch, from: holder.task })
    this.#told.set(task, epoch)
    this.#told.set(holder.task, this.nextEpoch())
  }

  /** A task is gone, or is taken for gone. */
  ended(task: string, index: number, epoch: number): void {
    this.#fences.set(index, Math.max(this.#fences.get(index) ?? 0, epoch + 1))
    for (const [share, holder] of this.#holders) if (holder.task === task) this.#holders.delete(share)
    for (const [share, promised] of this.#promised) {
      if (promised.task !== task) continue
      this.#promised.delete(share)
      // Its giver has it again, under a new epoch if it had given it already.
      if (this.#holders.has(share)) this.#hold(share, promised.from)
    }
  }

  /** Takes what tasks say, gives what is free, and answers what each is to be told. */
  look(living: readonly Seen[]): Map<string, ModelAssignment> {
    for (const { task, owned } of living) this.#hear(task, owned)
    for (const share of this.#shares) {
      if (this.#holders.has(share)) continue
      // The giver is no more: the promise is kept without it.
      const task = this.#promised.get(share)?.task ?? living[share % living.length]?.task
      if (task !== undefined) this.#hold(share, task)
      this.#promised.delete(share)
    }
    return new Map(living.map(({ task }) => [task, this.#assignment(task)]))
  }

  #hold(share: number, task: string): void {
    const epoch = this.nextEpoch()
    this.#holders.set(share, { task, epoch })
    this.#told.set(task, epoch)
  }

  #hear(task: string, owned: ReadonlyMap<number, number>): void {
    for (const [share, promised] of this.#promised) {
      if (promised.task === task && owned.get(share) === promised.epoch) {
        this.#holders.set(share, promised)
        this.#promised.delete(share)
        this.moves += 1
      }
    }
  }

  #assignment(task: string): ModelAssignment {
    const shares = new Map<number, number>()
    for (const [share, holder] of this.#holders) if (holder.task === task) shares.set(share, holder.epoch)
    const promised = [...this.#promised]
    const giving = promised.flatMap(([share, { from, epoch }]) => (from === task ? [{ share, epoch }] : []))
    return {
      epoch: this.#told.get(task) ?? 0,
      shares,
      awaited: promised.flatMap(([share, p]) =>
        p.task === task ? [{ share, epoch: p.epoch, task: p.from, instance: p.from }] : [],
      ),
      giving,
      fences: this.#fences,
    }
  }
}
