/**
 * DifferenceBox: stores differences in JetStream, many in a message, over a connection of its own (as letter-box.ts does).
 *
 *   DB1. Nobody waits for it. What waits to be stored is bounded; beyond that a difference is refused, and counts as not listed.
 *   DB2. A message is sent again until JetStream has answered, or has been silent for `patienceMs`.
 * Design: docs/design/0030-shadow.md
 * @module
 */
import { randomBytes } from 'node:crypto'
import { jetstream } from '@nats-io/jetstream'
import { type NatsConnection, subjects } from '../../infra/bus/index.ts'
import type { Clock } from '../../infra/clock.ts'
import type { FunctionAssignment } from '../../infra/control/messages/assignment.ts'
import { encodeDifferences } from '../../infra/differences/index.ts'
import { patiently } from '../../infra/jetstream.ts'
import type { ShadowDifference } from '../../sdk/versions/shadow.ts'

const messageBytesAimed = 256 * 1024
const waitingBytesMax = 8 * 1024 * 1024
/** How long a message waits for more differences. */
const gatherMs = 200
const answerMs = 5_000
const patienceMs = 30_000

export interface DifferenceBoxOptions {
  readonly clock: Clock
  readonly namespace: string
  readonly connect: () => Promise<NatsConnection>
}

interface Batch {
  readonly function: string
  readonly version: number
  readonly instance: string
  readonly differences: ShadowDifference[]
  bytes: number
}

export class DifferenceBox {
  readonly #options: DifferenceBoxOptions
  readonly #id = randomBytes(8).toString('hex')
  /** By instance: the message being filled. */
  readonly #open = new Map<string, Batch>()
  #connection: Promise<NatsConnection> | undefined
  #sent: Promise<void> = Promise.resolve()
  #messages = 0
  #waitingBytes = 0

  constructor(options: DifferenceBoxOptions) {
    this.#options = options
  }

  /** @returns Whether it will be stored, if JetStream answers. */
  list(
    { function: name, version }: FunctionAssignment,
    instance: string,
    difference: ShadowDifference,
  ): boolean {
    const bytes = JSON.stringify(difference).length
    if (this.#waitingBytes + bytes > waitingBytesMax) return false
    this.#waitingBytes += bytes
    const batch = this.#open.get(instance) ?? this.#begin(name, version, instance)
    batch.differences.push(difference)
    batch.bytes += bytes
    if (batch.bytes >= messageBytesAimed) this.#close(batch)
    return true
  }

  /** Sends what is left, and ends the connection. */
  async close(): Promise<void> {
    for (const batch of [...this.#open.values()]) this.#close(batch)
    await this.#sent
    await this.#connection?.then((nc) => nc.close()).catch(() => undefined)
  }

  #begin(name: string, version: number, instance: string): Batch {
    const batch: Batch = { function: name, version, instance, differences: [], bytes: 0 }
    this.#open.set(instance, batch)
    this.#options.clock.after(gatherMs, () => this.#close(batch))
    return batch
  }

  #close(batch: Batch): void {
    if (this.#open.get(batch.instance) !== batch) return
    this.#open.delete(batch.instance)
    this.#sent = this.#sent.then(() => this.#send(batch))
  }

  async #send({ bytes, ...differences }: Batch): Promise<void> {
    const { namespace } = this.#options
    const subject = subjects.differencesSubject(namespace, differences.function, differences.version)
    const msgID = `${this.#id}-${this.#messages++}`
    try {
      await patiently({
        call: async () => {
          const js = jetstream(await this.#connected(), { checkAPI: false, timeout: answerMs })
          await js.publish(subject, encodeDifferences(differences), { msgID, timeout: answerMs })
        },
        timeoutMs: patienceMs,
        failed: (cause) => cause as Error,
      })
    } catch {
      // They stay counted; the list is shorter than the count.
    } finally {
      this.#waitingBytes -= bytes
    }
  }

  async #connected(): Promise<NatsConnection> {
    this.#connection ??= this.#options.connect()
    try {
      return await this.#connection
    } catch (error) {
      this.#connection = undefined
      throw error
    }
  }
}
