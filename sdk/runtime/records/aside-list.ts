/**
 * AsideList: what waits to be tried again, for the runner and the test kit.
 *
 *   AL1. `take` answers what is due, the earliest first; what was taken is given back by `again` or `done`.
 *   AL2. Of what shares a line only the first is ever due; the others follow in the order added.
 * @module
 */
export interface Waiting<T> {
  readonly item: T
  /** Undefined: it waits for nobody. */
  readonly line: string | undefined
  readonly bytes: number
  /** So far; 0 for what only waits behind another of its line. */
  readonly attempts: number
}

interface Entry<T> extends Waiting<T> {
  attempts: number
  dueMs: number
}

export class AsideList<T> {
  /** By attempts: all in one of them have waited, or will wait, for the same time, so they fall due in their order. */
  readonly #queues: Entry<T>[][] = []
  /** Those that wait behind the first of their line. */
  readonly #lines = new Map<string, Entry<T>[]>()
  readonly #waitAfter: (attempts: number) => number
  #size = 0
  #bytes = 0

  /** @param waitAfter How long what was tried so often waits. */
  constructor(waitAfter: (attempts: number) => number) {
    this.#waitAfter = waitAfter
  }

  get size(): number {
    return this.#size
  }

  get bytes(): number {
    return this.#bytes
  }

  /** When the first falls due; infinite if none waits. */
  get nextDueMs(): number {
    return this.#queues.reduce(
      (least, queue) => Math.min(least, queue[0]?.dueMs ?? least),
      Number.POSITIVE_INFINITY,
    )
  }

  get lines(): readonly string[] {
    return [...this.#lines.keys()]
  }

  add(waiting: Waiting<T>, nowMs: number): void {
    const entry: Entry<T> = { ...waiting, dueMs: nowMs }
    this.#size++
    this.#bytes += entry.bytes
    const line = entry.line === undefined ? undefined : this.#lines.get(entry.line)
    if (line !== undefined) return void line.push(entry)
    if (entry.line !== undefined) this.#lines.set(entry.line, [])
    this.#enqueue(entry, nowMs)
  }

  /** Takes what is due, or whatever waits if `nowMs` is infinite. */
  take(nowMs: number, most: number): Waiting<T>[] {
    const taken: Entry<T>[] = []
    for (const queue of this.#queues)
      while (taken.length < most && queue.length > 0 && queue[0]!.dueMs <= nowMs) taken.push(queue.shift()!)
    return taken.sort((a, b) => a.dueMs - b.dueMs)
  }

  /** It failed once more. */
  again(waiting: Waiting<T>, nowMs: number): void {
    const entry = waiting as Entry<T>
    entry.attempts++
    this.#enqueue(entry, nowMs)
  }

  /** It waits no more; the next of its line is due. */
  done(waiting: Waiting<T>, nowMs: number): void {
    const { line, bytes } = waiting
    this.#size--
    this.#bytes -= bytes
    if (line === undefined) return
    const next = this.#lines.get(line)?.shift()
    if (next === undefined) this.#lines.delete(line)
    else this.#enqueue(next, nowMs)
  }

  /** It was taken, and not tried after all: it is due as before, in its place among others, in whatever order several are put back. */
  putBack(waiting: Waiting<T>): void {
    const entry = waiting as Entry<T>
    const queue = this.#queues[entry.attempts]!
    const at = queue.findIndex(({ dueMs }) => dueMs >= entry.dueMs)
    queue.splice(at < 0 ? queue.length : at, 0, entry)
  }

  #enqueue(entry: Entry<T>, nowMs: number): void {
    const { attempts } = entry
    entry.dueMs = attempts === 0 ? nowMs : nowMs + this.#waitAfter(attempts)
    while (this.#queues.length <= attempts) this.#queues.push([])
    this.#queues[attempts]!.push(entry)
  }
}
