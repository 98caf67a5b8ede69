/**
 * Wire: what the channels need of a connection, and no more, so that a model can replace NATS in tests.
 *
 * Owns the knowledge of whether the connection is up. Invariants:
 *  W1. What is published while `connected` is true either reaches the server in order, or a `reconnected` call follows.
 *  W2. `flush` resolves only when the server has read everything published before it; until then, or until the
 *      connection is lost, published bytes are read in place and must not change.
 *  W3. A receiver owns the bytes that it gets.
 * @module
 */
export interface Wire {
  readonly connected: boolean
  publish(subject: string, bytes: Uint8Array): void
  /** Calls `receive` for each message. @returns A function that ends the subscription. */
  subscribe(subject: string, receive: (bytes: Uint8Array, subject: string) => void): () => void
  flush(): Promise<void>
  /** Calls `reconnected` each time the connection is back, before anything else is published. @returns A function that ends it. */
  onReconnect(reconnected: () => void): () => void
}

/**
 * Resolves when the server has read everything published until now. If the connection breaks first, reconnect listeners repeat
 * what matters, and this waits for that. @throws the signal's reason
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
