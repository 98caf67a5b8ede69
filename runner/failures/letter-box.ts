/**
 * LetterBox: stores dead letters in JetStream, and says when they are safe.
 *
 * It has a separate connection, opened with the first letter: JetStream on a full disk freezes each connection that asks it
 * for something, and records must not wait for that.
 *   LB1. A letter is answered once: stored, or refused because the stream is full. Until then it is sent repeatedly; the
 *        server recognises its id and stores it once, for an hour (gateway/dead-letters/letter-store.ts). If an answer was lost,
 *        only the stream may refuse it: one of several servers without room says so before it looks whether it has the id.
 *   LB2. `openBytes` counts letters without an answer; callers respect `openBytesMax`, so memory stays bounded.
 *   LB3. A letter is sent at once, unless others were sent less than `gatherMs` ago: then it waits for the rest of that time, until
 *        somebody needs it safe (`flush`), or until its message is full. A message costs as much with one letter as with many.
 *   LB4. Letters are stored in the order in which they came: a message is sent when the one before is answered, however often
 *        that one is sent. Letters that come meanwhile are gathered, else a slow JetStream would get ever more messages.
 *   LB5. A letter is sent only when the server has heard, on another connection, that its record was touched: after a kill the
 *        record is then counted, and the next owner does not get it (docs/design/0002-channels.md).
 * Design: docs/design/0012-failure-reactions.md
 * @module
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { type NatsConnection, subjects, unlessAborted } from '../../infra/bus/index.ts'
import type { Clock } from '../../infra/clock.ts'
import type { NewLetters } from '../../infra/dead-letters/index.ts'
import { GatheredLetters } from './gathered-letters.ts'
import { LetterPost, Unanswered } from './letter-post.ts'

/** Bytes of unanswered letters beyond which no input is taken. */
export const openBytesMax = 4 * 1024 * 1024
/** Time from one message to the next while letters keep coming. */
const gatherMs = 10
const answerMs = 5_000
const retryFirstMs = 100
const retryLastMs = 2_000

/** JetStream's codes for a stream that has reached its bytes or messages, and for a store without room. */
const streamFull = 10077
const storeFull: ReadonlySet<number> = new Set([10047, 10023])

export interface LetterBoxOptions {
  readonly namespace: string
  readonly clock: Clock
  readonly connect: () => Promise<NatsConnection>
  /** Of subjects on which the connection may listen. */
  readonly inboxPrefix?: string
  /** Resolves when the server has heard everything touched until now. */
  readonly heard: (signal: AbortSignal) => Promise<void>
  /** Called when letters wait because JetStream does not accept them, and when it does again. */
  readonly onTrouble: (message: string) => void
}

export class LetterBox {
  readonly #options: LetterBoxOptions
  readonly #id = randomBytes(8).toString('hex')
  readonly #closing = new AbortController()
  #connection: Promise<NatsConnection> | undefined
  #post: LetterPost | undefined
  readonly #gathered = new Map<string, GatheredLetters>()
  /** Of those who wait until no letter is gathered. */
  #allSent: PromiseWithResolvers<void> | undefined
  /** From then on a letter is sent at once. */
  #freeMs = Number.NEGATIVE_INFINITY
  #cancel: (() => void) | undefined
  #posted = 0
  /** The promises of all unanswered posts. */
  readonly #unanswered = new Set<Promise<unknown>>()
  /** The answer of the last message; never rejects. */
  #answer: Promise<unknown> = Promise.resolve()
  /** Unanswered messages; gathered letters are sent after them. */
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
   * Posts letters, and keeps them until they are answered.
   * @returns For each whether it was stored (false: refused). Waits as long as necessary.
   */
  post({ function: name, version, letters }: NewLetters): Promise<readonly boolean[]> {
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

  /** Sends gathered letters, after the messages under way. */
  flush(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#isDue = this.#underWay > 0 && !this.#closing.signal.aborted
    if (this.#isDue || this.#gathered.size === 0) return
    this.#freeMs = this.#options.clock.monotonicMs() + gatherMs
    for (const [id, gathered] of this.#gathered) this.#send(id, gathered)
  }

  /** Resolves when no letter waits to be sent with others; undefined: none does. */
  sent(): Promise<void> | undefined {
    if (this.#gathered.size === 0) return undefined
    this.#allSent ??= Promise.withResolvers()
    return this.#allSent.promise
  }

  /** Resolves when everything posted until now is answered. @throws the signal's reason */
  async answered(signal: AbortSignal): Promise<void> {
    this.flush()
    if ((await unlessAborted(Promise.all(this.#unanswered), signal)) === undefined) signal.throwIfAborted()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.flush()
    await this.#connection?.then((nc) => nc.close()).catch(() => undefined)
  }

  #send(id: string, gathered: GatheredLetters): void {
    this.#gathered.delete(id)
    if (this.#gathered.size === 0) this.#allSent?.resolve()
    if (this.#gathered.size === 0) this.#allSent = undefined
    const told = this.#options.heard(this.#closing.signal) // LB5
    told.catch(() => undefined) // closed, or awaited later
    const messages = gathered.take().map(({ count, bytes }) => {
      const stored = this.#answer.then(() => this.#deliver(gathered.function, count, bytes, told))
      this.#answer = stored // LB4
      return stored
    })
    const { bytes } = gathered
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
      for (let waitMs = retryFirstMs, mayBeStored = false; ; waitMs = Math.min(retryLastMs, waitMs * 2)) {
        this.#closing.signal.throwIfAborted()
        const outcome = await this.#attempt(subject, bytes, msgID, mayBeStored)
        if (typeof outcome === 'boolean') return new Array<boolean>(count).fill(outcome)
        if (outcome === 'unanswered') mayBeStored = true
        await delay(waitMs, undefined, { signal: this.#closing.signal })
      }
    } catch {
      return new Array<boolean>(count).fill(false) // closed
    }
  }

  /** @returns Whether it was stored, or why it is to be sent again. */
  async #attempt(
    subject: string,
    bytes: Uint8Array,
    msgID: string,
    mayBeStored: boolean,
  ): Promise<boolean | 'unanswered' | 'not taken'> {
    try {
      const post = await this.#open()
      await post.send(subject, bytes, msgID, answerMs)
      if (this.#troubled) this.#options.onTrouble('dead letters are stored again')
      this.#troubled = false
      return true
    } catch (error) {
      const { code = 0 } = error as { code?: number }
      if (code === streamFull || (storeFull.has(code) && !mayBeStored)) return false
      if (!this.#troubled && !this.#closing.signal.aborted) {
        const { message } = error as Error
        this.#options.onTrouble(
          `dead letters wait, and with them the input: JetStream does not take them (${message})`,
        )
        this.#troubled = true
      }
      return error instanceof Unanswered ? 'unanswered' : 'not taken'
    }
  }

  async #open(): Promise<LetterPost> {
    this.#connection ??= this.#options.connect()
    try {
      this.#post ??= new LetterPost(await this.#connection, this.#options.inboxPrefix)
      return this.#post
    } catch (error) {
      this.#connection = undefined
      throw error
    }
  }
}
