/**
 * Objects: the layout of NATS's object stores (ADR-20): parts on one subject, then a message that names them.
 *
 * We write and read it ourselves, because the client reads through a consumer (slower, and needs permissions that a
 * runner should not have), and deletes by filtered purges, whose bytes nats-server 2.9 still counts as used.
 * @module
 */
import { createHash, randomUUID } from 'node:crypto'
import { DiscardPolicy, type JetStreamClient, type JetStreamManager, jetstream } from '@nats-io/jetstream'
import { headers } from '@nats-io/transport-node'
import type { NatsConnection } from '../bus/wire/connect.ts'
import { infraError } from '../errors.ts'
import {
  apiCode,
  apiCodes,
  patiently,
  readLatest,
  readMessage,
  requestTimeoutMs,
  storeReason,
} from '../jetstream.ts'
import { ensureStream, makeStream, type Replicas } from '../streams.ts'

const bucket = 'concord-bundles'
const stream = `OBJ_${bucket}`
const settings = {
  name: stream,
  subjects: [`$O.${bucket}.C.>`, `$O.${bucket}.M.>`],
  discard: DiscardPolicy.New,
  allow_direct: true,
  allow_rollup_hdrs: true,
}
export const partBytesMax = 128 * 1024

/** The message that names an object's parts. */
export interface ObjectInfo {
  readonly name: string
  readonly bucket: string
  readonly nuid: string
  readonly size: number
  readonly chunks: number
  readonly digest: string
  readonly mtime: string
  readonly options: { readonly max_chunk_size: number }
  readonly deleted?: boolean
}

export interface Found extends ObjectInfo {
  /** The revision of the message, for compare-and-set. */
  readonly revision: number
  /** When the message was last written, by nats-server's clock. */
  readonly touchedMs: number
}

/** A put of an object that was put more recently than this does not touch it: otherwise every deploy would write. */
export const touchAfterMs = 30 * 60_000

export interface Part {
  readonly seq: number
  readonly data: Uint8Array
}

export class Objects {
  readonly #nc: NatsConnection
  readonly #nowMs: () => number
  readonly #js: JetStreamClient
  readonly #manager: JetStreamManager
  #opening: Promise<unknown> | undefined

  private constructor(nc: NatsConnection, nowMs: () => number, manager: JetStreamManager) {
    this.#nc = nc
    this.#nowMs = nowMs
    this.#js = clientOf(nc)
    this.#manager = manager
  }

  /** @param nowMs Wall time, milliseconds since 1970. */
  static async open(nc: NatsConnection, nowMs: () => number = Date.now): Promise<Objects> {
    return new Objects(nc, nowMs, await clientOf(nc).jetstreamManager(false))
  }

  /** Opened at the first call, so that a gateway can start while the store does not answer. */
  #open(): Promise<unknown> {
    this.#opening ??= makeStream(this.#nc, settings)
    return this.#opening
  }

  /**
   * Makes a call, again until the store answers, for `timeoutMs` at most.
   * @param what The attempt, for the message.
   * @throws {CodedError} ERR_BUNDLE_STORE
   */
  async patiently<T>(what: string, timeoutMs: number, call: () => Promise<T>): Promise<T> {
    const failed = (cause: unknown): Error =>
      infraError('ERR_BUNDLE_STORE', `Cannot ${what}: ${storeReason(cause, 'the bundle store')}`, { cause })
    const again = (): void => {
      this.#opening = undefined // the store may have been lost
    }
    return await patiently({ call, timeoutMs, failed, again })
  }

  async info(sha256: string): Promise<Found | undefined> {
    await this.#open()
    const message = await readLatest(this.#manager, stream, { last_by_subj: infoSubject(sha256) })
    if (message === null) return undefined
    const found = message.json<ObjectInfo>()
    if (found.deleted === true) return undefined
    return { ...found, revision: message.seq, touchedMs: message.time.getTime() }
  }

  /** The hashes of all objects. */
  async names(): Promise<string[]> {
    await this.#open()
    const { state } = await this.#manager.streams.info(stream, { subjects_filter: infoSubjects })
    return Object.keys(state.subjects ?? {}).map(nameIn)
  }

  /** The upload ids of all parts, named or not. */
  async nuids(): Promise<string[]> {
    await this.#open()
    const { state } = await this.#manager.streams.info(stream, { subjects_filter: partSubjects })
    return Object.keys(state.subjects ?? {}).map((subject) => subject.slice(partSubjects.length - 1))
  }

  /** When the last part of an upload was added. */
  async addedMs(nuid: string): Promise<number | undefined> {
    const last = await readLatest(this.#manager, stream, { last_by_subj: partsSubject({ nuid }) })
    return last?.time.getTime()
  }

  /**
   * Writes the name again if it is old, with a new revision and time.
   * @returns False if another writer was faster.
   */
  async touch({ revision, touchedMs, ...named }: Found): Promise<boolean> {
    if (this.#nowMs() - touchedMs < touchAfterMs) return true
    return await this.name({ ...named, mtime: new Date().toISOString() }, revision)
  }

  /**
   * Names an object's parts, replacing the given revision (0: none may exist).
   * @returns False if another writer was faster.
   */
  async name(named: ObjectInfo, revision: number): Promise<boolean> {
    const replaces = headers()
    replaces.set('Nats-Rollup', 'sub')
    const expect = { lastSubjectSequence: revision }
    try {
      await this.#js.publish(infoSubject(named.name), JSON.stringify(named), { headers: replaces, expect })
      return true
    } catch (error) {
      if (apiCode(error) !== apiCodes.wrongLastSequence) throw error
      return false
    }
  }

  /** @param id Identifies the part, so that a repetition is stored once. */
  async add(nuid: string, data: Uint8Array, id: string): Promise<void> {
    await this.#open()
    await this.#js.publish(partsSubject({ nuid }), data, { msgID: id })
  }

  async next(nuid: string, from: number): Promise<Part | undefined> {
    const query = { seq: from, next_by_subj: partsSubject({ nuid }) }
    return (await readMessage(this.#manager, stream, query)) ?? undefined
  }

  async *parts(nuid: string): AsyncGenerator<Part> {
    for (let from = 1; ; ) {
      const part = await this.next(nuid, from)
      if (part === undefined) return
      yield part
      from = part.seq + 1
    }
  }

  /** Whether the number of parts is right; only reading shows whether their contents are. */
  async hasParts({ nuid, chunks }: ObjectInfo): Promise<boolean> {
    const subject = partsSubject({ nuid })
    const { state } = await this.#manager.streams.info(stream, { subjects_filter: subject })
    return (state.subjects?.[subject] ?? 0) === chunks
  }

  /** Removes parts, one by one. */
  async forget(nuid: string): Promise<void> {
    for await (const part of this.parts(nuid))
      await this.#manager.streams.deleteMessage(stream, part.seq, false)
  }

  /** Removes the name of an object. @returns False if another writer has just replaced it. */
  async unname(revision: number): Promise<boolean> {
    try {
      await this.#manager.streams.deleteMessage(stream, revision, false)
      return true
    } catch (error) {
      if (apiCode(error) !== apiCodes.notDeleted) throw error
      return false
    }
  }
}

/** The name of a new object of this size and hash, whose parts are not stored yet. */
export function newObject(sha256: string, bytes: number, nuid = newNuid()): ObjectInfo {
  return {
    name: sha256,
    bucket,
    nuid,
    size: bytes,
    chunks: Math.ceil(bytes / partBytesMax),
    digest: digestOf(sha256),
    mtime: new Date().toISOString(),
    options: { max_chunk_size: partBytesMax },
  }
}

export function newNuid(): string {
  return randomUUID().replaceAll('-', '')
}

export function isWhole(found: ObjectInfo | undefined, sha256: string): boolean {
  return found?.digest === digestOf(sha256)
}

export function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Creates the store, or updates its settings. Only a gateway may. @returns As ensureStream. */
export function ensureBundleStream(nc: NatsConnection, replicas?: Replicas): Promise<boolean> {
  return ensureStream(nc, settings, replicas)
}

/** Skips the client's check of the API, for which a runner has no permission. */
function clientOf(nc: NatsConnection): JetStreamClient {
  return jetstream(nc, { checkAPI: false, timeout: requestTimeoutMs })
}

function digestOf(sha256: string): string {
  return `SHA-256=${base64(Buffer.from(sha256, 'hex'))}`
}

/** The URL's alphabet, with padding. */
function base64(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '_')
}

const infoSubjects = `$O.${bucket}.M.>`
const partSubjects = `$O.${bucket}.C.>`

function infoSubject(sha256: string): string {
  return `$O.${bucket}.M.${base64(Buffer.from(sha256))}`
}

function nameIn(subject: string): string {
  return Buffer.from(subject.slice(infoSubjects.length - 1), 'base64url').toString()
}

function partsSubject({ nuid }: { readonly nuid: string }): string {
  return `$O.${bucket}.C.${nuid}`
}
