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
import { aborted } from './waiters.ts'

export interface Wire {
  readonly connected: boolean
  publish(subject: string, bytes: Uint8Array): void
  /** Calls `receive` for each message; answers what ends it. */
  subscribe(subject: string, receive: (bytes: Uint8Array, subject: string) => void): () => void
  flush(): Promise<void>
  /** Calls `reconnected` each time the connection is back; answers what ends that. */
  onReconnect(reconnected: () => void): () => void
}

/** Resolves when the wire is back once more. @throws the signal's reason */
export function nextReconnect(wire: Wire, signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const stop = wire.onReconnect(resolve)
  void aborted(signal).then(() => reject(signal?.reason))
  promise.finally(stop).catch(() => undefined)
  return promise
}
