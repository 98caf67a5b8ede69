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
import { infraError } from '../errors.ts'
import { patienceMs, patiently, readLatest, requestTimeoutMs, storeReason } from '../jetstream.ts'
import { ensureStream, type Replicas } from '../streams.ts'
import { removeChunk, spillStream } from './spill-store.ts'

export const goneAfterMs = 15_000

export interface SpilledChunk {
  readonly function: string
  readonly stream: string
  readonly partition: number
  readonly storedAtMs: number
  readonly bytes: Uint8Array
}

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
  async *take(
    wants: (place: Omit<SpilledChunk, 'storedAtMs' | 'bytes'>) => boolean,
  ): AsyncGenerator<SpilledChunk> {
    for (const subject of await this.#subjects()) {
      const [functionName, stream, partition, producer] = subject.split('.').slice(3) as [
        string,
        string,
        string,
        string,
      ]
      const place = { function: functionName, stream, partition: Number(partition) }
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
    const filter = spillSubject(this.#options.namespace, '*', '*', '*', '*')
    return await this.#ask('list', async (manager) => {
      const info = await manager.streams.info(spillStream, { subjects_filter: filter }).catch(noStream)
      const subjects = Object.keys(info?.state.subjects ?? {})
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
  ): Promise<Pick<SpilledChunk, 'storedAtMs' | 'bytes'> | undefined> {
    const message = await this.#ask('read', (manager) =>
      readLatest(manager, spillStream, { seq: 1, next_by_subj: subject }),
    )
    if (message === null || !isWanted()) return undefined
    await this.#ask('delete', (manager) => removeChunk(manager, message.seq))
    return { storedAtMs: message.time.getTime(), bytes: message.data }
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
