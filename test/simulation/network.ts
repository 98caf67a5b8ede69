/**
 * Network: its conditions, and the datagrams in it: NATS as the control plane sees it.
 * @module
 */
import type { Loop, Process } from './loop.ts'
import type { Random } from './random.ts'

export interface NetworkConditions {
  /** Of messages over NATS: the part that is lost, and that which comes twice. */
  readonly loss: number
  readonly twice: number
  /** The longest way of a message over NATS, of one between master, agents and schedulers, and of a write to the store. */
  readonly busMs: number
  readonly wireMs: number
  readonly storeMs: number
}

export const quietNetwork: NetworkConditions = { loss: 0, twice: 0, busMs: 10, wireMs: 10, storeMs: 4 }

export class Bus {
  network: NetworkConditions
  readonly #loop: Loop
  readonly #random: Random

  constructor(loop: Loop, random: Random, network: NetworkConditions) {
    this.#loop = loop
    this.#random = random
    this.network = network
  }

  /** @param deliver Called with the receiver's process as it is then, if at all. */
  send(from: Process, to: Process, deliver: () => void): void {
    if (from.isCut || this.#random.chance(this.network.loss)) return
    const copies = this.#random.chance(this.network.twice) ? 2 : 1
    for (let i = 0; i < copies; i++)
      this.#loop.after(this.#random.delayMs(this.network.busMs), () => {
        if (to.isUp && !to.isCut) to.isStopped ? to.after(0, deliver) : deliver()
      })
  }
}
