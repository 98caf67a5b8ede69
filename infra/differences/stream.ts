/**
 * DifferenceStore: a gateway's access to the JetStream stream with a namespace's differences.
 *
 *   DF1. New differences replace the oldest ones: they are for people to read, and no process waits for room.
 * Design: docs/design/0030-shadow.md
 * @module
 */
import { DiscardPolicy, type JetStreamManager, jetstreamManager, StorageType } from '@nats-io/jetstream'
import { type NatsConnection, subjects } from '../bus/index.ts'
import { infraError } from '../errors.ts'
import { patienceMs, patiently, readLatest, requestTimeoutMs, storeReason } from '../jetstream.ts'
import { ensureStream, type Replicas } from '../streams.ts'
import { type Differences, decodeDifferences } from './message.ts'

const bytesMax = 64 * 1024 * 1024
const ageMaxNs = 30 * 24 * 3_600 * 1e9

export class DifferenceStore {
  readonly #nc: NatsConnection
  readonly #namespace: string

  constructor(nc: NatsConnection, namespace: string) {
    this.#nc = nc
    this.#namespace = namespace
  }

  /** Creates the stream, or updates its settings. @returns As ensureStream. @throws {CodedError} ERR_DIFFERENCES */
  async ensure(replicas?: Replicas): Promise<boolean> {
    const config = {
      name: this.#name,
      subjects: [subjects.differencesSubject(this.#namespace, '*', '*')],
      storage: StorageType.File,
      discard: DiscardPolicy.Old,
      max_bytes: bytesMax,
      max_age: ageMaxNs,
      allow_direct: true,
    }
    return await this.#patiently('make the stream of differences', () =>
      ensureStream(this.#nc, config, replicas),
    )
  }

  /**
   * The first message of a version after a place in the stream.
   * @returns Undefined if there is none. @throws {CodedError} ERR_DIFFERENCES
   */
  async next(
    functionName: string,
    version: number,
    after: number,
  ): Promise<
    { readonly place: number; readonly bytes: number; readonly differences: Differences } | undefined
  > {
    const subject = subjects.differencesSubject(this.#namespace, functionName, version)
    const message = await this.#ask('read differences', (manager) =>
      readLatest(manager, this.#name, { seq: after + 1, next_by_subj: subject }),
    )
    return message === null
      ? undefined
      : { place: message.seq, bytes: message.data.length, differences: decodeDifferences(message.data) }
  }

  /** Deletes the differences of a removed function. @throws {CodedError} ERR_DIFFERENCES */
  async forget(functionName: string): Promise<void> {
    const filter = subjects.differencesSubject(this.#namespace, functionName, '*')
    await this.#ask('forget differences', (manager) => manager.streams.purge(this.#name, { filter }))
  }

  get #name(): string {
    return `concord-differences-${this.#namespace}`
  }

  async #ask<T>(what: string, call: (manager: JetStreamManager) => Promise<T>): Promise<T> {
    const options = { checkAPI: false, timeout: requestTimeoutMs }
    return await this.#patiently(what, async () => await call(await jetstreamManager(this.#nc, options)))
  }

  async #patiently<T>(what: string, call: () => Promise<T>): Promise<T> {
    const failed = (cause: unknown) =>
      infraError('ERR_DIFFERENCES', `Cannot ${what}: ${storeReason(cause, 'the stream of differences')}`, {
        cause,
      })
    return await patiently({ call, timeoutMs: patienceMs, failed })
  }
}
