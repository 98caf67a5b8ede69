/**
 * KeyWalk: iterates over the keys of an arena, chain by chain. It has only copies, so the author may get it.
 * @module
 */
import { append, Bytes } from '../realm/primordials.ts'
import { isPart, keyOffset, partBytes, readBytes } from './entry.ts'
import type { Formats } from './formats.ts'
import { shape } from './layout.ts'
import type { Memory } from './memory.ts'

export class KeyWalk implements IterableIterator<Uint8Array<ArrayBuffer>> {
  readonly #keysIn: (chain: number) => readonly Uint8Array<ArrayBuffer>[] | undefined
  readonly #isThere: (key: Uint8Array<ArrayBuffer>) => boolean
  #keys: readonly Uint8Array<ArrayBuffer>[] | undefined = []
  #at = 0
  #chain = 0

  /**
   * @param keysIn The keys of a chain; undefined after the last chain.
   * @param isThere Whether a key that existed when its chain was read still exists.
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

/**
 * The author's keys in the chain at `link`, or those of a kind of part; each once, in however many formats it exists.
 */
export function keysOf(
  memory: Memory,
  link: number,
  kind: number,
  formats: Formats | undefined,
): Uint8Array<ArrayBuffer>[] {
  const keys: Uint8Array<ArrayBuffer>[] = []
  for (let entry = memory.load(link); entry !== 0; entry = memory.load(entry + 1)) {
    const words = memory.words[entry >> memory.shift]!
    const at = entry & memory.mask
    const form = words[at + 3]!
    if (kind === 0 ? form < 0 : !isPart(words, at, kind)) continue
    if (formats !== undefined && !formats.isOwn(form) && formats.rankOf(form) < 0) continue
    const keyBytes = form & shape.keyBytes
    const key = readBytes(words, at + keyOffset(form), kind === 0 ? keyBytes : keyBytes - partBytes)
    if (formats === undefined || !hasBytes(keys, key)) append(keys, key)
  }
  return keys
}

function hasBytes(keys: readonly Uint8Array[], key: Uint8Array): boolean {
  for (let i = 0; i < keys.length; i++) if (isSame(keys[i]!, key)) return true
  return false
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false
  for (let i = 0; i < one.length; i++) if (one[i] !== other[i]) return false
  return true
}
