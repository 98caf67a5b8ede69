/**
 * Assets: files of hundreds of megabytes in the bundles' object store, addressed by hash, and streamed in and out:
 * never whole in memory.
 *
 *   AS1. `fetch` returns memory whose bytes have exactly this hash, or throws.
 *   AS2. `put` names the parts only when all are acknowledged and the hash is right. A failed `put` leaves nothing
 *        behind, if the store can still be reached.
 *   AS3. Each step (a part sent, a part read) ends within `timeoutMs`, whatever the store does.
 *   AS4. An asset for which `keep` or `put` has succeeded is not collected within the time that it takes to refer to
 *        it.
 *   AS5. Sending an asset again repairs it: `keep` does not accept an object with missing parts, nor `put` one with
 *        other bytes.
 * Design: docs/design/0029-assets.md
 * @module
 */
import { createHash } from 'node:crypto'
import type { NatsConnection } from '../bus/wire/connect.ts'
import { infraError } from '../errors.ts'
import { patienceMs } from '../jetstream.ts'
import { type Found, isWhole, newNuid, newObject, Objects, partBytesMax } from './objects.ts'

export async function openAssets(
  nc: NatsConnection,
  timeoutMs = patienceMs,
  nowMs: () => number = Date.now,
): Promise<Assets> {
  return new Assets(await Objects.open(nc, nowMs), timeoutMs)
}

export class Assets {
  readonly #objects: Objects
  readonly #timeoutMs: number

  /** @param timeoutMs How long a step may take (AS3). */
  constructor(objects: Objects, timeoutMs: number) {
    this.#objects = objects
    this.#timeoutMs = timeoutMs
  }

  /**
   * The size of an asset, which is then kept for an hour (AS4); undefined if it is missing.
   * @throws {CodedError} ERR_BUNDLE_STORE
   */
  async keep(sha256: string): Promise<number | undefined> {
    for (;;) {
      const found = await this.#info(sha256)
      if (found === undefined || !isWhole(found, sha256)) return undefined
      const isThere = await this.#bounded(`look for asset ${sha256}`, () => this.#objects.hasParts(found))
      if (!isThere) return undefined // AS5
      if (await this.#touch(found)) return found.size
    }
  }

  /**
   * Stores a stream of bytes. An error of `bytes` ends it.
   * @returns The number of bytes.
   * @throws {CodedError} ERR_ASSET_HASH, ERR_BUNDLE_STORE
   */
  async put(sha256: string, bytes: AsyncIterable<Uint8Array>): Promise<number> {
    const nuid = newNuid()
    let size: number
    try {
      size = await this.#addParts(nuid, sha256, bytes)
    } catch (error) {
      await this.#forget(nuid)
      throw error
    }
    const named = newObject(sha256, size, nuid)
    for (;;) {
      const before = await this.#info(sha256)
      if (before?.nuid === nuid) return size // our message was stored, and its answer lost
      if (before !== undefined && (await this.#isSound(before))) {
        if (!(await this.#touch(before))) continue // it may have been removed: our parts are still needed
        await this.#forget(nuid)
        return size
      }
      const name = (): Promise<boolean> => this.#objects.name(named, before?.revision ?? 0)
      if (await this.#bounded(`store asset ${sha256}`, name)) {
        if (before !== undefined) await this.#forget(before.nuid)
        return size
      }
    }
  }

  /** @throws {CodedError} ERR_BUNDLE_MISSING, ERR_BUNDLE_CORRUPT, ERR_BUNDLE_STORE */
  async fetch(sha256: string): Promise<SharedArrayBuffer> {
    for (;;) {
      const found = await this.#info(sha256)
      if (found === undefined) {
        throw infraError(
          'ERR_BUNDLE_MISSING',
          `Cannot get asset ${sha256}: the object store does not hold it. Push it again`,
        )
      }
      const memory = await this.#read(found)
      if (memory !== undefined) return memory // AS1
      if ((await this.#info(sha256))?.nuid === found.nuid) {
        throw infraError(
          'ERR_BUNDLE_CORRUPT',
          `Cannot use asset ${sha256}: the object store holds other bytes. Push it again`,
        )
      } // else it was replaced or removed while we read
    }
  }

  /**
   * Sends the parts one after another: a part that is sent again must not come after its successor.
   * @returns The number of bytes.
   */
  async #addParts(nuid: string, sha256: string, bytes: AsyncIterable<Uint8Array>): Promise<number> {
    const hash = createHash('sha256')
    let size = 0
    for await (const part of inParts(bytes)) {
      hash.update(part)
      await this.#bounded(`store asset ${sha256}`, () => this.#objects.add(nuid, part, `${nuid}-${size}`))
      size += part.length
    }
    const found = hash.digest('hex')
    if (found === sha256) return size
    throw infraError(
      'ERR_ASSET_HASH',
      `Cannot store asset ${sha256}: the ${size} bytes that came have the hash ${found}. Was it cut off, or changed meanwhile? Send it again`,
    )
  }

  /** AS5 */
  async #isSound(found: Found): Promise<boolean> {
    const hash = createHash('sha256')
    for await (const part of this.#partsOf(found)) hash.update(part)
    return hash.digest('hex') === found.name
  }

  /** @returns Undefined if the bytes do not have the hash. */
  async #read(found: Found): Promise<SharedArrayBuffer | undefined> {
    const memory = new SharedArrayBuffer(found.size)
    const target = new Uint8Array(memory)
    const hash = createHash('sha256')
    let at = 0
    for await (const part of this.#partsOf(found)) {
      if (at + part.length > found.size) return undefined
      target.set(part, at)
      hash.update(part)
      at += part.length
    }
    return at === found.size && hash.digest('hex') === found.name ? memory : undefined
  }

  async *#partsOf({ name, nuid }: Found): AsyncGenerator<Uint8Array> {
    for (let from = 1; ; ) {
      const seq = from
      const part = await this.#bounded(`get asset ${name}`, () => this.#objects.next(nuid, seq))
      if (part === undefined) return
      yield part.data
      from = part.seq + 1
    }
  }

  #info(sha256: string): Promise<Found | undefined> {
    return this.#bounded(`look for asset ${sha256}`, () => this.#objects.info(sha256))
  }

  #touch(found: Found): Promise<boolean> {
    return this.#bounded(`keep asset ${found.name}`, () => this.#objects.touch(found))
  }

  /** If it fails, the collector does it. */
  async #forget(nuid: string): Promise<void> {
    await this.#bounded('remove what is left of an asset', () => this.#objects.forget(nuid)).catch(() => {})
  }

  #bounded<T>(what: string, call: () => Promise<T>): Promise<T> {
    return this.#objects.patiently(what, this.#timeoutMs, call)
  }
}

/** Cuts bytes into parts of the store's size. A part is valid until the next is requested. */
async function* inParts(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const part = Buffer.allocUnsafeSlow(partBytesMax)
  let filled = 0
  for await (const chunk of bytes) {
    for (let at = 0; at < chunk.length; ) {
      const taken = chunk.subarray(at, at + partBytesMax - filled)
      part.set(taken, filled)
      filled += taken.length
      at += taken.length
      if (filled < partBytesMax) continue
      yield part
      filled = 0
    }
  }
  if (filled > 0) yield part.subarray(0, filled)
}

/** Whether shared memory still has the bytes of this hash. Yields to other work between pieces. */
export async function hasHash(memory: SharedArrayBuffer, sha256: string): Promise<boolean> {
  const hash = createHash('sha256')
  for (let at = 0; at < memory.byteLength; at += piece) {
    hash.update(new Uint8Array(memory, at, Math.min(piece, memory.byteLength - at)))
    await new Promise((resolve) => setImmediate(resolve))
  }
  return hash.digest('hex') === sha256
}

const piece = 1024 * 1024
