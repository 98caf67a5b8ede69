/**
 * LetterBox: hands dead letters to JetStream and answers when they are safe there.
 *
 * Over a connection of its own, made when the first letter comes: JetStream on a full disk freezes each connection that asks
 * it for something, and records must not wait for that.
 *   LB1. A letter is answered once: stored, or refused because the stream is full. Until then it is sent again and again;
 *        the server knows it by its id and stores it once.
 *   LB2. `openBytes` are the letters without an answer; whoever posts heeds `openBytesMax`, so memory stays bounded.
 *   LB3. A letter goes at once, unless others went less than `gatherMs` ago: then it waits for the rest of that time, until
 *        somebody needs it safe (`flush`), or until its message is full. A message costs as much with one letter as with many.
 *   LB4. Letters lie in the order in which they came: a message goes when the one before is answered, however often that is sent.
 *        What comes meanwhile is gathered: were it sent in messages of 5 ms each, a slow JetStream would have ever more of them to answer.
 *   LB5. A letter goes when the server has heard that its record was touched, which is said on another connection: who is killed then has
 *        the record counted, and its next owner does not get it (docs/design/0002-channels.md).
 * Design: docs/design/0012-failure-reactions.md
 * @module
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { type JetStreamClient, jetstream } from '@nats-io/jetstream'
import { aborted, type NatsConnection, subjects } from '../../infra/bus/index.ts'
import type { Clock } from '../../infra/clock.ts'
import { encodeLetters, type Letters, messagesOf } from '../../infra/dead-letters/index.ts'
import { GatheredLetters } from './gathered-letters.ts'

/** Letters without an answer beyond which no input is taken. */
export const openBytesMax = 4 * 1024 * 1024
/** From one message to the next, while letters come one after the other. */
const gatherMs = 5
const answerMs = 5_000
const retryFirstMs = 100
const retryLastMs = 2_000

/** JetStream's codes for: the stream has its bytes, its messages; the store has no room. */
const fullCodes: ReadonlySet<number> = new Set([10047, 10023, 10077])

export interface LetterBoxOptions {
  readonly namespace: string
  readonly clock: Clock
  readonly connect: () => Promise<NatsConnection>
  /** Resolves when producers have been told, as far as it is up to us, of all that was touched until now. */
  readonly heard: (signal: AbortSignal) => Promise<void>
  /** Told when letters wait because JetStream does not take them, and when it takes them again. */
  readonly onTrouble: (message: string) => void
}

export class LetterBox {
  readonly #options: LetterBoxOptions
  readonly #id = randomBytes(8).toString('hex')
  readonly #closing = new AbortController()
  #connection: Promise<NatsConnection> | undefined
  readonly #gathered = new Map<string, GatheredLetters>()
  /** From when on letters go at once. */
  #freeMs = Number.NEGATIVE_INFINITY
  #cancel: (() => void) | undefined
  #posted = 0
  /** Of all that was posted and is not answered. */
  readonly #unanswered = new Set<Promise<unknown>>()
  /** Of the last message; never rejects. */
  #answer: Promise<unknown> = Promise.resolve()
  /** Messages that are not answered; what was gathered is to go behind them. */
  #underWay = 0
  #isDue = false
  #openBytes = 0
  #troubled = false

  constructor(options: LetterBoxOptions) {
    this.#options = options
  }

  get openBytes(): number {
    return this.#openBytes
  }

  /**
   * Takes letters; their records are copied before it returns.
   * @returns For each whether it was stored; false: refused. Waits as long as it takes.
   */
  post({ function: name, version, letters }: Letters): Promise<readonly boolean[]> {
    const { clock } = this.#options
    const id = `${name} ${version}`
    const gathered = this.#gathered.get(id) ?? new GatheredLetters(name, version)
    this.#gathered.set(id, gathered)
    const before = gathered.bytes
    const answers = gathered.add(letters)
    this.#unanswered.add(answers)
    void answers.then(() => this.#unanswered.delete(answers))
    this.#openBytes += gathered.bytes - before
    const waitMs = this.#freeMs - clock.monotonicMs()
    if (waitMs <= 0) this.flush()
    else if (gathered.isFull) this.#send(id, gathered)
    else this.#cancel ??= clock.after(waitMs, () => this.flush())
    return answers
  }

  /** Lets go what waits for more; behind what is under way, if something is. */
  flush(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#isDue = this.#underWay > 0 && !this.#closing.signal.aborted
    if (this.#isDue || this.#gathered.size === 0) return
    this.#freeMs = this.#options.clock.monotonicMs() + gatherMs
    for (const [id, gathered] of this.#gathered) this.#send(id, gathered)
  }

  /** Resolves when all that was posted until now is answered. @throws the signal's reason */
  async answered(signal: AbortSignal): Promise<void> {
    this.flush()
    const late = aborted(signal).then(() => signal.throwIfAborted())
    await Promise.race([Promise.all(this.#unanswered), late])
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.flush()
    await this.#connection?.then((nc) => nc.close()).catch(() => undefined)
  }

  #send(id: string, gathered: GatheredLetters): void {
    this.#gathered.delete(id)
    const { content, bytes } = gathered
    const told = this.#options.heard(this.#closing.signal) // LB5
    told.catch(() => undefined) // closed; or it is thrown when the turn of a message has come
    const messages = [...messagesOf(content.letters)].map((letters) => {
      const message = encodeLetters({ ...content, letters })
      const stored = this.#answer.then(() => this.#deliver(content.function, letters.length, message, told))
      this.#answer = stored // LB4
      return stored
    })
    this.#underWay += messages.length
    void Promise.all(messages).then((stored) => {
      this.#underWay -= messages.length
      this.#openBytes -= bytes
      gathered.answer(stored.flat())
      if (this.#isDue) this.flush()
    })
  }

  async #deliver(
    functionName: string,
    count: number,
    bytes: Uint8Array,
    told: Promise<void>,
  ): Promise<boolean[]> {
    const subject = subjects.deadLetterSubject(this.#options.namespace, functionName, count)
    const msgID = `${this.#id}-${this.#posted++}`
    try {
      await told
      for (let waitMs = retryFirstMs; ; waitMs = Math.min(retryLastMs, waitMs * 2)) {
        this.#closing.signal.throwIfAborted()
        const stored = await this.#attempt(subject, bytes, msgID)
        if (stored !== undefined) return new Array<boolean>(count).fill(stored)
        await delay(waitMs, undefined, { signal: this.#closing.signal })
      }
    } catch {
      return new Array<boolean>(count).fill(false) // closed
    }
  }

  /** @returns Whether it was stored; undefined if nobody knows. */
  async #attempt(subject: string, bytes: Uint8Array, msgID: string): Promise<boolean | undefined> {
    try {
      const js = await this.#open()
      await js.publish(subject, bytes, { msgID, timeout: answerMs })
      if (this.#troubled) this.#options.onTrouble('dead letters are stored again')
      this.#troubled = false
      return true
    } catch (error) {
      if (fullCodes.has((error as { code?: number }).code ?? 0)) return false
      if (!this.#troubled && !this.#closing.signal.aborted) {
        const { message } = error as Error
        this.#options.onTrouble(
          `dead letters wait, and with them the input: JetStream does not take them (${message})`,
        )
        this.#troubled = true
      }
      return undefined
    }
  }

  async #open(): Promise<JetStreamClient> {
    this.#connection ??= this.#options.connect()
    try {
      return jetstream(await this.#connection, { checkAPI: false, timeout: answerMs })
    } catch (error) {
      this.#connection = undefined
      throw error
    }
  }
}
