/**
 * Wire: what the channels need of a connection, and no more; so that a model can stand in for NATS in tests.
 *
 * Owns: the knowledge of whether we are connected. Invariants:
 *  W1. What is published while `connected` is true either reaches the server in order, or a `reconnected` call follows.
 *  W2. `flush` resolves only when the server has read all that was published before it; until then, or until the
 *      connection is lost, published bytes are read where they stand and must not change.
 *  W3. Bytes given to a receiver are its own.
 * @module
 */
export interface Wire {
  readonly connected: boolean
  publish(subject: string, bytes: Uint8Array): void
  /** Calls `receive` for each message; answers what ends it. */
  subscribe(subject: string, receive: (bytes: Uint8Array, subject: string) => void): () => void
  flush(): Promise<void>
  /** Calls `reconnected` each time the connection is back, before anything else is published on it; answers what ends that. */
  onReconnect(reconnected: () => void): () => void
}

/**
 * Resolves when the server has read all that was published until now. What was lost with a connection is said anew when it is back
 * (by whoever listens for that), and then waited for. @throws the signal's reason
 */
export async function heard(wire: Wire, signal?: AbortSignal): Promise<void> {
  for (;;) {
    signal?.throwIfAborted()
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const again = (): void => resolve(false)
    const stop = wire.onReconnect(again)
    signal?.addEventListener('abort', again) // a server that is frozen neither answers nor breaks the connection
    wire.flush().then(
      () => resolve(true),
      () => undefined,
    )
    const isHeard = await promise
    stop()
    signal?.removeEventListener('abort', again)
    if (isHeard) return
  }
}
