/**
 * Timeouts: setTimeout and clearTimeout, for the time that an asynchronous callback waits.
 *
 * They are not the function's timers (timers.ts): they end with the callback that set them. The host calls the
 * runtime for them, one per call, so that the code of a timeout runs under the time limit of that call.
 * @module
 */

interface Timeout {
  readonly dueMs: number
  readonly run: () => void
}

export class Timeouts {
  readonly #byId = new Map<number, Timeout>()
  readonly #changed: (nextMs: number) => void
  #idNext = 1

  /** @param changed Called when the earliest due time may have changed, with that time. */
  constructor(changed: (nextMs: number) => void) {
    this.#changed = changed
  }

  set(run: () => void, dueMs: number): number {
    const id = this.#idNext++
    this.#byId.set(id, { dueMs, run })
    this.#changed(this.#earliest()?.[1].dueMs ?? Number.POSITIVE_INFINITY)
    return id
  }

  clear(id: number): void {
    if (this.#byId.delete(id)) this.#changed(this.#earliest()?.[1].dueMs ?? Number.POSITIVE_INFINITY)
  }

  clearAll(): void {
    if (this.#byId.size === 0) return
    this.#byId.clear()
    this.#changed(Number.POSITIVE_INFINITY)
  }

  /** Runs the earliest timeout if it is due. @param onThrown Called with what it throws. */
  runDue(nowMs: number, onThrown: (thrown: unknown) => void): void {
    const earliest = this.#earliest()
    if (earliest === undefined || earliest[1].dueMs > nowMs) return
    this.clear(earliest[0])
    try {
      earliest[1].run()
    } catch (thrown) {
      onThrown(thrown)
    }
  }

  #earliest(): [number, Timeout] | undefined {
    let earliest: [number, Timeout] | undefined
    for (const entry of this.#byId)
      if (earliest === undefined || entry[1].dueMs < earliest[1].dueMs) earliest = entry
    return earliest
  }
}
