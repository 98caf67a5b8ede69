/**
 * Timers: which (partition, key, time) are set, in order of their time; with an undo journal.
 *
 *   T1. A timer is the pair (key, timeMs) within its partition: setting it twice is setting it once.
 *   T2. `takeDue` answers them by time, and those of one time in the order set. A time that had passed already when it
 *       was set counts as that moment's, so that a function that keeps setting such timers cannot hold up the others.
 *   T3. `rollback` restores what was set at the last `commit`; a timer that was taken stays taken.
 * @module
 */

export interface Timer {
  readonly partition: number
  readonly key: string
  readonly timeMs: number
  /** When it falls due: `timeMs`, or the moment of setting if that was later. */
  readonly dueMs: number
  /** Orders timers of one time, and tells those set since a given moment. */
  readonly order: number
  /** False once deleted or taken. */
  set: boolean
  /** Whether the heap holds it: one that was deleted stays there until it comes up. */
  heaped: boolean
}

export class Timers {
  readonly #heap: Timer[] = []
  readonly #byPartition = new Map<number, Map<string, Timer>>()
  #count = 0
  #orderNext = 0
  readonly #journal: Timer[] = []

  get count(): number {
    return this.#count
  }

  /** The order that the next timer will have. */
  get orderNext(): number {
    return this.#orderNext
  }

  set(partition: number, key: string, timeMs: number, nowMs: number): void {
    const timers = this.#partition(partition)
    const id = timerId(key, timeMs)
    if (timers.has(id)) return
    const dueMs = Math.max(timeMs, nowMs)
    const timer: Timer = { partition, key, timeMs, dueMs, order: this.#orderNext++, set: true, heaped: true }
    timers.set(id, timer)
    this.#count++
    push(this.#heap, timer)
    this.#journal.push(timer)
  }

  /** @returns Whether there was such a timer. */
  delete(partition: number, key: string, timeMs: number): boolean {
    const timer = this.#partition(partition).get(timerId(key, timeMs))
    if (timer === undefined) return false
    this.#remove(timer)
    this.#journal.push(timer)
    return true
  }

  /** Forgets the timers of all partitions but these. Not inside a callback. */
  keepPartitions(kept: readonly number[]): void {
    for (const timer of this.list()) if (!kept.includes(timer.partition)) this.#remove(timer)
    this.#compact()
  }

  commit(): void {
    if (this.#journal.length === 0) return
    this.#journal.length = 0
    if (this.#heap.length > 64 && this.#heap.length > 2 * this.#count) this.#compact()
  }

  rollback(): void {
    for (let timer = this.#journal.pop(); timer !== undefined; timer = this.#journal.pop()) {
      if (timer.set) this.#remove(timer)
      else this.#restore(timer)
    }
  }

  /** Takes the earliest timer due at `nowMs` that was set before `orderEnd`; it is then no longer set. */
  takeDue(nowMs: number, orderEnd: number): Timer | undefined {
    const timer = this.#peek()
    if (timer === undefined || timer.dueMs > nowMs || timer.order >= orderEnd) return undefined
    this.#remove(timer)
    this.#pop(timer)
    return timer
  }

  /** Undoes a `takeDue`. */
  putBack(timer: Timer): void {
    this.#restore(timer)
  }

  /** When the earliest is due; infinite if none is set. */
  get nextMs(): number {
    return this.#peek()?.dueMs ?? Number.POSITIVE_INFINITY
  }

  /** All that are set, in order. */
  list(): Timer[] {
    return this.#heap.filter((timer) => timer.set).sort(compare)
  }

  #peek(): Timer | undefined {
    for (;;) {
      const timer = this.#heap[0]
      if (timer === undefined || timer.set) return timer
      this.#pop(timer)
    }
  }

  #pop(first: Timer): void {
    pop(this.#heap)
    first.heaped = false
  }

  #partition(partition: number): Map<string, Timer> {
    let timers = this.#byPartition.get(partition)
    if (timers === undefined) {
      timers = new Map()
      this.#byPartition.set(partition, timers)
    }
    return timers
  }

  #remove(timer: Timer): void {
    timer.set = false
    this.#partition(timer.partition).delete(timerId(timer.key, timer.timeMs))
    this.#count--
  }

  #restore(timer: Timer): void {
    timer.set = true
    this.#partition(timer.partition).set(timerId(timer.key, timer.timeMs), timer)
    this.#count++
    if (timer.heaped) return
    push(this.#heap, timer)
    timer.heaped = true
  }

  #compact(): void {
    const live = this.list() // sorted, so a heap as it stands
    for (const timer of this.#heap) timer.heaped = timer.set
    this.#heap.length = 0
    for (const timer of live) this.#heap.push(timer)
  }
}

function timerId(key: string, timeMs: number): string {
  return `${timeMs}:${key}`
}

function compare(a: Timer, b: Timer): number {
  return a.dueMs - b.dueMs || a.order - b.order
}

function push(heap: Timer[], timer: Timer): void {
  let at = heap.length
  heap.push(timer)
  while (at > 0) {
    const parent = (at - 1) >> 1
    if (compare(heap[parent]!, timer) <= 0) break
    heap[at] = heap[parent]!
    at = parent
  }
  heap[at] = timer
}

function pop(heap: Timer[]): void {
  const last = heap.pop()
  if (last === undefined || heap.length === 0) return
  let at = 0
  for (;;) {
    let child = 2 * at + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && compare(heap[child + 1]!, heap[child]!) < 0) child++
    if (compare(last, heap[child]!) <= 0) break
    heap[at] = heap[child]!
    at = child
  }
  heap[at] = last
}
