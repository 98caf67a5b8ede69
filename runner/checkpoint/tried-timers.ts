/**
 * TriedTimers: what is known of timers that have ended an owner of their state, or may have. It lies in the manifest of their
 * slot, so that it is known to whoever has the state next.
 *
 *   TT1. The store says of at most one timer at a time that it is being called, and has said so before it is.
 *   TT2. A record is called only when no timer is said to be.
 * Design: docs/design/0012-failure-reactions.md
 * @module
 */
import type { TriedTimer } from '../../infra/checkpoints/index.ts'
import type { Timer } from '../../sdk/runtime/index.ts'
import type { Slot } from './slot.ts'

/** What is known of the timers of a slot, and the store's knowledge of it. */
export type TimerSlot = Pick<Slot, 'partition' | 'timers' | 'inDoubt' | 'clear' | 'tell'>

export class TriedTimers {
  /** Those of which not all timers are above suspicion, and those of which the store does not know yet that they are. */
  readonly #slots = new Map<number, TimerSlot>()
  readonly #all = new Map<number, TimerSlot>()
  readonly #shipped: () => Promise<unknown>
  /** Of which something was said last. */
  #last: TimerSlot | undefined

  /** @param shipped Resolves when no checkpoint is being written. */
  constructor(shipped: () => Promise<unknown>) {
    this.#shipped = shipped
  }

  /** A slot has come, with what was known of it. */
  add(slot: TimerSlot): void {
    this.#all.set(slot.partition, slot)
    if (slot.inDoubt || slot.timers.length > 0) this.#slots.set(slot.partition, slot)
  }

  /** A slot has gone. */
  forget(arena: number): void {
    if (this.#last?.partition === arena) this.#last = undefined
    this.#all.delete(arena)
    this.#slots.delete(arena)
  }

  /** Whether timers are to be called by themselves now. */
  isDue(nowMs: number): boolean {
    for (const { inDoubt, timers } of this.#slots.values())
      if (inDoubt || timers.some(({ timeMs }) => timeMs <= nowMs)) return true
    return false
  }

  /** Whether a timer may be why its last owner ended. */
  suspects({ partition }: Timer): boolean {
    return this.#slots.get(partition)?.inDoubt === true
  }

  /** What is known of a timer. */
  of(timer: Timer): TriedTimer | undefined {
    return this.#all.get(timer.partition)?.timers.find((known) => isSame(known, timer))
  }

  /** @param tried Undefined: it is done with. To be told. */
  set(timer: Timer, tried: Omit<TriedTimer, 'key' | 'timeMs'> | undefined): void {
    const slot = this.#all.get(timer.partition)
    if (slot === undefined || (tried === undefined && this.of(timer) === undefined)) return
    const { key, timeMs } = timer
    const others = slot.timers.filter((known) => !isSame(known, timer))
    slot.timers = tried === undefined ? others : [...others, { key, timeMs, ...tried }]
    this.#slots.set(timer.partition, slot)
    this.#last = slot
  }

  /** Tells the store what it does not know; what is over first (TT1). Not while a batch is in the isolate. */
  async tell(): Promise<void> {
    if (this.#slots.size === 0) return
    await this.#shipped()
    const slots = [...this.#slots.values()]
    await Promise.all(slots.filter((slot) => slot !== this.#last).map((slot) => slot.tell()))
    await this.#last?.tell()
    for (const { partition, inDoubt, timers } of slots)
      if (!inDoubt && timers.length === 0) this.#slots.delete(partition)
  }

  /** All that was due by then has been called. To be told. */
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
