/**
 * LastWords: what becomes on its way of the credit by which a giver tells a producer who is next. On one server it comes in its turn, or is
 * lost with a connection; in a cluster each server hands on when it can, so that it may come behind what the taker says, and owners after it.
 * @module
 */
import { decodeCredit } from '../../infra/bus/credit.ts'
import type { SimClient, SimNet } from '../../infra/bus/sim-net.ts'

export const fates = ['lost', 'late', 'twice'] as const
export type Fate = (typeof fates)[number]

export class LastWords {
  readonly #relay: SimClient
  readonly #fates: Fate[] = []
  #late: { readonly subject: string; readonly bytes: Uint8Array }[] = []

  constructor(net: SimNet) {
    this.#relay = net.connect()
  }

  /** What befalls the next one. */
  befalls(fate: Fate): void {
    this.#fates.push(fate)
  }

  /** Looks at what a client says. */
  follow(client: SimClient): void {
    const { publish } = client
    client.publish = (subject, bytes) => {
      const fate = isLastWord(subject, bytes) ? this.#fates.shift() : undefined
      if (fate === 'late' || fate === 'twice') this.#late.push({ subject, bytes: bytes.slice() })
      if (fate !== 'late' && fate !== 'lost') publish.call(client, subject, bytes)
    }
  }

  /** What is late, or comes again, comes now. */
  arrive(): void {
    for (const { subject, bytes } of this.#late) this.#relay.publish(subject, bytes)
    this.#late = []
  }
}

function isLastWord(subject: string, bytes: Uint8Array): boolean {
  return subject.includes('.c.credit.') && decodeCredit(bytes).entries.some(({ next }) => next !== undefined)
}
