/**
 * Leader: runs the work that only one gateway of a namespace may do, as long as this one leads.
 * @module
 */
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import type { Log } from '../../infra/log.ts'
import type { Store } from '../../infra/store/index.ts'

const retryMs = 1000

/**
 * Successors: the epochs that leaders announce over NATS. A leader that cannot reach the store learns in this way that
 * another one leads.
 */
export class Successors {
  readonly #waiting = new Map<AbortController, number>()
  #highest = 0

  hear(epoch: number): void {
    this.#highest = Math.max(this.#highest, epoch)
    for (const [controller, own] of this.#waiting) if (own < this.#highest) controller.abort()
  }

  /** Aborted when a higher epoch is heard. */
  above(epoch: number): { readonly signal: AbortSignal; stop(): void } {
    const controller = new AbortController()
    this.#waiting.set(controller, epoch)
    if (epoch < this.#highest) controller.abort()
    return { signal: controller.signal, stop: () => void this.#waiting.delete(controller) }
  }
}

/**
 * Waits for the leadership, begins the work, and ends it when the leadership is lost or another leader is heard.
 * Repeats until the signal aborts.
 * @param begin Starts the leader's work, and returns a function that ends it at once.
 */
export async function whileLeading(
  store: Store,
  name: string,
  signal: AbortSignal,
  log: Log,
  successors: Successors,
  begin: (epoch: number) => () => void,
): Promise<void> {
  while (!signal.aborted) {
    try {
      const leadership = await store.lead(name, signal)
      const { epoch, lost } = leadership
      const successor = successors.above(epoch)
      const end = begin(epoch)
      log.info({ epoch }, `leads ${name}`)
      const over = AbortSignal.any([lost, successor.signal, signal])
      if (!over.aborted) await once(over, 'abort')
      end()
      successor.stop()
      log.info({ epoch }, `leads ${name} no more`)
      await leadership.release()
    } catch (error) {
      if (signal.aborted) return
      log.warn({ err: error }, `cannot lead ${name}`)
      await setTimeout(retryMs, undefined, { signal }).catch(() => undefined)
    }
  }
}
