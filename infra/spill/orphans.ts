/**
 * Orphans: finds and takes chunks on disk whose producer is gone, for a gateway.
 *
 *   O1. Nothing is taken of a producer that was heard, or first seen on disk, within `goneAfterMs`.
 *   O2. A chunk is deleted before it is handed on, so nobody gets it twice.
 *   O3. The chunks of one producer and partition come in the order in which they were stored.
 *   O4. Whether a chunk is wanted is asked before it is read, and again before it is deleted: a slow JetStream may take long to answer.
 * Design: docs/design/0016-back-pressure.md
 * @module
 */
import { type JetStreamManager, jetstream } from '@nats-io/jetstream'
import { spillSubject } from '../bus/messages/subjects.ts'
import type { NatsConnection } from '../bus/wire/connect.ts'
import type { Clock } from '../clock.ts'
import { functionOfConsumer } from '../control/index.ts'
import { infraError } from '../errors.ts'
import { patienceMs, patiently, readLatest, requestTimeoutMs, storeReason } from '../jetstream.ts'
import { ensureStream, type Replicas } from '../streams.ts'
import { ageHeader, createdAtHeader, removeChunk, spillStream } from './spill-store.ts'

export const goneAfterMs = 15_000

export interface SpilledChunk {
  readonly function: string
  readonly stream: string
  readonly partition: number
  /** When the function that it is for was created; undefined if its producer did not know. */
  readonly createdAtMs: number | undefined
  readonly storedAtMs: number
  /** How old its oldest record was then; 0 if its producer did not say. */
  readonly ageMs: number
  readonly bytes: Uint8Array
}

export type SpilledPlace = Pick<SpilledChunk, 'function' | 'stream' | 'partition'>

export interface OrphansOptions {
  readonly nc: NatsConnection
  readonly namespace: string
  readonly clock: Clock
}

export class Orphans {
  readonly #options: OrphansOptions
  readonly #heardMs = new Map<string, number>()

  constructor(options: OrphansOptions) {
    this.#options = options
  }

  /** Notes that a producer with chunks on disk lives. */
  heard(producer: string): void {
    this.#heardMs.set(producer, this.#options.clock.monotonicMs())
  }

  /**
   * Takes the chunks of producers that are gone, one at a time.
   * @param wants Called before a chunk is taken (O4); false: leave it for later.
   * @throws {CodedError} ERR_SPILL_STORE
   */
  async *take(wants: (place: SpilledPlace) => boolean): AsyncGenerator<SpilledChunk> {
    for (const subject of await this.#subjects()) {
      const { producer, ...place } = placeOf(subject)
      if (!this.#isGone(producer)) continue
      const isWanted = (): boolean => wants(place)
      while (isWanted()) {
        const chunk = await this.#first(subject, isWanted)
        if (chunk === undefined) break
        yield { ...place, ...chunk }
      }
    }
  }

  #isGone(producer: string): boolean {
    const nowMs = this.#options.clock.monotonicMs()
    return nowMs - this.#heardMs.get(producer)! > goneAfterMs
  }

  async #subjects(): Promise<string[]> {
    return await this.#ask('list', async (manager) => {
      const subjects = Object.keys(await subjectsOf(manager, this.#options.namespace))
      const seen = new Set(subjects.map((subject) => subject.split('.').at(-1)!))
      const nowMs = this.#options.clock.monotonicMs()
      for (const producer of seen) if (!this.#heardMs.has(producer)) this.#heardMs.set(producer, nowMs)
      for (const producer of this.#heardMs.keys()) if (!seen.has(producer)) this.#heardMs.delete(producer)
      return subjects.sort()
    })
  }

  /** @returns Undefined: there is none, or it is wanted no more. */
  async #first(
    subject: string,
    isWanted: () => boolean,
  ): Promise<Omit<SpilledChunk, keyof SpilledPlace> | undefined> {
    const message = await this.#ask('read', (manager) =>
      readLatest(manager, spillStream, { seq: 1, next_by_subj: subject }),
    )
    if (message === null || !isWanted()) return undefined
    await this.#ask('delete', (manager) => removeChunk(manager, message.seq))
    const createdAt = message.header.get(createdAtHeader)
    const createdAtMs = createdAt === '' ? undefined : Number(createdAt)
    const ageMs = Number(message.header.get(ageHeader))
    return { createdAtMs, storedAtMs: message.time.getTime(), ageMs, bytes: message.data }
  }

  async #ask<T>(what: string, call: (manager: JetStreamManager) => Promise<T>): Promise<T> {
    return await patiently({
      call: async () => await call(await managerOf(this.#options.nc)),
      timeoutMs: patienceMs,
      failed: (cause) => spillError(`${what} records that wait on disk`, cause),
    })
  }
}

/**
 * Where chunks are on disk for a function, and how many of each producer.
 * @param timeoutMs How long the question is repeated while JetStream is silent.
 * @throws {CodedError} ERR_SPILL_STORE
 */
export async function spilledFor(
  nc: NatsConnection,
  namespace: string,
  functionName: string,
  timeoutMs = patienceMs,
): Promise<{ readonly producer: string; readonly chunks: number }[]> {
  const subjects = await patiently({
    call: async () => await subjectsOf(await managerOf(nc), namespace),
    timeoutMs,
    failed: (cause) => spillError(`look what waits on disk for '${functionName}'`, cause),
  })
  return Object.entries(subjects).flatMap(([subject, chunks]) => {
    const { function: consumer, producer } = placeOf(subject)
    return functionOfConsumer(consumer) === functionName ? [{ producer, chunks }] : []
  })
}

/** The subjects of all chunks, each with the number of them. */
async function subjectsOf(manager: JetStreamManager, namespace: string): Promise<Record<string, number>> {
  const filter = spillSubject(namespace, '*', '*', '*', '*')
  const info = await manager.streams.info(spillStream, { subjects_filter: filter }).catch(noStream)
  return info?.state.subjects ?? {}
}

function placeOf(subject: string): SpilledPlace & { readonly producer: string } {
  const [name = '', stream = '', partition, producer = ''] = subject.split('.').slice(3)
  return { function: name, stream, partition: Number(partition), producer }
}

/**
 * Creates the stream of spilled chunks, or updates its settings. Only a gateway may.
 * @returns As ensureStream.
 * @throws {CodedError} ERR_SPILL_STORE
 */
export async function ensureSpillStream(nc: NatsConnection, replicas?: Replicas): Promise<boolean> {
  const config = {
    name: spillStream,
    subjects: [spillSubject('*', '*', '*', '*', '*')],
    allow_direct: true,
  }
  return await patiently({
    call: () => ensureStream(nc, config, replicas),
    timeoutMs: patienceMs,
    failed: (cause) => spillError('make the store of what is spilled', cause),
  })
}

/** Ignores that the stream does not exist: no gateway has created it yet. */
function noStream(error: unknown): undefined {
  if (!/stream not found/i.test((error as Error).message)) throw error
}

async function managerOf(nc: NatsConnection): Promise<JetStreamManager> {
  return await jetstream(nc, { checkAPI: false, timeout: requestTimeoutMs }).jetstreamManager(false)
}

function spillError(what: string, cause: unknown): Error {
  return infraError('ERR_SPILL_STORE', `Cannot ${what}: ${storeReason(cause, 'JetStream')}`, { cause })
}
