/**
 * LetterPost: gives messages to JetStream, one at a time, and waits for its answer.
 *
 * It asks over one subscription of its own: the client's `publish` makes three errors for each message, just in case, whose
 * stacks cost more than the message does.
 *   LP1. One message is under way at a time. An answer to an earlier one is not taken for that of the present one.
 * @module
 */
import { createInbox, headers, type Msg, type NatsConnection } from '@nats-io/transport-node'
import { listen } from '../../infra/bus/index.ts'

const idHeader = 'Nats-Msg-Id'
const noResponders = 503

/** JetStream's answer. */
interface Answer {
  readonly error?: { readonly err_code?: number; readonly description: string }
}

/** A message was sent, and nobody knows whether it was stored. */
export class Unanswered extends Error {}

export class LetterPost {
  readonly #nc: NatsConnection
  readonly #inbox: string
  #attempts = 0
  #answered: (message: Msg | undefined) => void = () => undefined

  /** @param inboxPrefix Of subjects on which this user may listen. */
  constructor(nc: NatsConnection, inboxPrefix?: string) {
    this.#nc = nc
    this.#inbox = createInbox(inboxPrefix)
    listen(nc, `${this.#inbox}.*`, (message) => {
      if (message.subject === this.#reply) this.#answered(message)
    })
    void nc.closed().then(() => this.#answered(undefined))
  }

  /**
   * Resolves when it is stored; if it was stored before under this id, nothing more is.
   * @throws {Unanswered} If no answer comes in this time, or the connection has ended.
   * @throws {Error} With JetStream's `code`, if that is why it was refused.
   */
  async send(subject: string, bytes: Uint8Array, id: string, timeoutMs: number): Promise<void> {
    this.#attempts += 1
    const { promise, resolve } = Promise.withResolvers<Msg | undefined>()
    this.#answered = resolve
    const head = headers()
    head.set(idHeader, id)
    this.#nc.publish(subject, bytes, { reply: this.#reply, headers: head })
    const timer = setTimeout(resolve, timeoutMs, undefined)
    const message = await promise
    clearTimeout(timer)
    if (message === undefined) throw new Unanswered('timeout')
    if (message.headers?.code === noResponders) throw new Error('jetstream is not enabled')
    const { error } = message.json<Answer>()
    if (error !== undefined) throw Object.assign(new Error(error.description), { code: error.err_code })
  }

  get #reply(): string {
    return `${this.#inbox}.${this.#attempts}`
  }
}
