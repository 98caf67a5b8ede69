/**
 * Wake: lets one reader sleep until there is something to read. A call before the sleep is not lost.
 * @module
 */

export class Wake {
  #due = false
  #wakeUp: (() => void) | undefined

  readonly call = (): void => {
    this.#due = true
    this.#wakeUp?.()
  }

  /** Resolves after the next call, or at the abort of the signal. */
  async sleep(signal: AbortSignal): Promise<void> {
    if (!this.#due && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const wakeUp = (): void => resolve()
      this.#wakeUp = wakeUp
      signal.addEventListener('abort', wakeUp, { once: true })
      await promise
      signal.removeEventListener('abort', wakeUp)
      this.#wakeUp = undefined
    }
    this.#due = false
  }
}
