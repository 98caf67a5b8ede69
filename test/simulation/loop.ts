/**
 * Loop: virtual time. Everything that happens in the simulation is an event of the loop, and one step.
 *
 *   L1. The earlier of two events comes first; of two at the same time, the one scheduled first.
 *   L2. A process's pending events are dropped when it dies, and wait while it is stopped (SIGSTOP).
 * @module
 */
import type { Clock } from '../../infra/clock.ts'

interface Event {
  readonly atMs: number
  readonly order: number
  run: (() => void) | undefined
}

export class Loop implements Clock {
  steps = 0
  /** Where a line of the trace goes; none is made while there is nobody to read it. */
  trace: ((line: string) => void) | undefined
  #nowMs = 1_800_000_000_000
  #order = 0
  readonly #heap: Event[] = []

  nowMs(): number {
    return this.#nowMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  after(delayMs: number, run: () => void): () => void {
    const event: Event = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, run }
    this.#push(event)
    return () => {
      event.run = undefined
    }
  }

  /** Runs the next event. @returns False if there is none before `untilMs`. */
  step(untilMs = Number.POSITIVE_INFINITY): boolean {
    for (let next = this.#heap[0]; next !== undefined && next.atMs <= untilMs; next = this.#heap[0]) {
      this.#pop()
      if (next.run === undefined) continue
      this.#nowMs = next.atMs
      this.steps += 1
      next.run()
      return true
    }
    return false
  }

  /** Nothing happens until then. */
  passTo(atMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, atMs)
  }

  #push(event: Event): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(event)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(event, heap[parent]!)) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = event
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()!
    if (heap.length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1
      if (!isBefore(heap[child]!, last)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}

/** Something that can be killed, started anew, stopped and continued. */
export class Process implements Clock {
  readonly name: string
  readonly loop: Loop
  isUp = false
  isStopped = false
  /** Out of NATS's reach. */
  isCut = false
  #life = 0
  #held: (() => void)[] = []

  constructor(name: string, loop: Loop) {
    this.name = name
    this.loop = loop
  }

  nowMs(): number {
    return this.loop.nowMs()
  }

  monotonicMs(): number {
    return this.loop.nowMs()
  }

  start(): void {
    this.#life += 1
    this.isUp = true
  }

  kill(): void {
    this.#life += 1
    this.isUp = false
    this.isStopped = false
    this.#held = []
  }

  stop(): void {
    if (this.isUp) this.isStopped = true
  }

  continue(): void {
    this.isStopped = false
    const held = this.#held
    this.#held = []
    for (const run of held) this.after(0, run)
  }

  /** L2. */
  after(delayMs: number, run: () => void): () => void {
    const life = this.#life
    return this.loop.after(delayMs, () => {
      if (life !== this.#life || !this.isUp) return
      if (this.isStopped) this.#held.push(run)
      else run()
    })
  }
}
