/**
 * Leader: does what only one gateway of a namespace may do, for as long as this one is the leader.
 * @module
 */
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import type { Log } from '../../infra/log.ts'
import type { Store } from '../../infra/store/index.ts'

const retryMs = 1000

/**
 * Waits for the leadership, begins, and ends when it is lost; again and again until the signal.
 * @param begin What to do as the leader; it answers what ends it, and that takes effect at once.
 */
export async function whileLeading(
  store: Store,
  name: string,
  signal: AbortSignal,
  log: Log,
  begin: () => () => void,
): Promise<void> {
  while (!signal.aborted) {
    try {
      const leadership = await store.lead(name, signal)
      const end = begin()
      log.info({ epoch: leadership.epoch }, `leads ${name}`)
      await once(AbortSignal.any([leadership.lost, signal]), 'abort')
      end()
      await leadership.release()
    } catch (error) {
      if (signal.aborted) return
      log.warn({ err: error }, `cannot lead ${name}`)
      await setTimeout(retryMs, undefined, { signal }).catch(() => undefined)
    }
  }
}
