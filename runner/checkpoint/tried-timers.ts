/**
 * TriedTimers: what is known about timers that have ended an owner of their state, or may have. It is stored in the manifest of
 * their slot, so the next owner of the state knows it.
 *
 *   TT1. The store says of at most one timer at a time that it is being called, and before it is.
 *   TT2. A record is called only when the store says of no timer that it is being called.
 *   TT3. Nothing is stored about a slot after `forget`, which comes when its share is given away: its timers are its taker's.
 * Design: docs/design/0012-failure-reactions.md
 * @module
 */
import type { TriedTimer } from '../../infra/checkpoints/index.ts'
import type { Timer } from '../../sdk/runtime/index.ts'
import type { Slot } from './slot.ts'

/** What is known about the timers of a slot, and whether it is stored. */
export type TimerSlot = Pick<Slot, 'partition' | 'timers' | 'inDoubt' | 'clear' | 'tell'>

export class TriedTimers {
  /** Slots with suspected timers, and slots whose change is not stored yet. */
  readonly #slots = new Map<number, TimerSlot>()
  readonly #all = new Map<number, TimerSlot>()
  readonly #shipped: () => Promise<unknown>
  /** The slot of the last change. */
  #last: TimerSlot | undefined

  /** @param shipped Resolves when no checkpoint is being written. */
  constructor(shipped: () => Promise<unknown>) {
    this.#shipped = shipped
  }

  /** Adds a slot, with what was known about its timers. */
  add(slot: TimerSlot): void {
    this.#all.set(slot.partition, slot)
    if (slot.inDoubt || slot.timers.length > 0) this.#slots.set(slot.partition, slot)
  }

  /** Removes a slot. */
  forget(arena: number): void {
    if (this.#last?.partition === arena) this.#last = undefined
    this.#all.delete(arena)
    this.#slots.delete(arena)
  }

  /** Whether timers must be called alone now. */
  isDue(nowMs: number): boolean {
    for (const { inDoubt, timers } of this.#slots.values())
      if (inDoubt || timers.some(({ timeMs }) => timeMs <= nowMs)) return true
    return false
  }

  /** Whether a timer may be the reason why its last owner ended. */
  suspects({ partition }: Timer): boolean {
    return this.#slots.get(partition)?.inDoubt === true
  }

  /** What is known about a timer. */
  of(timer: Timer): TriedTimer | undefined {
    return this.#all.get(timer.partition)?.timers.find((known) => isSame(known, timer))
  }

  /** Changes what is known, to be stored by `tell`. @param tried Undefined: it is over. */
  set(timer: Timer, tried: Omit<TriedTimer, 'key' | 'timeMs'> | undefined): void {
    const slot = this.#all.get(timer.partition)
    if (slot === undefined || (tried === undefined && this.of(timer) === undefined)) return
    const { key, timeMs } = timer
    const others = slot.timers.filter((known) => !isSame(known, timer))
    slot.timers = tried === undefined ? others : [...others, { key, timeMs, ...tried }]
    this.#slots.set(timer.partition, slot)
    this.#last = slot
  }

  /** Stores the changes, what is over first (TT1). Not while a batch is in the isolate. */
  async tell(): Promise<void> {
    if (this.#slots.size === 0) return
    await this.#shipped()
    const slots = [...this.#slots.values()]
    await Promise.all(slots.filter((slot) => slot !== this.#last).map((slot) => slot.tell()))
    await this.#last?.tell()
    for (const { partition, inDoubt, timers } of slots)
      if (!inDoubt && timers.length === 0) this.#slots.delete(partition)
  }

  /** Notes that every timer due by then was called; to be stored by `tell`. */
  clear(untilMs: number): void {
    for (const slot of this.#slots.values()) {
      slot.clear()
      if (slot.timers.some(({ timeMs }) => timeMs <= untilMs))
        slot.timers = slot.timers.filter(({ timeMs }) => timeMs > untilMs)
    }
  }
}

function isSame(known: TriedTimer, { key, timeMs }: Timer): boolean {
  return known.key === key && known.timeMs === timeMs
}
