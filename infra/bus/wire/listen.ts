/**
 * Listen: receives the messages of a subject on the client library's connection.
 *
 *   LI1. An error thrown by a receiver is a bug and ends the process, as on the channels' wire. Inside the library it
 *        would end the reading of the whole connection, unnoticed until its pings time out.
 * @module
 */
import type { Msg, NatsConnection } from '@nats-io/transport-node'

export interface ListenOptions {
  /** The server does not let this user listen there. Default: a warning of the process. */
  readonly onRefused?: (error: Error) => void
  /** Default: thrown where nobody catches it. */
  readonly onBroken?: (error: unknown) => void
}

/** @returns A function that ends the subscription. */
export function listen(
  nc: NatsConnection,
  subject: string,
  receive: (message: Msg) => void,
  { onRefused = warn, onBroken = throwLater }: ListenOptions = {},
): () => void {
  const subscription = nc.subscribe(subject, {
    callback: (error, message) => {
      if (error !== null) return onRefused(error)
      try {
        receive(message)
      } catch (broken) {
        onBroken(broken) // LI1
      }
    },
  })
  return () => {
    if (!nc.isClosed()) subscription.unsubscribe()
  }
}

function warn({ message }: Error): void {
  process.emitWarning(`NATS refuses what the control plane needs: ${message}`)
}

/** Throws where nobody catches it. */
export function throwLater(error: unknown): void {
  process.nextTick(() => {
    throw error
  })
}
