/**
 * Waiters: callers that wait for a condition, and check it again when they are woken.
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

/** @returns What `promise` brings; undefined as soon as the signal is aborted, whatever becomes of it then. */
export async function unlessAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T | undefined> {
  const { promise: over, resolve } = Promise.withResolvers<undefined>()
  const onAbort = (): void => resolve(undefined)
  if (signal?.aborted === true) onAbort()
  signal?.addEventListener('abort', onAbort)
  try {
    return await Promise.race([promise, over])
  } finally {
    signal?.removeEventListener('abort', onAbort) // it may live as long as the process
  }
}
