/**
 * SpillStore: keeps chunks of records on disk, in the JetStream stream `concord-spill`.
 *
 * It uses a connection of its own, opened for the first chunk: JetStream on a full disk blocks every connection that
 * uses it, and records must not wait for that.
 *   SP1. A chunk is stored once: one that was sent without an answer is looked for before it is sent again.
 *   SP2. A chunk that was taken is deleted, so nobody else gets it.
 *   SP3. Calls are repeated until JetStream answers, or this store is closed.
 *   SP4. A chunk is known by its id. Sequences are only where it lies: when the stream is made anew, JetStream gives them to other
 *        chunks, which are neither returned nor deleted.
 * Design: docs/design/0016-back-pressure.md
 * @module
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { type JetStreamClient, type JetStreamManager, jetstream } from '@nats-io/jetstream'
import { headers } from '@nats-io/transport-node'
import { spillSubject } from '../bus/messages/subjects.ts'
import type { Spill, SpillPlace } from '../bus/sending/lane.ts'
import type { NatsConnection } from '../bus/wire/connect.ts'
import { apiCode, apiCodes, findSent, isSilence, readLatest, readMessage } from '../jetstream.ts'

export const spillStream = 'concord-spill'
/** The header of a chunk that says when the function that it is for was created. */
export const createdAtHeader = 'Concord-Created-At-Ms'
/** The one that says how old its oldest record was when it was sent to be stored; absent in chunks of earlier builds. */
export const ageHeader = 'Concord-Age-Ms'

const answerMs = 5_000
const retryFirstMs = 50
const retryLastMs = 1_000
/** JetStream's error codes for a full stream (bytes, messages) or a full store. */
const fullCodes: ReadonlySet<number | undefined> = new Set([10047, apiCodes.insufficientResources, 10077])

export interface SpillStoreOptions {
  readonly namespace: string
  readonly connect: () => Promise<NatsConnection>
  /** Called when records wait because JetStream does not answer, and when it answers again. */
  readonly onTrouble: (message: string) => void
}

/** A chunk that was stored. */
interface Stored {
  readonly msgID: string
  readonly sequence: number
}

interface Opened {
  readonly js: JetStreamClient
  readonly manager: JetStreamManager
}

export class SpillStore implements Spill {
  readonly #options: SpillStoreOptions
  readonly #id = randomBytes(8).toString('hex')
  readonly #closing = new AbortController()
  #connection: Promise<NatsConnection> | undefined
  #puts = 0
  /** By number: chunks that were not taken yet. */
  readonly #stored = new Map<number, Stored>()
  /** Of the last answer. */
  #newest: Stored | undefined
  #troubled = false

  constructor(options: SpillStoreOptions) {
    this.#options = options
  }

  async put(place: SpillPlace, chunk: Uint8Array, ageMs: () => number): Promise<number | undefined> {
    const { stream, partition, producer, createdAtMs } = place
    const subject = spillSubject(this.#options.namespace, place.function, stream, partition, producer)
    const number = ++this.#puts
    const msgID = `${this.#id}-${number}`
    const before = this.#newest
    let wasSent = false
    const sequence = await this.#untilAnswered(async ({ js, manager }) => {
      const sent = { subject, msgID, after: wasSent ? await sequenceOf(manager, before) : 0 }
      const stored = wasSent ? await findSent(manager, spillStream, sent) : undefined
      if (stored !== undefined) return stored
      wasSent = true
      try {
        const about = headers()
        about.set(ageHeader, String(Math.round(ageMs())))
        if (createdAtMs !== undefined) about.set(createdAtHeader, String(createdAtMs))
        return (await js.publish(subject, chunk, { msgID, headers: about, timeout: answerMs })).seq
      } catch (error) {
        if (fullCodes.has(apiCode(error))) return undefined
        throw error
      }
    })
    if (sequence === undefined) return undefined
    this.#newest = { msgID, sequence }
    this.#stored.set(number, this.#newest)
    return number
  }

  async take(number: number): Promise<Uint8Array | undefined> {
    const stored = this.#stored.get(number)
    if (stored === undefined) return undefined
    const chunk = await this.#untilAnswered(({ manager }) => readChunk(manager, stored))
    if (chunk !== undefined) await this.#untilAnswered(({ manager }) => removeChunk(manager, stored.sequence))
    this.#stored.delete(number)
    return chunk
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#connection?.then((nc) => nc.close()).catch(() => undefined)
  }

  /** Repeats a call until JetStream answers (SP3). After `close` it never returns: the process is ending. */
  async #untilAnswered<T>(ask: (opened: Opened) => Promise<T>): Promise<T> {
    for (let waitMs = retryFirstMs; ; waitMs = Math.min(retryLastMs, waitMs * 2)) {
      try {
        const answer = await ask(await this.#open())
        if (this.#troubled) this.#options.onTrouble('records are spilled to disk again')
        this.#troubled = false
        return answer
      } catch (error) {
        await this.#wait(waitMs, error as Error)
      }
    }
  }

  async #wait(waitMs: number, { message }: Error): Promise<void> {
    const { signal } = this.#closing
    if (!signal.aborted && !this.#troubled && waitMs > retryFirstMs) {
      this.#troubled = true
      this.#options.onTrouble(`records that are to be spilled wait: JetStream does not answer (${message})`)
    }
    await delay(waitMs, undefined, { signal }).catch(() => new Promise<never>(() => undefined))
  }

  async #open(): Promise<Opened> {
    this.#connection ??= this.#options.connect()
    try {
      const js = jetstream(await this.#connection, { checkAPI: false, timeout: answerMs })
      return { js, manager: await js.jetstreamManager(false) }
    } catch (error) {
      this.#connection = undefined
      throw error
    }
  }
}

/** Undefined if it is gone, whatever lies there now (SP4). */
async function readChunk(manager: JetStreamManager, chunk: Stored): Promise<Uint8Array | undefined> {
  for (const read of [readMessage, readLatest]) {
    const found = await read(manager, spillStream, { seq: chunk.sequence })
    if (found?.header.get('Nats-Msg-Id') === chunk.msgID) return found.data
  }
  return undefined
}

/** Behind which sequence something lies that was sent after this chunk; 0 unless it is still where it was. */
async function sequenceOf(manager: JetStreamManager, chunk: Stored | undefined): Promise<number> {
  return chunk !== undefined && (await readChunk(manager, chunk)) !== undefined ? chunk.sequence : 0
}

/** Deletes a chunk, if it still exists. */
export async function removeChunk(manager: JetStreamManager, sequence: number): Promise<void> {
  await manager.streams.deleteMessage(spillStream, sequence, false).catch((error: unknown) => {
    if (isSilence(error) || apiCode(error) === undefined) throw error // else it is gone already
  })
}
