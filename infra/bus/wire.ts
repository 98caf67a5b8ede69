/**
 * Wire: what the channels need of a connection, and no more; so that a model can stand in for NATS in tests.
 *
 * Owns: the knowledge of whether we are connected. Invariants:
 *  W1. What is published while `connected` is true either reaches the server in order, or a `reconnected` call follows.
 *  W2. `flush` resolves only when the server has read all that was published before it.
 * @module
 */
import type { NatsConnection } from '@nats-io/transport-node'

export interface Wire {
  readonly connected: boolean
  publish(subject: string, bytes: Uint8Array): void
  /** Calls `receive` for each message; answers what ends it. */
  subscribe(subject: string, receive: (bytes: Uint8Array, subject: string) => void): () => void
  flush(): Promise<void>
  /** Calls `reconnected` each time the connection is back; answers what ends that. */
  onReconnect(reconnected: () => void): () => void
}

const wires = new WeakMap<NatsConnection, Wire>()

/** The wire of a NATS connection; one for each, however often it is asked for. */
export function natsWire(nc: NatsConnection): Wire {
  let wire = wires.get(nc)
  if (wire === undefined) {
    wire = new NatsWire(nc)
    wires.set(nc, wire)
  }
  return wire
}

class NatsWire implements Wire {
  connected = true
  readonly #nc: NatsConnection
  readonly #listeners = new Set<() => void>()

  constructor(nc: NatsConnection) {
    this.#nc = nc
    void this.#followStatus()
  }

  publish(subject: string, bytes: Uint8Array): void {
    if (!this.#nc.isClosed()) this.#nc.publish(subject, bytes)
  }

  subscribe(subject: string, receive: (bytes: Uint8Array, subject: string) => void): () => void {
    const subscription = this.#nc.subscribe(subject, {
      callback: (error, message) => {
        if (error === null) receive(message.data, message.subject)
      },
    })
    return () => {
      if (!this.#nc.isClosed()) subscription.unsubscribe()
    }
  }

  flush(): Promise<void> {
    return this.#nc.flush()
  }

  onReconnect(reconnected: () => void): () => void {
    this.#listeners.add(reconnected)
    return () => this.#listeners.delete(reconnected)
  }

  async #followStatus(): Promise<void> {
    for await (const status of this.#nc.status()) {
      if (status.type === 'disconnect') this.connected = false
      if (status.type === 'reconnect') {
        this.connected = true
        for (const listener of [...this.#listeners]) listener()
      }
    }
    this.connected = false
  }
}
