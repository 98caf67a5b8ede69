/**
 * Shelves: an immutable map for ten thousand entries of which a step changes a few. A copy shares all shelves except
 * those with changes.
 *
 *   SH1. Shelves never change: a `ShelvesDraft` leaves those that it was made from as they were.
 *   SH2. Iterating over a draft while it changes visits each key that was there at the start and still is, with its
 *        newest value.
 * The order is that of the keys' hashes: the same for the same keys in every process.
 * @module
 */
const shelfCount = 256

export class Shelves<V extends object | string | number> {
  readonly size: number
  readonly #shelves: readonly ReadonlyMap<string, V>[]

  constructor(shelves: readonly ReadonlyMap<string, V>[] = none, size = 0) {
    this.#shelves = shelves
    this.size = size
  }

  get(key: string): V | undefined {
    return this.#shelves[shelfOf(key)]?.get(key)
  }

  has(key: string): boolean {
    return this.#shelves[shelfOf(key)]?.has(key) === true
  }

  *keys(): Generator<string> {
    for (const shelf of this.#shelves) yield* shelf.keys()
  }

  *values(): Generator<V> {
    for (const shelf of this.#shelves) yield* shelf.values()
  }

  *[Symbol.iterator](): Generator<[string, V]> {
    for (const shelf of this.#shelves) yield* shelf
  }

  /** A draft in which to make changes. */
  draft(): ShelvesDraft<V> {
    return new ShelvesDraft(this, this.#shelves)
  }
}

export class ShelvesDraft<V extends object | string | number> {
  readonly #before: Shelves<V>
  readonly #shelves: readonly ReadonlyMap<string, V>[]
  /** Changes by key; undefined: removed. */
  readonly #news = new Map<string, V | undefined>()
  #size: number

  constructor(before: Shelves<V>, shelves: readonly ReadonlyMap<string, V>[]) {
    this.#before = before
    this.#shelves = shelves
    this.#size = before.size
  }

  get size(): number {
    return this.#size
  }

  get(key: string): V | undefined {
    return this.#news.has(key) ? this.#news.get(key) : this.#before.get(key)
  }

  has(key: string): boolean {
    return this.get(key) !== undefined
  }

  set(key: string, value: V): this {
    if (!this.has(key)) this.#size += 1
    this.#news.set(key, value)
    return this
  }

  delete(key: string): boolean {
    if (!this.has(key)) return false
    this.#size -= 1
    this.#news.set(key, undefined)
    return true
  }

  *keys(): Generator<string> {
    for (const key of this.#before.keys()) if (this.has(key)) yield key
    for (const key of this.#news.keys()) if (this.has(key) && !this.#before.has(key)) yield key
  }

  *values(): Generator<V> {
    for (const key of this.keys()) yield this.get(key) as V
  }

  /** The shelves with the draft's changes. */
  finish(): Shelves<V> {
    const own = new Map<number, Map<string, V>>()
    for (const [key, value] of this.#news) {
      if (value === this.#before.get(key)) continue
      const at = shelfOf(key)
      const shelf = own.get(at) ?? new Map(this.#shelves[at])
      own.set(at, shelf)
      if (value === undefined) shelf.delete(key)
      else shelf.set(key, value)
    }
    if (own.size === 0) return this.#before
    return new Shelves(
      this.#shelves.map((shelf, at) => own.get(at) ?? shelf),
      this.#size,
    )
  }
}

const none = Array.from({ length: shelfCount }, () => new Map<string, never>())

/** The shelf of a key, by FNV-1a. */
function shelfOf(key: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193)
  return (hash >>> 0) % shelfCount
}
