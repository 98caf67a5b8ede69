/**
 * Objects: the layout of NATS's object stores (ADR-20): parts on one subject, then a message that names them.
 *
 * We write and read it ourselves, since the client reads through a consumer (slower, and more than a runner should be
 * allowed to do), and deletes by filtered purges, whose bytes nats-server 2.9 goes on counting as used.
 * @module
 */
import { createHash, randomUUID } from 'node:crypto'
import { DiscardPolicy, type JetStreamClient, type JetStreamManager, jetstream } from '@nats-io/jetstream'
import { headers } from '@nats-io/transport-node'
import type { NatsConnection } from '../bus/wire/connect.ts'
import { apiCode, apiCodes, readLatest, readMessage, requestTimeoutMs, storeReason } from '../jetstream.ts'
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

/** What names an object's parts. */
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
  /** Of the message that says it: for compare-and-set. */
  readonly revision: number
  /** Of the same: when it was put or touched last, by nats-server's clock. */
  readonly touchedMs: number
}

/** A put of what was put less long ago does not touch it: that would be a write for each deploy. */
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

  /** Found or made at the first call, so that a gateway starts while the store does not answer. */
  #open(): Promise<unknown> {
    this.#opening ??= makeStream(this.#nc, settings)
    return this.#opening
  }

  /** The next call looks whether the store is still there. */
  forgetStore(): void {
    this.#opening = undefined
  }

  async info(sha256: string): Promise<Found | undefined> {
    await this.#open()
    const message = await readLatest(this.#manager, stream, { last_by_subj: infoSubject(sha256) })
    if (message === null) return undefined
    const found = message.json<ObjectInfo>()
    if (found.deleted === true) return undefined
    return { ...found, revision: message.seq, touchedMs: message.time.getTime() }
  }

  /** Hashes of all that are there. */
  async names(): Promise<string[]> {
    await this.#open()
    const { state } = await this.#manager.streams.info(stream, { subjects_filter: infoSubjects })
    return Object.keys(state.subjects ?? {}).map(nameIn)
  }

  /** Of all parts that are there, named or not. */
  async nuids(): Promise<string[]> {
    await this.#open()
    const { state } = await this.#manager.streams.info(stream, { subjects_filter: partSubjects })
    return Object.keys(state.subjects ?? {}).map((subject) => subject.slice(partSubjects.length - 1))
  }

  /** When the last part was added. */
  async addedMs(nuid: string): Promise<number | undefined> {
    const last = await readLatest(this.#manager, stream, { last_by_subj: partsSubject({ nuid }) })
    return last?.time.getTime()
  }

  /** Says it anew if that was long ago, with a revision and a time of its own. @returns False if another was faster. */
  async touch({ revision, touchedMs, ...named }: Found): Promise<boolean> {
    if (this.#nowMs() - touchedMs < touchAfterMs) return true
    return await this.name({ ...named, mtime: new Date().toISOString() }, revision)
  }

  /** Says which parts are the object's, in place of the revision before; 0 if there must be none. @returns False if another was faster. */
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

  /** @param id Tells a part that is sent again. */
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

  /** Whether as many parts are there as there should be; what they contain only reading tells. */
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

  /** Removes what names the parts. @returns False if another has just replaced it. */
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

/** What is to name so many bytes with this hash, in parts that are not there yet. */
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

/** What a failed call of the store means. */
export function storeTrouble(cause: unknown): string {
  return storeReason(cause, 'the bundle store')
}

/** Makes the store, or brings its settings up to date. Only a gateway may. @returns As ensureStream. */
export function ensureBundleStream(nc: NatsConnection, replicas?: Replicas): Promise<boolean> {
  return ensureStream(nc, settings, replicas)
}

/** Without the check of the API: a runner may not ask for it. */
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
