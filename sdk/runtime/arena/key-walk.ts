/**
 * KeyWalk: the keys of an arena one by one, chain by chain. It holds copies only, so the author may have it.
 * @module
 */
import { Bytes } from '../primordials.ts'

export class KeyWalk implements IterableIterator<Uint8Array<ArrayBuffer>> {
  readonly #keysIn: (chain: number) => readonly Uint8Array<ArrayBuffer>[] | undefined
  readonly #isThere: (key: Uint8Array<ArrayBuffer>) => boolean
  #keys: readonly Uint8Array<ArrayBuffer>[] | undefined = []
  #at = 0
  #chain = 0

  /**
   * @param keysIn The keys of a chain; undefined behind the last.
   * @param isThere Whether a key that was there when its chain was looked at still is.
   */
  constructor(
    keysIn: (chain: number) => readonly Uint8Array<ArrayBuffer>[] | undefined,
    isThere: (key: Uint8Array<ArrayBuffer>) => boolean,
  ) {
    this.#keysIn = keysIn
    this.#isThere = isThere
  }

  [Symbol.iterator](): this {
    return this
  }

  next(): IteratorResult<Uint8Array<ArrayBuffer>, undefined> {
    for (;;) {
      if (this.#keys === undefined) return { done: true, value: undefined }
      while (this.#at < this.#keys.length) {
        const key = this.#keys[this.#at++]!
        if (this.#isThere(key)) return { done: false, value: new Bytes(key) }
      }
      this.#at = 0
      this.#keys = this.#keysIn(this.#chain++)
    }
  }
}
