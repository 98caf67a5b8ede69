/**
 * Words: how credits travel. On one server they arrive in order, or are lost with a connection. In a cluster each
 * server passes messages on in its own time, so a credit may arrive after a later one of the same owner or of others.
 *
 *   WD1. The last credit, with which a giver tells a producer about the next owner, may be lost, late or repeated.
 *   WD2. Any other credit may be late, but arrives before an owner begins that was started because another ended:
 *        starting takes longer than a server takes to pass on what it has (0002).
 * @module
 */
import { type Credit, decodeCredit } from '../../infra/bus/messages/credit.ts'
import type { SimClient, SimNet } from '../../infra/bus/wire/sim-net.ts'

export const fates = ['lost', 'late', 'twice'] as const
export type Fate = (typeof fates)[number]

interface Word {
  readonly subject: string
  readonly bytes: Uint8Array
}

export class Words {
  readonly #net: SimNet
  readonly #relay: SimClient
  readonly #fates: Fate[] = []
  #toDelay = 0
  #late: Word[] = []

  constructor(net: SimNet) {
    this.#net = net
    this.#relay = net.connect()
  }

  /** What befalls the next last word. */
  befalls(fate: Fate): void {
    this.#fates.push(fate)
  }

  /** So many other credits from now on are late. */
  delay(count: number): void {
    this.#toDelay = count
  }

  /** Looks at what a client says. */
  follow(client: SimClient): void {
    const { publish } = client
    client.publish = (subject, bytes) => {
      const fate = client.cut ? undefined : this.#fateOf(subject, bytes)
      if (fate === 'late' || fate === 'twice') this.#late.push({ subject, bytes: bytes.slice() })
      if (fate !== 'late' && fate !== 'lost') publish.call(client, subject, bytes)
    }
  }

  #fateOf(subject: string, bytes: Uint8Array): Fate | undefined {
    if (!subject.includes('.c.credit.')) return undefined
    if (isLast(decodeCredit(bytes))) return this.#fates.shift()
    if (this.#toDelay === 0) return undefined
    this.#toDelay -= 1
    return 'late'
  }

  /** What is late, or comes again, comes now. */
  arrive(): void {
    for (const { subject, bytes } of this.#late) this.#relay.publish(subject, bytes)
    this.#late = []
  }

  /** Somebody has ended: what was late is with the server before another begins in its place (WD2). */
  ended(): void {
    const isDue = ({ bytes }: Word): boolean => !isLast(decodeCredit(bytes))
    for (const { subject, bytes } of this.#late.filter(isDue)) this.#relay.publish(subject, bytes)
    this.#late = this.#late.filter((word) => !isDue(word))
    this.#net.drain(this.#relay)
  }
}

function isLast({ entries }: Credit): boolean {
  return entries.some(({ next }) => next !== undefined)
}
