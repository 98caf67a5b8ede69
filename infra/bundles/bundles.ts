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

export interface StoredBundle {
  readonly sha256: string
  readonly revision: number
  /** When it was last put, to within `touchAfterMs`, by nats-server's clock. */
  readonly touchedMs: number
}

/** @param nowMs Wall time, milliseconds since 1970. */
export async function openBundles(
  nc: NatsConnection,
  timeoutMs = patienceMs,
  nowMs: () => number = Date.now,
): Promise<Bundles> {
  return new Bundles(await Objects.open(nc, nowMs), timeoutMs)
}

export class Bundles {
  readonly #objects: Objects
  readonly #timeoutMs: number

  /** @param timeoutMs How long a call may take (B3); restarts of nats-server are waited for within it. */
  constructor(objects: Objects, timeoutMs: number) {
    this.#objects = objects
    this.#timeoutMs = timeoutMs
  }

  /**
   * Stores bytes, unless they are there. @returns Their hex sha256, which names them.
   * @throws {CodedError} ERR_BUNDLE_STORE
   */
  put(bytes: Uint8Array): Promise<string> {
    const sha256 = hashOf(bytes)
    return this.#bounded(`store a bundle of ${bytes.length} bytes`, async () => {
      for (;;) {
        const before = await this.#objects.info(sha256)
        if (before === undefined || !(await this.#isSound(before))) await this.#write(sha256, bytes, before)
        else if (await this.#objects.touch(before)) return sha256 // B2
      }
    })
  }

  /** @throws {CodedError} ERR_BUNDLE_MISSING, ERR_BUNDLE_CORRUPT, ERR_BUNDLE_STORE */
  get(sha256: string): Promise<Uint8Array> {
    return this.#bounded(`get bundle ${sha256}`, async () => {
      for (;;) {
        const found = await this.#objects.info(sha256)
        if (found === undefined) {
          throw infraError(
            'ERR_BUNDLE_MISSING',
            `Cannot get bundle ${sha256}: the bundle store does not hold it. Deploy the function again`,
          )
        }
        const bytes = await this.#joined(found)
        if (hashOf(bytes) === sha256) return bytes // B1
        if ((await this.#objects.info(sha256))?.nuid === found.nuid) {
          throw infraError(
            'ERR_BUNDLE_CORRUPT',
            `Cannot use bundle ${sha256}: the bundle store holds ${bytes.length} other bytes. Deploy the function again`,
          )
        } // else it was replaced or removed while we read
      }
    })
  }

  async has(sha256: string): Promise<boolean> {
    const found = await this.#bounded(`look for bundle ${sha256}`, () => this.#objects.info(sha256))
    return found !== undefined
  }

  /** Removes a bundle if it exists; works on a full store too. @throws {CodedError} ERR_BUNDLE_STORE */
  remove(sha256: string): Promise<void> {
    return this.#bounded(`remove bundle ${sha256}`, async () => {
      const found = await this.#objects.info(sha256)
      if (found === undefined) return
      await this.#objects.unname(found.revision)
      await this.#objects.forget(found.nuid)
    })
  }

  /** All bundles and assets. @throws {CodedError} ERR_BUNDLE_STORE */
  list(): Promise<readonly StoredBundle[]> {
    return this.#bounded('list the bundles', async () => {
      const found: StoredBundle[] = []
      for (const sha256 of await this.#objects.names()) {
        const stored = await this.#objects.info(sha256)
        if (stored !== undefined)
          found.push({ sha256, revision: stored.revision, touchedMs: stored.touchedMs })
      }
      return found
    })
  }

  /**
   * Removes a bundle unless it was put again since it was listed (B5).
   * @returns Whether it was removed.
   * @throws {CodedError} ERR_BUNDLE_STORE
   */
  removeUntouched({ sha256, revision }: StoredBundle): Promise<boolean> {
    return this.#bounded(`remove bundle ${sha256}`, async () => {
      const found = await this.#objects.info(sha256)
      if (found?.revision !== revision || !(await this.#objects.unname(revision))) return false
      await this.#objects.forget(found.nuid)
      return true
    })
  }

  /**
   * Removes unnamed parts of uploads to which nothing was added since `beforeMs`. Lists the parts before the names, so that an
   * upload that completes meanwhile is seen as named.
   * @returns The number of uploads.
   */
  removeTorn(beforeMs: number): Promise<number> {
    return this.#bounded('remove what torn uploads left', async () => {
      const torn = new Set<string>()
      for (const nuid of await this.#objects.nuids()) {
        const addedMs = await this.#objects.addedMs(nuid)
        if (addedMs !== undefined && addedMs < beforeMs) torn.add(nuid)
      }
      if (torn.size === 0) return 0
      for (const sha256 of await this.#objects.names())
        torn.delete((await this.#objects.info(sha256))?.nuid ?? '')
      for (const nuid of torn) await this.#objects.forget(nuid)
      return torn.size
    })
  }

  async #isSound(found: Found): Promise<boolean> {
    return isWhole(found, found.name) && hashOf(await this.#joined(found)) === found.name // B6
  }

  async #joined({ nuid }: Found): Promise<Uint8Array> {
    const found: Uint8Array[] = []
    for await (const part of this.#objects.parts(nuid)) found.push(part.data)
    return Buffer.concat(found)
  }

  /** Replaces `before`; does nothing if another writer was faster. */
  async #write(sha256: string, bytes: Uint8Array, before: Found | undefined): Promise<void> {
    const objects = this.#objects
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

  #bounded<T>(what: string, call: () => Promise<T>): Promise<T> {
    return this.#objects.patiently(what, this.#timeoutMs, call)
  }
}
