/**
 * Waiters: those who wait for something to become so, and look again when they are woken.
 * @module
 */

export function wake(waiters: Set<() => void>): void {
  const all = [...waiters]
  waiters.clear()
  for (const waiter of all) waiter()
}

/** @throws the signal's reason */
export async function waitIn(waiters: Set<() => void>, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted()
  const { promise, resolve } = Promise.withResolvers<void>()
  const onAbort = (): void => resolve()
  waiters.add(resolve)
  signal?.addEventListener('abort', onAbort)
  await promise
  signal?.removeEventListener('abort', onAbort) // it may live as long as the process
  waiters.delete(resolve)
  signal?.throwIfAborted()
}
