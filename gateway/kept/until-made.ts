/**
 * UntilMade: makes a JetStream stream, and tries again while JetStream is away.
 * @module
 */
import { setTimeout } from 'node:timers/promises'

const retryMs = 5_000

/**
 * Creates streams, or updates their settings; retries until that succeeds or the signal is aborted.
 * @param make Returns whether everything is as wanted: false if copies are missing because a server is away.
 */
export async function untilMade(
  make: () => Promise<boolean>,
  signal: AbortSignal,
  onError: (error: unknown) => void,
): Promise<void> {
  while (!signal.aborted) {
    try {
      if (await make()) return
    } catch (error) {
      if (!signal.aborted) onError(error)
    }
    await setTimeout(retryMs, undefined, { signal }).catch(() => undefined)
  }
}
