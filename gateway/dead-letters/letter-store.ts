/**
 * LetterStore: the dead letters of a namespace in JetStream: creates the streams, reads, counts, marks and deletes.
 *
 *   LS1. A letter is claimed by at most one redrive, in whichever gateway: a mark is written only if the marks are
 *        unchanged since they were read.
 *   LS2. Every call ends within its time limit, whatever JetStream does.
 *   LS3. A message is deleted before its marks. So who writes the first mark, by what was read earlier, looks whether the
 *        message is still there, and otherwise takes the mark back.
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
import { apiCode, apiCodes, readLatest, storeReason } from '../../infra/jetstream.ts'
import { ensureStream, type Replicas } from '../../infra/streams.ts'
import { CodedError } from '../../sdk/errors.ts'
import { refuse } from '../errors.ts'
import { encodeMarks, type Mark, type Marks, noMarks, parseMarks } from './marks.ts'

const answerMs = 5_000
const pullMessages = 32
/** How long a pull waits for messages that another request may have removed meanwhile. */
const pullMs = 1_000
/** What JetStream says of a message that is to be deleted and does not exist. */
const missing = new Set<number | undefined>([
  apiCodes.notDeleted,
  apiCodes.noMessage,
  apiCodes.sequenceNotFound,
])
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
  /** What it takes in the stream, about. */
  readonly bytes: number
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

  /** The functions that have letters, redriven ones too: also those that were removed. */
  async functions(): Promise<readonly string[]> {
    const { namespace } = this.#options
    const manager = await this.#open()
    const filter = subjects.deadLetterSubject(namespace, '*', '*')
    const { state } = await manager.streams.info(lettersStream(namespace), { subjects_filter: filter })
    return [...new Set(Object.keys(state.subjects ?? {}).map((subject) => subject.split('.').at(-2)!))]
  }

  /** @returns Undefined if the message no longer exists. */
  async message(sequence: number): Promise<LetterMessage | undefined> {
    const manager = await this.#open()
    const stream = lettersStream(this.#options.namespace)
    const message = await readLatest(manager, stream, { seq: sequence })
    return message === null ? undefined : messageOf(sequence, message.data)
  }

  /** Messages of one function or of all, oldest first, from a sequence on. Unreadable ones are skipped. */
  async *messages(functionName: string | undefined, from: number): AsyncGenerator<LetterMessage> {
    const { namespace } = this.#options
    const filter = subjects.deadLetterSubject(namespace, functionName ?? '*', '*')
    for await (const message of this.#read(lettersStream(namespace), filter, from)) {
      try {
        yield messageOf(message.seq, message.data)
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
    return found === null ? noMarks : parseMarks(found.data, found.seq)
  }

  /** Adds marks to those that were read (LS1). @returns The new marks; undefined if another request was faster. */
  mark(
    functionName: string,
    sequence: number,
    { revision, byIndex }: Marks,
    more: ReadonlyMap<number, Mark>,
  ): Promise<Marks | undefined> {
    return this.#mark(functionName, sequence, revision, { byIndex: new Map([...byIndex, ...more]) })
  }

  /** Gives all letters of a message one mark instead of those that were read. @returns As mark. */
  markAll(
    functionName: string,
    sequence: number,
    { revision }: Marks,
    all: Mark,
  ): Promise<Marks | undefined> {
    return this.#mark(functionName, sequence, revision, { byIndex: new Map(), all })
  }

  async #mark(
    functionName: string,
    sequence: number,
    revision: number,
    marks: Omit<Marks, 'revision'>,
  ): Promise<Marks | undefined> {
    const { namespace } = this.#options
    const subject = subjects.redrivenSubject(namespace, functionName, sequence)
    const expect = { lastSubjectSequence: revision }
    try {
      const { seq } = await this.#js.publish(subject, encodeMarks(marks), { expect })
      if (revision > 0 || (await this.#has(sequence))) return { revision: seq, ...marks }
      await this.#delete(marksStream(namespace), seq) // LS3
      return undefined
    } catch (error) {
      if (apiCode(error) === apiCodes.wrongLastSequence) return undefined
      throw error
    }
  }

  /** Deletes a message, then the marks on it (LS3). @returns Whether it was there. */
  async remove(sequence: number, { revision }: Marks): Promise<boolean> {
    const { namespace } = this.#options
    const wasThere = await this.#delete(lettersStream(namespace), sequence)
    await this.#delete(marksStream(namespace), revision)
    return wasThere
  }

  async #has(sequence: number): Promise<boolean> {
    const manager = await this.#open()
    return (await readLatest(manager, lettersStream(this.#options.namespace), { seq: sequence })) !== null
  }

  async #delete(stream: string, sequence: number): Promise<boolean> {
    const manager = await this.#open()
    try {
      return await manager.streams.deleteMessage(stream, sequence, false)
    } catch (error) {
      if (!missing.has(apiCode(error))) throw error
      return false
    }
  }

  async *#read(stream: string, filter: string, from: number): AsyncGenerator<JsMsg> {
    const consumer = await this.#js.consumers.get(stream, {
      filter_subjects: filter,
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: Math.max(1, from),
    })
    try {
      let silentMs = 0
      for (let left = (await consumer.info()).num_pending; left > 0; ) {
        const wanted = Math.min(left, pullMessages)
        let got = 0
        for await (const message of await consumer.fetch({ max_messages: wanted, expires: pullMs })) {
          got++
          yield message
        }
        // Fewer come if another request has removed some meanwhile.
        left = got === wanted ? left - got : (await consumer.info()).num_pending
        silentMs = got === 0 ? silentMs + pullMs : 0
        if (left > 0 && silentMs >= answerMs) throw new Error('no answer from JetStream') // LS2
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

function messageOf(sequence: number, data: Uint8Array): LetterMessage {
  return { sequence, bytes: data.length, ...decodeLetters(data) }
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
