/**
 * Copy on write: a map that is the one it was made of until something is changed: most steps change no task, and there are
 * ten thousand of them.
 *
 *   W1. The map that it was made of is never changed.
 *   W2. Who goes through it while it changes sees each key that is still there, with its newest value.
 * @module
 */
export class CopyOnWrite<K, V> {
  readonly #before: ReadonlyMap<K, V>
  #own: Map<K, V> | undefined

  constructor(before: ReadonlyMap<K, V>) {
    this.#before = before
  }

  /** What it has become. */
  get map(): ReadonlyMap<K, V> {
    return this.#own ?? this.#before
  }

  get size(): number {
    return this.map.size
  }

  get(key: K): V | undefined {
    return this.map.get(key)
  }

  has(key: K): boolean {
    return this.map.has(key)
  }

  set(key: K, value: V): this {
    this.#own ??= new Map(this.#before)
    this.#own.set(key, value)
    return this
  }

  delete(key: K): boolean {
    if (!this.map.has(key)) return false
    this.#own ??= new Map(this.#before)
    return this.#own.delete(key)
  }

  keys(): IterableIterator<K> {
    return this.map.keys()
  }

  *values(): Generator<V> {
    const map = this.map
    // W2: once copied, what is gone through here is the map of before.
    for (const [key, value] of map) {
      if (map === this.map) yield value
      else if (this.map.has(key)) yield this.map.get(key) as V
    }
  }
}
