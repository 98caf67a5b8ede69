/**
 * FetchCache: files fetched for URIs marked `cache`, kept for later tasks.
 *
 *   FC1. A URI is fetched once for all tasks that want it at the same time.
 *   FC2. Files in use are never removed; beyond `bytesMax` the least recently used go first.
 *   FC3. The cache starts empty: an earlier agent may have left half a file.
 * As in Mesos (https://mesos.apache.org/documentation/latest/fetcher/), a file is identified by its URI.
 * @module
 */
import { createHash } from 'node:crypto'
import { mkdirSync, rmSync } from 'node:fs'
import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** Mesos's `--fetcher_cache_size`. */
const bytesMaxDefault = 2 * 2 ** 30

interface Entry {
  readonly path: string
  readonly fetched: Promise<number>
  users: number
  bytes: number
}

export class FetchCache {
  readonly #dir: string
  readonly #bytesMax: number
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry>()
  #made = 0

  constructor(dir: string, bytesMax = bytesMaxDefault) {
    this.#dir = dir
    this.#bytesMax = bytesMax
    rmSync(dir, { recursive: true, force: true }) // FC3
  }

  /** Calls `use` with the file of a URI, which is fetched by `fetch` if it is not cached. */
  async with<T>(
    uri: string,
    fetch: (target: string) => Promise<void>,
    use: (path: string) => Promise<T>,
  ): Promise<T> {
    const entry = this.#entries.get(uri) ?? this.#begin(uri, fetch)
    this.#entries.delete(uri)
    this.#entries.set(uri, entry)
    entry.users++
    try {
      entry.bytes = await entry.fetched
      return await use(entry.path)
    } catch (error) {
      if (entry.bytes === 0 && this.#entries.get(uri) === entry) {
        this.#entries.delete(uri)
        await rm(entry.path, { force: true }) // remove the incomplete file
      }
      throw error
    } finally {
      entry.users--
      await this.#tidy()
    }
  }

  #begin(uri: string, fetch: (target: string) => Promise<void>): Entry {
    mkdirSync(this.#dir, { recursive: true, mode: 0o700 })
    const name = createHash('sha256').update(uri).digest('hex').slice(0, 16)
    const path = join(this.#dir, `${name}-${this.#made++}`)
    const fetched = fetch(path).then(async () => (await stat(path)).size)
    return { path, fetched, users: 0, bytes: 0 }
  }

  async #tidy(): Promise<void> {
    let bytes = [...this.#entries.values()].reduce((sum, entry) => sum + entry.bytes, 0)
    for (const [uri, entry] of [...this.#entries]) {
      if (bytes <= this.#bytesMax) return
      if (entry.users > 0) continue // FC2
      this.#entries.delete(uri)
      bytes -= entry.bytes
      await rm(entry.path, { force: true })
    }
  }
}
