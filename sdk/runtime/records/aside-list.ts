/**
 * AsideList: the records that wait to be tried again; used by the runner and the test kit.
 *
 *   AL1. `take` returns what is due, the earliest first. Each must then be returned to the list by `again`, or ended
 *        by `done`.
 *   AL2. In a line (the records of one key), only the first record is ever due; the others follow in the order in
 *        which they were added.
 * @module
 */
export interface Waiting<T> {
  readonly item: T
  /** The line that it waits in; undefined: none. */
  readonly line: string | undefined
  readonly bytes: number
  /** The attempts so far; 0 if it only waits behind another record of its line. */
  readonly attempts: number
}

interface Entry<T> extends Waiting<T> {
  attempts: number
  dueMs: number
}

export class AsideList<T> {
  /** By attempts. All records with as many attempts wait equally long, so they are due in their order. */
  readonly #queues: Entry<T>[][] = []
  /** By line: the records behind the first. */
  readonly #lines = new Map<string, Entry<T>[]>()
  readonly #waitAfter: (attempts: number) => number
  #size = 0
  #bytes = 0

  /** @param waitAfter How long a record waits after so many attempts. */
  constructor(waitAfter: (attempts: number) => number) {
    this.#waitAfter = waitAfter
  }

  get size(): number {
    return this.#size
  }

  get bytes(): number {
    return this.#bytes
  }

  /** When the first record is due; infinite if none waits. */
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

  /** Takes what is due; everything if `nowMs` is infinite. */
  take(nowMs: number, most: number): Waiting<T>[] {
    const taken: Entry<T>[] = []
    for (const queue of this.#queues)
      while (taken.length < most && queue.length > 0 && queue[0]!.dueMs <= nowMs) taken.push(queue.shift()!)
    return taken.sort((a, b) => a.dueMs - b.dueMs)
  }

  /** It failed again. */
  again(waiting: Waiting<T>, nowMs: number): void {
    const entry = waiting as Entry<T>
    entry.attempts++
    this.#enqueue(entry, nowMs)
  }

  /** It no longer waits; the next record of its line is due. */
  done(waiting: Waiting<T>, nowMs: number): void {
    const { line, bytes } = waiting
    this.#size--
    this.#bytes -= bytes
    if (line === undefined) return
    const next = this.#lines.get(line)?.shift()
    if (next === undefined) this.#lines.delete(line)
    else this.#enqueue(next, nowMs)
  }

  /** It was taken but not tried: it is due as before, at its old place among the others. */
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
