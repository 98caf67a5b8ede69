/**
 * Bundles: the code of functions, kept in a JetStream object store under its own hash. What is there never changes.
 *
 * The layout is that of NATS's object stores (ADR-20): parts on one subject, then a message that names them. We write
 * and read it ourselves, since the client reads through a consumer (slower, and more than a runner should be allowed to
 * do), and deletes by filtered purges, whose bytes nats-server 2.9 goes on counting as used.
 *
 * Invariants:
 *  B1. `get` answers bytes of this very hash, or throws.
 *  B2. `put` has answered: the store acknowledged every part and told the right digest when asked again.
 *  B3. Every call ends within its time, whatever the store does.
 *  B4. A put that failed leaves nothing behind, if the store can still be told so.
 *  B5. What `put` has answered for is not removed as unused within the time that it takes to refer to it: a put of what is
 *      there already touches it, and `removeUntouched` removes a revision that it was shown, no later one.
 * @module
 */
import { createHash, randomUUID } from 'node:crypto'
import { jetstream } from '@nats-io/jetstream'
import { Objm } from '@nats-io/obj'
import { headers } from '@nats-io/transport-node'
import type { NatsConnection } from '../bus/connect.ts'
import { infraError } from '../errors.ts'
import { apiCode, apiCodes, isSilence, patiently, requestTimeoutMs } from '../jetstream.ts'

const bucket = 'concord-bundles'
const stream = `OBJ_${bucket}`
const partBytesMax = 128 * 1024

export interface Bundles {
  /**
   * Stores bytes, unless they are there. @returns Their hex sha256, which names them.
   * @throws {CodedError} ERR_BUNDLE_STORE
   */
  put(bytes: Uint8Array): Promise<string>
  /** @throws {CodedError} ERR_BUNDLE_MISSING, ERR_BUNDLE_CORRUPT, ERR_BUNDLE_STORE */
  get(sha256: string): Promise<Uint8Array>
  has(sha256: string): Promise<boolean>
  /** Removes it if it is there; works on a full store too. @throws {CodedError} ERR_BUNDLE_STORE */
  remove(sha256: string): Promise<void>
  /** All that are there. @throws {CodedError} ERR_BUNDLE_STORE */
  list(): Promise<readonly StoredBundle[]>
  /** Removes it unless it was put again since (B5). @returns Whether it did. @throws {CodedError} ERR_BUNDLE_STORE */
  removeUntouched(found: StoredBundle): Promise<boolean>
}

export interface StoredBundle {
  readonly sha256: string
  readonly revision: number
  /** When it was put last, give or take `touchAfterMs`; by nats-server's clock. */
  readonly touchedMs: number
}

/** A put of what was put less long ago does not touch it: that would be a write for each deploy. */
export const touchAfterMs = 30 * 60_000

/** What names an object's parts. */
interface ObjectInfo {
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

interface Found extends ObjectInfo {
  /** Of the message that says it: for compare-and-set. */
  readonly revision: number
  /** Of the same. */
  readonly touchedMs: number
}

/**
 * @param timeoutMs How long a call may take; restarts of nats-server are waited for within it.
 * @param nowMs Wall time, milliseconds since 1970.
 */
export async function openBundles(
  nc: NatsConnection,
  timeoutMs = 10_000,
  nowMs: () => number = Date.now,
): Promise<Bundles> {
  // Without the check of the API: a runner may not ask for it.
  const js = jetstream(nc, { checkAPI: false, timeout: requestTimeoutMs })
  const manager = await js.jetstreamManager(false)
  let opening: Promise<unknown> | undefined

  /** Found or made at the first call, so that a gateway starts while the store does not answer. */
  function open(): Promise<unknown> {
    opening ??= new Objm(js).create(bucket)
    return opening
  }

  async function info(sha256: string): Promise<Found | undefined> {
    await open()
    const message = await manager.direct.getMessage(stream, { last_by_subj: infoSubject(sha256) })
    if (message === null) return undefined
    const found = message.json<ObjectInfo>()
    if (found.deleted === true) return undefined
    return { ...found, revision: message.seq, touchedMs: message.time.getTime() }
  }

  async function put(bytes: Uint8Array): Promise<string> {
    const sha256 = hashOf(bytes)
    for (;;) {
      const before = await info(sha256)
      if (before?.digest !== digestOf(sha256)) await write(sha256, bytes, before)
      else if (nowMs() - before.touchedMs < touchAfterMs || (await touch(before))) return sha256 // B2
    }
  }

  /** Says it anew, with a revision and a time of its own (B5). @returns False if another was faster. */
  async function touch({ revision, touchedMs: _, ...named }: Found): Promise<boolean> {
    try {
      await name({ ...named, mtime: new Date().toISOString() }, revision)
      return true
    } catch (error) {
      if (apiCode(error) !== apiCodes.wrongLastSequence) throw error
      return false
    }
  }

  /** Publishes what names the parts, in place of the revision before; 0 if there must be none. */
  async function name(named: ObjectInfo, revision: number): Promise<void> {
    const replaces = headers()
    replaces.set('Nats-Rollup', 'sub')
    const expect = { lastSubjectSequence: revision }
    await js.publish(infoSubject(named.name), JSON.stringify(named), { headers: replaces, expect })
  }

  /** Writes it in place of `before`; does nothing if another was faster. */
  async function write(sha256: string, bytes: Uint8Array, before: Found | undefined): Promise<void> {
    const named: ObjectInfo = {
      name: sha256,
      bucket,
      nuid: randomUUID().replaceAll('-', ''),
      size: bytes.length,
      chunks: Math.ceil(bytes.length / partBytesMax),
      digest: digestOf(sha256),
      mtime: new Date().toISOString(),
      options: { max_chunk_size: partBytesMax },
    }
    try {
      for (let at = 0; at < bytes.length; at += partBytesMax) {
        await js.publish(partsSubject(named), bytes.subarray(at, at + partBytesMax))
      }
      await name(named, before?.revision ?? 0)
    } catch (error) {
      await forget(named).catch(() => {}) // B4; the first error tells more
      if (apiCode(error) !== apiCodes.wrongLastSequence) throw error
      return
    }
    if (before !== undefined) await forget(before)
  }

  async function get(sha256: string): Promise<Uint8Array> {
    for (;;) {
      const found = await info(sha256)
      if (found === undefined) {
        throw infraError(
          'ERR_BUNDLE_MISSING',
          `Cannot get bundle ${sha256}: the bundle store does not hold it. Deploy the function again`,
        )
      }
      const bytes = await joined(found)
      if (hashOf(bytes) === sha256) return bytes // B1
      if ((await info(sha256))?.nuid === found.nuid) {
        throw infraError(
          'ERR_BUNDLE_CORRUPT',
          `Cannot use bundle ${sha256}: the bundle store holds ${bytes.length} other bytes. Deploy the function again`,
        )
      } // else it was replaced or removed while we read
    }
  }

  async function remove(sha256: string): Promise<void> {
    const found = await info(sha256)
    if (found === undefined) return
    await manager.streams.deleteMessage(stream, found.revision, false)
    await forget(found)
  }

  async function list(): Promise<StoredBundle[]> {
    await open()
    const { state } = await manager.streams.info(stream, { subjects_filter: infoSubjects })
    const found: StoredBundle[] = []
    for (const subject of Object.keys(state.subjects ?? {})) {
      const sha256 = nameIn(subject)
      const stored = await info(sha256)
      if (stored !== undefined) found.push({ sha256, revision: stored.revision, touchedMs: stored.touchedMs })
    }
    return found
  }

  async function removeUntouched({ sha256, revision }: StoredBundle): Promise<boolean> {
    const found = await info(sha256)
    if (found?.revision !== revision) return false
    try {
      await manager.streams.deleteMessage(stream, revision, false)
    } catch (error) {
      if (apiCode(error) !== apiCodes.notDeleted) throw error
      return false // a put has just replaced it
    }
    await forget(found)
    return true
  }

  async function* parts(info: ObjectInfo) {
    for (let from = 1; ; ) {
      const part = await manager.direct.getMessage(stream, { seq: from, next_by_subj: partsSubject(info) })
      if (part === null) return
      yield part
      from = part.seq + 1
    }
  }

  async function joined(info: ObjectInfo): Promise<Uint8Array> {
    const found: Uint8Array[] = []
    for await (const part of parts(info)) found.push(part.data)
    return Buffer.concat(found)
  }

  async function forget(info: ObjectInfo): Promise<void> {
    for await (const part of parts(info)) await manager.streams.deleteMessage(stream, part.seq, false)
  }

  /** B3. */
  async function bounded<T>(what: string, call: () => Promise<T>): Promise<T> {
    const again = (): void => {
      opening = undefined // the next attempt looks whether it is still there
    }
    const failed = (cause: unknown): Error =>
      infraError('ERR_BUNDLE_STORE', `Cannot ${what}: ${reason(cause)}`, { cause })
    return await patiently({ call, timeoutMs, failed, again })
  }

  return {
    put: (bytes) => bounded(`store a bundle of ${bytes.length} bytes`, () => put(bytes)),
    get: (sha256) => bounded(`get bundle ${sha256}`, () => get(sha256)),
    has: async (sha256) => (await bounded(`look for bundle ${sha256}`, () => info(sha256))) !== undefined,
    remove: (sha256) => bounded(`remove bundle ${sha256}`, () => remove(sha256)),
    list: () => bounded('list the bundles', list),
    removeUntouched: (found) => bounded(`remove bundle ${found.sha256}`, () => removeUntouched(found)),
  }
}

function reason(cause: unknown): string {
  const text = (cause as Error).message
  if (apiCode(cause) === apiCodes.insufficientResources)
    return 'the disk of nats-server is full. Make room, then deploy again'
  if (isSilence(cause)) {
    return `the bundle store does not answer (${text}). Is nats-server up, and is there room on its disk?`
  }
  return `the bundle store refused (${text})`
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function digestOf(sha256: string): string {
  return `SHA-256=${base64(Buffer.from(sha256, 'hex'))}`
}

/** The URL's alphabet, with padding. */
function base64(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '_')
}

const infoSubjects = `$O.${bucket}.M.>`

function infoSubject(sha256: string): string {
  return `$O.${bucket}.M.${base64(Buffer.from(sha256))}`
}

function nameIn(subject: string): string {
  return Buffer.from(subject.slice(infoSubjects.length - 1), 'base64url').toString()
}

function partsSubject(info: ObjectInfo): string {
  return `$O.${bucket}.C.${info.nuid}`
}
