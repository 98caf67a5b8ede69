/**
 * ArenaReader: looks up what is stored in an arena that an isolate works on, from the host's side and between two calls.
 *
 *   AR1. It stores nothing.
 *   AR2. It sees the entries that the version at work sees (formats.ts, FM1), and migrates none.
 *   AR3. An isolate has written what is read here, so it may be anything: at worst an error is thrown, after a bounded walk.
 * Design: docs/design/0037-state-from-outside.md
 * @module
 */
import { keyBytesMax } from '../../wire/frame.ts'
import { murmur3Words } from '../../wire/hash.ts'
import { utf8Read } from '../realm/utf8.ts'
import { headsPerBlock, headsShift, spread } from './buckets.ts'
import {
  expiresMs,
  hasKeyOfAny,
  isTagged,
  keyOffset,
  numberOf,
  type Part,
  partBytes,
  partKind,
  partOf,
  readBytes,
  valueBytes,
  valueOffset,
} from './entry.ts'
import { Formats, firstFormat, tableOf } from './formats.ts'
import { formatVersion, head, shape } from './layout.ts'
import { Roots } from './roots.ts'
import type { Slabs } from './slabs.ts'
import { Staging } from './staging.ts'

const headsMask = headsPerBlock - 1
/** Many keys of one hash make a chain long; nobody has so many. */
const chainMax = 65_536

const staged = new Staging()

export interface StoredEntry {
  readonly bytes: number
  /** Infinite if it never expires. */
  readonly expiresMs: number
  /** The format that it has, if that is not the version's own. */
  readonly format: number | undefined
  /** The value, if it is a number. */
  readonly number: number
  /** A copy of its first bytes; valid between the same two calls. */
  read(most: number): Uint8Array<ArrayBuffer>
}

export class ArenaReader {
  readonly #slabs: Slabs
  /** Views, made when they are needed. */
  readonly #words: Int32Array[] = []
  /** As of `Memory`: where a position is. */
  readonly #shift: number
  readonly #mask: number
  readonly #roots = new Roots()
  readonly #nowMs: number
  #formats: Formats | undefined

  /**
   * @param slabs Those of an arena that was made (usage.ts).
   * @param own The format of the version at work.
   */
  constructor(slabs: Slabs, own: number, nowMs: number) {
    this.#slabs = slabs
    this.#shift = 31 - Math.clz32(slabs.slabBytes >>> 2)
    this.#mask = 2 ** this.#shift - 1
    this.#roots.load(this.#wordsOf(0))
    this.#nowMs = nowMs
    if (!this.#hasTable && own === firstFormat) return
    const table = this.#hasTable ? this.find('', { kind: partKind.formats, number: 0 }) : undefined
    const rows = tableOf(table && utf8Read(table.read(table.bytes)))
    this.#formats = new Formats(rows, { own, kept: own, alone: false })
  }

  /** As `Arena` counts them: without timers, in each format. */
  get entries(): number {
    return this.#roots.entries - this.#roots.timers - (this.#hasTable ? 1 : 0)
  }

  get bytes(): number {
    return this.#roots.bytes
  }

  get timers(): number {
    return this.#roots.timers
  }

  /** What `partsOf` looks at: chains of the index, and entries. */
  get size(): number {
    return this.#roots.buckets + this.#roots.entries
  }

  /** @throws {CodedError} ERR_STATE_TOO_LARGE for a key that none can have. */
  find(key: Uint8Array | string, part?: Part): StoredEntry | undefined {
    staged.put('read state', 'key', key, keyBytesMax - partBytes)
    if (part !== undefined) staged.extend(part)
    const { words: keyWords, length } = staged
    const form = part === undefined ? length : length | shape.part
    const hash = spread(murmur3Words(keyWords, 0, length))
    const isFree = part !== undefined && !isTagged(part.kind)
    let [best, bestRank] = [0, -1]
    let seen = 0
    for (let entry = this.#load(this.#linkOf(hash)); entry !== 0; entry = this.#load(entry + 1)) {
      if (++seen > Math.min(this.#roots.entries, chainMax)) throw unsound()
      const words = this.#wordsOf(entry)
      const at = entry & this.#mask
      if (words[at + 2] !== hash || !hasKeyOfAny(words, at, keyWords, form)) continue
      const rank = isFree ? Number.POSITIVE_INFINITY : this.#rankOf(words[at + 3]!)
      if (rank > bestRank) [best, bestRank] = [entry, rank]
    }
    return best === 0 ? undefined : this.#entryAt(best)
  }

  /**
   * All parts of a key that are of these kinds, in any format: a walk through the whole index. Those in several formats come
   * several times.
   */
  partsOf(key: Uint8Array, kinds: readonly number[]): Part[] {
    const parts: Part[] = []
    let seen = 0
    for (let bucket = 0; bucket < this.#roots.buckets; bucket += headsPerBlock) {
      const link = this.#headOf(bucket)
      const heads = this.#wordsOf(link)
      const from = link & this.#mask
      const end = from + Math.min(headsPerBlock, this.#roots.buckets - bucket)
      for (let head = from; head < end; head++) {
        for (let entry = heads[head]!; entry !== 0; entry = this.#load(entry + 1)) {
          if (++seen > this.#roots.entries) throw unsound()
          const part = this.#partAt(entry, key)
          if (part !== undefined && kinds.includes(part.kind)) parts.push(part)
        }
      }
    }
    return parts
  }

  #partAt(entry: number, key: Uint8Array): Part | undefined {
    const words = this.#wordsOf(entry)
    const at = entry & this.#mask
    const form = words[at + 3]!
    if (form >= 0 || (form & shape.keyBytes) !== key.length + partBytes) return undefined
    const from = at + keyOffset(form)
    for (let i = 0; i < key.length; i++)
      if (((words[from + (i >> 2)]! >>> ((i & 3) << 3)) & 0xff) !== key[i]) return undefined
    return partOf(words, at)
  }

  get #hasTable(): boolean {
    return this.#wordsOf(0)[head.version] !== formatVersion
  }

  #rankOf(form: number): number {
    const formats = this.#formats
    return formats === undefined || formats.isOwn(form) ? Number.POSITIVE_INFINITY : formats.rankOf(form)
  }

  #entryAt(entry: number): StoredEntry | undefined {
    const words = this.#wordsOf(entry)
    const at = entry & this.#mask
    const form = words[at + 3]!
    const expires = expiresMs(words, at)
    if ((form & shape.gone) !== 0 || expires <= this.#nowMs) return undefined
    const valueAt = at + valueOffset(form)
    const bytes = valueBytes(words, at)
    const format = this.#rankOf(form)
    return {
      ...{ bytes, expiresMs: expires, number: numberOf(words[valueAt]!, words[valueAt + 1]!) },
      format: Number.isFinite(format) ? format : undefined,
      read: (most) => readBytes(words, valueAt, Math.min(bytes, most)),
    }
  }

  /** See `Buckets.linkOf`: here nothing is kept from one call to the next. */
  #linkOf(hash: number): number {
    const mask = 2 ** (32 - Math.clz32(this.#roots.buckets - 1)) - 1
    const bucket = hash & mask
    return this.#headOf(bucket < this.#roots.buckets ? bucket : bucket & (mask >> 1))
  }

  #headOf(bucket: number): number {
    const block = bucket >> headsShift
    const table = this.#load(head.tables + (block >> headsShift))
    return this.#load(table + 1 + (block & headsMask)) + 1 + (bucket & headsMask)
  }

  #load(position: number): number {
    return this.#wordsOf(position)[position & this.#mask]!
  }

  /** Of the slab that a position is in. */
  #wordsOf(position: number): Int32Array {
    const index = position >> this.#shift
    const found = this.#words[index]
    if (found !== undefined) return found
    if (index < 0 || index >= this.#slabs.count) throw unsound()
    const words = new Int32Array(this.#slabs.get(index))
    this.#words[index] = words
    return words
  }
}

function unsound(): Error {
  return new Error('its memory is not that of a sound arena')
}
