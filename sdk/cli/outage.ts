/**
 * Outage: what a long-running command says about a gateway that goes away: one line when it is gone, and one when it
 * is back.
 * @module
 */
import { note } from './terminal.ts'

/** How long a command waits for a gateway that answered before, or for another one. */
export const patienceMs = 60_000

export class Outage {
  #lasts = false

  /** @param why The error. During an outage only the first one is shown. */
  began({ message }: Error): void {
    if (!this.#lasts)
      note(`waiting for the gateway, up to ${patienceMs / 1000} s: ${message.replace(attempt, '')}`)
    this.#lasts = true
  }

  ended(): void {
    if (this.#lasts) note('the gateway is back: continuing')
    this.#lasts = false
  }
}

/** The attempt at the start of an error message; the same for every retry, so it is left out. */
const attempt = /^Cannot [^:]*: /
