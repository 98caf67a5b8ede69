/**
 * BetweenBatches: what waits to be done when no batch is in the isolate, in the order in which it was asked for.
 * @module
 */
export class BetweenBatches {
  readonly #tasks: (() => Promise<void>)[] = []
  readonly #onAdded: () => void

  /** @param onAdded Something waits: the batch at hand should end. */
  constructor(onAdded: () => void) {
    this.#onAdded = onAdded
  }

  get waits(): boolean {
    return this.#tasks.length > 0
  }

  /** Asks for something to be done. Settles as it does; never, if no batch ends any more. */
  add<T>(task: () => Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    this.#tasks.push(() => task().then(resolve, reject))
    this.#onAdded()
    return promise
  }

  async run(): Promise<void> {
    for (let task = this.#tasks.shift(); task !== undefined; task = this.#tasks.shift()) await task()
  }
}
