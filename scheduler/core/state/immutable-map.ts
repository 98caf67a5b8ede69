/**
 * ImmutableMap: a map for ten thousand entries of which a step changes a few. A copy shares all buckets except
 * those with changes.
 *
 *   MD1. An immutable map never changes: an `ImmutableMapDraft` leaves the map that it was made from as it was.
 *   MD2. Iterating over a draft while it changes visits each key that was there at the start and still is, with its
 *        newest value.
 * The order is that of the keys' hashes: the same for the same keys in every process.
 * @module
 */
const bucketCount = 256

export class ImmutableMap<V extends object | string | number> {
  readonly size: number
  readonly #buckets: readonly ReadonlyMap<string, V>[]

  constructor(buckets: readonly ReadonlyMap<string, V>[] = none, size = 0) {
    this.#buckets = buckets
    this.size = size
  }

  get(key: string): V | undefined {
    return this.#buckets[bucketOf(key)]?.get(key)
  }

  has(key: string): boolean {
    return this.#buckets[bucketOf(key)]?.has(key) === true
  }

  *keys(): Generator<string> {
    for (const bucket of this.#buckets) if (bucket.size > 0) yield* bucket.keys()
  }

  *values(): Generator<V> {
    for (const bucket of this.#buckets) if (bucket.size > 0) yield* bucket.values()
  }

  *[Symbol.iterator](): Generator<[string, V]> {
    for (const bucket of this.#buckets) if (bucket.size > 0) yield* bucket
  }

  /** A draft in which to make changes. */
  draft(): ImmutableMapDraft<V> {
    return new ImmutableMapDraft(this, this.#buckets)
  }
}

export class ImmutableMapDraft<V extends object | string | number> {
  readonly #before: ImmutableMap<V>
  readonly #buckets: readonly ReadonlyMap<string, V>[]
  /** Changes by key; undefined: removed. */
  readonly #news = new Map<string, V | undefined>()
  #size: number

  constructor(before: ImmutableMap<V>, buckets: readonly ReadonlyMap<string, V>[]) {
    this.#before = before
    this.#buckets = buckets
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

  /** The map with the draft's changes. */
  finish(): ImmutableMap<V> {
    const own = new Map<number, Map<string, V>>()
    for (const [key, value] of this.#news) {
      if (value === this.#before.get(key)) continue
      const at = bucketOf(key)
      const bucket = own.get(at) ?? new Map(this.#buckets[at])
      own.set(at, bucket)
      if (value === undefined) bucket.delete(key)
      else bucket.set(key, value)
    }
    if (own.size === 0) return this.#before
    const buckets = this.#buckets.slice()
    for (const [at, bucket] of own) buckets[at] = bucket
    return new ImmutableMap(buckets, this.#size)
  }
}

const none = Array.from({ length: bucketCount }, () => new Map<string, never>())

/** The bucket of a key, by FNV-1a. */
function bucketOf(key: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193)
  return (hash >>> 0) % bucketCount
}
