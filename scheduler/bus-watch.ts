/**
 * BusWatch: whether NATS can be reached.
 *
 *   BW1. It watches from the connection on, before anybody listens: a connection does not tell later what has happened
 *        to it, and a standby may come to lead while NATS is away.
 * @module
 */
import type { NatsConnection } from '../infra/bus/index.ts'

export class BusWatch {
  #isUp = true
  #changed: (isUp: boolean) => void = () => {}

  constructor(nc: Pick<NatsConnection, 'status'>) {
    void this.#watch(nc)
  }

  /** Tells `changed` the present state at once, and then each change. */
  listen(changed: (isUp: boolean) => void): void {
    this.#changed = changed
    changed(this.#isUp)
  }

  async #watch(nc: Pick<NatsConnection, 'status'>): Promise<void> {
    for await (const { type } of nc.status()) {
      if (type !== 'disconnect' && type !== 'reconnect') continue
      this.#isUp = type === 'reconnect'
      this.#changed(this.#isUp)
    }
  }
}
