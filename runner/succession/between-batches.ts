/**
 * BetweenBatches: tasks that wait until no batch is in the isolate, in the order of their requests.
 * @module
 */
export class BetweenBatches {
  readonly #tasks: { readonly run: () => Promise<void>; readonly reject: (error: Error) => void }[] = []
  #closed: string | undefined
  readonly #onAdded: () => void

  /** @param onAdded A task was added: the current batch should end. */
  constructor(onAdded: () => void) {
    this.#onAdded = onAdded
  }

  get waits(): boolean {
    return this.#tasks.length > 0
  }

  /** No batch ends any more: what a task begins now is to end with it. */
  get isClosed(): boolean {
    return this.#closed !== undefined
  }

  /**
   * Adds a task. Settles as the task does, or fails if the instance ends before.
   * @param isFatal Whether nothing may run after such a failure; default: never.
   */
  async add<T>(task: () => Promise<T>, isFatal = (_error: unknown): boolean => false): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    if (this.#closed !== undefined) throw new Error(this.#closed)
    const run = (): Promise<void> =>
      task().then(resolve, (error: unknown) => {
        reject(error)
        if (isFatal(error)) throw error
      })
    this.#tasks.push({ run, reject })
    this.#onAdded()
    return await promise
  }

  async run(): Promise<void> {
    for (let task = this.#tasks.shift(); task !== undefined; task = this.#tasks.shift()) await task.run()
  }

  /** Fails all tasks: no batch ends any more. */
  close(why: string): void {
    this.#closed = why
    for (const { reject } of this.#tasks.splice(0)) reject(new Error(why))
  }
}
