/**
 * Distinct: values without those that are the same as another, each known by its index.
 * @module
 */

export class Distinct<Value> {
  readonly all: Value[] = []
  readonly #isSame: (a: Value, b: Value) => boolean
  readonly #keyOf: (value: Value) => string
  readonly #indexes = new Map<string, number>()
  /** Of the value before: mostly the next one is the same, and is found without its key. */
  #index = 0

  /** @param keyOf The same for those that are the same, and only for them. */
  constructor(isSame: (a: Value, b: Value) => boolean, keyOf: (value: Value) => string) {
    this.#isSame = isSame
    this.#keyOf = keyOf
  }

  indexOf(value: Value): number {
    const last = this.all[this.#index]
    if (last !== undefined && this.#isSame(last, value)) return this.#index
    const key = this.#keyOf(value)
    this.#index = this.#indexes.get(key) ?? this.all.push(value) - 1
    this.#indexes.set(key, this.#index)
    return this.#index
  }
}
