/**
 * Bundles: the code of functions, in a JetStream object store under its own hash. A stored bundle never changes.
 *
 * Invariants:
 *   B1. `get` returns bytes of exactly this hash, or throws.
 *   B2. When `put` has returned, the store has acknowledged every part, and reported the right digest when asked
 *       again.
 *   B3. Every call ends within its time limit, whatever the store does.
 *   B4. A failed put leaves nothing behind, if the store can still be reached.
 *   B5. A bundle for which `put` has succeeded is not collected within the time that it takes to refer to it: a put
 *       of an existing bundle touches it, and `removeUntouched` removes only the revision that it was given.
 *   B6. A put reads an existing bundle, and replaces it if it is broken.
 * @module
 */
import type { NatsConnection } from '../bus/wire/connect.ts'
import { infraError } from '../errors.ts'
import { isSilence, patienceMs } from '../jetstream.ts'
import { type Found, hashOf, isWhole, newObject, Objects, partBytesMax } from './objects.ts'

export interface Bundles {
  /**
   * Stores bytes, unless they are there. @returns Their hex sha256, which names them.
   * @throws {CodedError} ERR_BUNDLE_STORE
   */
  put(bytes: Uint8Array): Promise<string>
  /** @throws {CodedError} ERR_BUNDLE_MISSING, ERR_BUNDLE_CORRUPT, ERR_BUNDLE_STORE */
  get(sha256: string): Promise<Uint8Array>
  has(sha256: string): Promise<boolean>
  /** Removes a bundle if it exists; works on a full store too. @throws {CodedError} ERR_BUNDLE_STORE */
  remove(sha256: string): Promise<void>
  /** All bundles and assets. @throws {CodedError} ERR_BUNDLE_STORE */
  list(): Promise<readonly StoredBundle[]>
  /**
   * Removes a bundle unless it was put again since it was listed (B5).
   * @returns Whether it was removed.
   * @throws {CodedError} ERR_BUNDLE_STORE
   */
  removeUntouched(found: StoredBundle): Promise<boolean>
  /** Removes unnamed parts of uploads to which nothing was added since `beforeMs`. @returns The number of uploads. */
  removeTorn(beforeMs: number): Promise<number>
}

export interface StoredBundle {
  readonly sha256: string
  readonly revision: number
  /** When it was last put, to within `touchAfterMs`, by nats-server's clock. */
  readonly touchedMs: number
}

/**
 * @param timeoutMs How long a call may take; restarts of nats-server are waited for within it.
 * @param nowMs Wall time, milliseconds since 1970.
 */
export async function openBundles(
  nc: NatsConnection,
  timeoutMs = patienceMs,
  nowMs: () => number = Date.now,
): Promise<Bundles> {
  const objects = await Objects.open(nc, nowMs)

  async function put(bytes: Uint8Array): Promise<string> {
    const sha256 = hashOf(bytes)
    for (;;) {
      const before = await objects.info(sha256)
      if (before === undefined || !(await isSound(before))) await write(sha256, bytes, before)
      else if (await objects.touch(before)) return sha256 // B2
    }
  }

  async function isSound(found: Found): Promise<boolean> {
    return isWhole(found, found.name) && hashOf(await joined(found)) === found.name // B6
  }

  /** Replaces `before`; does nothing if another writer was faster. */
  async function write(sha256: string, bytes: Uint8Array, before: Found | undefined): Promise<void> {
    const named = newObject(sha256, bytes.length)
    // B4; the first error is the one to report
    const forget = (): Promise<void> => objects.forget(named.nuid).catch(() => {})
    try {
      for (let at = 0; at < bytes.length; at += partBytesMax)
        await objects.add(named.nuid, bytes.subarray(at, at + partBytesMax), `${named.nuid}-${at}`)
    } catch (error) {
      await forget()
      throw error
    }
    const done = await objects.name(named, before?.revision ?? 0).catch(async (error: unknown) => {
      if (!isSilence(error)) await forget() // otherwise the message may have been stored, and the parts must stay
      throw error
    })
    if (!done) await forget()
    else if (before !== undefined) await objects.forget(before.nuid)
  }

  async function get(sha256: string): Promise<Uint8Array> {
    for (;;) {
      const found = await objects.info(sha256)
      if (found === undefined) {
        throw infraError(
          'ERR_BUNDLE_MISSING',
          `Cannot get bundle ${sha256}: the bundle store does not hold it. Deploy the function again`,
        )
      }
      const bytes = await joined(found)
      if (hashOf(bytes) === sha256) return bytes // B1
      if ((await objects.info(sha256))?.nuid === found.nuid) {
        throw infraError(
          'ERR_BUNDLE_CORRUPT',
          `Cannot use bundle ${sha256}: the bundle store holds ${bytes.length} other bytes. Deploy the function again`,
        )
      } // else it was replaced or removed while we read
    }
  }

  async function joined({ nuid }: Found): Promise<Uint8Array> {
    const found: Uint8Array[] = []
    for await (const part of objects.parts(nuid)) found.push(part.data)
    return Buffer.concat(found)
  }

  async function remove(sha256: string): Promise<void> {
    const found = await objects.info(sha256)
    if (found === undefined) return
    await objects.unname(found.revision)
    await objects.forget(found.nuid)
  }

  async function list(): Promise<StoredBundle[]> {
    const found: StoredBundle[] = []
    for (const sha256 of await objects.names()) {
      const stored = await objects.info(sha256)
      if (stored !== undefined) found.push({ sha256, revision: stored.revision, touchedMs: stored.touchedMs })
    }
    return found
  }

  async function removeUntouched({ sha256, revision }: StoredBundle): Promise<boolean> {
    const found = await objects.info(sha256)
    if (found?.revision !== revision || !(await objects.unname(revision))) return false
    await objects.forget(found.nuid)
    return true
  }

  /** Lists the parts before the names, so that an upload that completes meanwhile is seen as named. */
  async function removeTorn(beforeMs: number): Promise<number> {
    const torn = new Set<string>()
    for (const nuid of await objects.nuids()) {
      const addedMs = await objects.addedMs(nuid)
      if (addedMs !== undefined && addedMs < beforeMs) torn.add(nuid)
    }
    if (torn.size === 0) return 0
    for (const sha256 of await objects.names()) torn.delete((await objects.info(sha256))?.nuid ?? '')
    for (const nuid of torn) await objects.forget(nuid)
    return torn.size
  }

  /** Bounds the time of a call (B3). */
  function bounded<T>(what: string, call: () => Promise<T>): Promise<T> {
    return objects.patiently(what, timeoutMs, call)
  }

  return {
    put: (bytes) => bounded(`store a bundle of ${bytes.length} bytes`, () => put(bytes)),
    get: (sha256) => bounded(`get bundle ${sha256}`, () => get(sha256)),
    has: async (sha256) =>
      (await bounded(`look for bundle ${sha256}`, () => objects.info(sha256))) !== undefined,
    remove: (sha256) => bounded(`remove bundle ${sha256}`, () => remove(sha256)),
    list: () => bounded('list the bundles', list),
    removeUntouched: (found) => bounded(`remove bundle ${found.sha256}`, () => removeUntouched(found)),
    removeTorn: (beforeMs) => bounded('remove what torn uploads left', () => removeTorn(beforeMs)),
  }
}
