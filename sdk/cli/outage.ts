/**
 * Outage: what a command that outlives its gateway says about it: one line when it goes away, one when it is back.
 * @module
 */
import { note } from './terminal.ts'

/** So long a command waits for a gateway that was there before, or for another one. */
export const patienceMs = 60_000

export class Outage {
  #lasts = false

  /** @param why What was met; of several in one outage the first is told. */
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

/** What was attempted, as messages of errors begin. */
const attempt = /^Cannot [^:]*: /
