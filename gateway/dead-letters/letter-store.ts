/**
 * LetterStore: the dead letters of a namespace in JetStream: creates the streams, reads, counts and marks.
 *
 *   LS1. A letter is claimed by at most one redrive, in whichever gateway: a mark is written only if the marks are
 *        unchanged since they were read.
 *   LS2. Every call ends within its time limit, whatever JetStream does.
 * Design: docs/design/0012-failure-reactions.md
 * @module
 */
import {
  DeliverPolicy,
  DiscardPolicy,
  type JetStreamClient,
  type JetStreamManager,
  type JsMsg,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
} from '@nats-io/jetstream'
import { type NatsConnection, subjects } from '../../infra/bus/index.ts'
import { decodeLetters, type Letter, lettersStream, marksStream } from '../../infra/dead-letters/index.ts'
import { readLatest, storeReason } from '../../infra/jetstream.ts'
import { ensureStream, type Replicas } from '../../infra/streams.ts'
import { CodedError } from '../../sdk/errors.ts'
import { refuse } from '../errors.ts'
import { type Mark, type Marks, parseMarks } from './marks.ts'

const answerMs = 5_000
const pullMessages = 32
const wrongLastSequence = 10071
const millisecondNs = 1_000_000
/** How long JetStream recognizes a letter that is sent again: longer than an outage. An id takes some 150 bytes there. */
const repeatedForMs = 3_600_000

export interface LetterStoreOptions {
  /** A connection of its own: JetStream on a full disk blocks every connection that uses it. */
  readonly nc: NatsConnection
  readonly namespace: string
  readonly bytesMax: number
  readonly ageMaxMs: number
  readonly replicas?: Replicas
}

/** A stored message with its letters. */
export interface LetterMessage {
  /** Its sequence in the stream: the first part of a letter's id. */
  readonly sequence: number
  readonly function: string
  readonly version: number
  readonly letters: readonly Letter[]
}

export class LetterStore {
  readonly #options: LetterStoreOptions
  readonly #js: JetStreamClient
  #manager: Promise<JetStreamManager> | undefined

  constructor(options: LetterStoreOptions) {
    this.#options = options
    this.#js = jetstream(options.nc, { checkAPI: false, timeout: answerMs })
  }

  /** Creates the streams, or updates their settings. @returns As ensureStream, for both. */
  async ensure(): Promise<boolean> {
    const { nc, namespace, bytesMax, ageMaxMs, replicas } = this.#options
    const common = {
      storage: StorageType.File,
      retention: RetentionPolicy.Limits,
      discard: DiscardPolicy.New,
      max_age: ageMaxMs * millisecondNs,
      allow_direct: true,
    }
    const letters = {
      ...common,
      name: lettersStream(namespace),
      subjects: [subjects.deadLetterSubject(namespace, '*', '*')],
      max_bytes: bytesMax,
      duplicate_window: Math.min(repeatedForMs, ageMaxMs) * millisecondNs,
    }
    const marks = {
      ...common,
      name: marksStream(namespace),
      subjects: [subjects.redrivenSubject(namespace, '*', '*')],
      max_bytes: Math.ceil(bytesMax / 4),
      max_msgs_per_subject: 1,
    }
    const made = [await ensureStream(nc, letters, replicas), await ensureStream(nc, marks, replicas)]
    return !made.includes(false)
  }

  /** The number of a function's letters, including redriven ones, and the sequence of its oldest message. */
  async count(functionName: string): Promise<{ readonly letters: number; readonly firstSequence: number }> {
    const { namespace } = this.#options
    const manager = await this.#open()
    const filter = subjects.deadLetterSubject(namespace, functionName, '*')
    const { state } = await manager.streams.info(lettersStream(namespace), { subjects_filter: filter })
    let letters = 0
    for (const [subject, messages] of Object.entries(state.subjects ?? {}))
      letters += Number(subject.slice(subject.lastIndexOf('.') + 1)) * messages
    return { letters, firstSequence: state.first_seq }
  }

  /** @returns Undefined if the message no longer exists. */
  async message(sequence: number): Promise<LetterMessage | undefined> {
    const manager = await this.#open()
    const stream = lettersStream(this.#options.namespace)
    const message = await readLatest(manager, stream, { seq: sequence })
    return message === null ? undefined : { sequence, ...decodeLetters(message.data) }
  }

  /** Messages of one function or of all, oldest first, from a sequence on. Unreadable ones are skipped. */
  async *messages(functionName: string | undefined, from: number): AsyncGenerator<LetterMessage> {
    const { namespace } = this.#options
    const filter = subjects.deadLetterSubject(namespace, functionName ?? '*', '*')
    for await (const message of this.#read(lettersStream(namespace), filter, from)) {
      try {
        yield { sequence: message.seq, ...decodeLetters(message.data) }
      } catch {
        // Written by a later build, or not ours: skipped, and left for whoever can read it.
      }
    }
  }

  /** The marks on a function's letters, or on all, by message sequence. */
  async marks(functionName: string | undefined): Promise<Map<number, Marks>> {
    const { namespace } = this.#options
    const filter = subjects.redrivenSubject(namespace, functionName ?? '*', '*')
    const marks = new Map<number, Marks>()
    for await (const message of this.#read(marksStream(namespace), filter, 1)) {
      const sequence = Number(message.subject.slice(message.subject.lastIndexOf('.') + 1))
      marks.set(sequence, parseMarks(message.data, message.seq))
    }
    return marks
  }

  /** The marks on one message. */
  async marksOf(functionName: string, sequence: number): Promise<Marks> {
    const { namespace } = this.#options
    const manager = await this.#open()
    const subject = subjects.redrivenSubject(namespace, functionName, sequence)
    const found = await readLatest(manager, marksStream(namespace), { last_by_subj: subject })
    return found === null ? { revision: 0, byIndex: new Map() } : parseMarks(found.data, found.seq)
  }

  /** Adds marks to those that were read (LS1). @returns The new marks; undefined if another redrive was faster. */
  async mark(
    functionName: string,
    sequence: number,
    { revision, byIndex }: Marks,
    more: ReadonlyMap<number, Mark>,
  ): Promise<Marks | undefined> {
    const all = new Map([...byIndex, ...more])
    const subject = subjects.redrivenSubject(this.#options.namespace, functionName, sequence)
    const body = JSON.stringify({ schema: 1, letters: Object.fromEntries(all) })
    try {
      const { seq } = await this.#js.publish(subject, body, { expect: { lastSubjectSequence: revision } })
      return { revision: seq, byIndex: all }
    } catch (error) {
      if ((error as { code?: number }).code === wrongLastSequence) return undefined
      throw error
    }
  }

  async *#read(stream: string, filter: string, from: number): AsyncGenerator<JsMsg> {
    const consumer = await this.#js.consumers.get(stream, {
      filter_subjects: filter,
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: Math.max(1, from),
    })
    try {
      for (let left = (await consumer.info()).num_pending; left > 0; ) {
        const messages = await consumer.fetch({
          max_messages: Math.min(left, pullMessages),
          expires: answerMs,
        })
        let got = 0
        for await (const message of messages) {
          got++
          yield message
        }
        if (got === 0) throw new Error('no answer from JetStream') // LS2
        left -= got
      }
    } finally {
      await consumer.delete().catch(() => undefined)
    }
  }

  /** Opened on use and retried: JetStream may be away at first. */
  async #open(): Promise<JetStreamManager> {
    this.#manager ??= jetstreamManager(this.#options.nc, { timeout: answerMs, checkAPI: false })
    return await this.#manager
  }
}

/** Calls JetStream and turns its failures into errors for the caller. */
export async function asked<T>(what: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    if (error instanceof CodedError) throw error
    const text = `Cannot ${what}: ${storeReason(error, 'JetStream')}. Try again in a moment.`
    throw refuse('ERR_BACKEND', text)
  }
}
