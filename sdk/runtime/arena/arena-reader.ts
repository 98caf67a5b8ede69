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
/** The same where all of them are listed, which takes longer. */
const listedMax = 4096

/** Places are hashes with their bits in reverse, so there are as many. */
export const placesMax = 2 ** 32

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

/** An entry with the key that the author gave it. */
export interface ListedEntry extends StoredEntry {
  readonly key: Uint8Array<ArrayBuffer>
  /** Undefined: it is state. */
  readonly part: Part | undefined
  readonly place: number
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
    for (
      let entry = this.#load(this.#headOf(this.#chainOf(hash).bucket));
      entry !== 0;
      entry = this.#load(entry + 1)
    ) {
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

  /**
   * What is at a place or behind it in the same chain, in the order of places, and the place where the next chain begins.
   *
   * In that order the chains of any arena follow one another, and the halves of one that splits take its place. So whoever goes
   * from place to place meets each entry once that is there all the time, however the arena changes between two calls.
   * @param prefix How the keys begin that are wanted.
   */
  chainAt(place: number, prefix: Uint8Array): { readonly entries: ListedEntry[]; readonly next: number } {
    const { bucket, bits } = this.#chainOf(reversed(place))
    const width = 2 ** (32 - bits)
    const next = (Math.floor(place / width) + 1) * width
    const found: number[] = []
    let seen = 0
    for (let entry = this.#load(this.#headOf(bucket)); entry !== 0; entry = this.#load(entry + 1)) {
      if (++seen > this.#roots.entries) throw unsound()
      if (seen > listedMax) throw new Error(`more than ${listedMax} of its keys have one hash`)
      if (this.#placeOf(entry) >= place && this.#isListed(entry, prefix)) found.push(entry)
    }
    const entries = this.#seen(found).flatMap((entry) => {
      const stored = this.#entryAt(entry)
      return stored === undefined ? [] : [{ ...stored, ...this.#namedAt(entry), place: this.#placeOf(entry) }]
    })
    return { entries: entries.sort((a, b) => a.place - b.place), next }
  }

  #placeOf(entry: number): number {
    return reversed(this.#load(entry + 2)) >>> 0
  }

  #isListed(entry: number, prefix: Uint8Array): boolean {
    const words = this.#wordsOf(entry)
    const at = entry & this.#mask
    return keyBytes(words[at + 3]!) >= prefix.length && this.#beginsWith(words, at, prefix)
  }

  /** Of those that exist in several formats, the ones that the version at work sees. */
  #seen(entries: readonly number[]): readonly number[] {
    if (this.#formats === undefined) return entries
    const best = new Map<string, { readonly entry: number; readonly rank: number }>()
    for (const entry of entries) {
      const { key, part } = this.#namedAt(entry)
      const rank = part !== undefined && !isTagged(part.kind) ? 0 : this.#rankOf(this.#load(entry + 3))
      const name = `${part?.kind ?? ''} ${part?.number ?? ''} ${key.join()}`
      if (rank > (best.get(name)?.rank ?? -1)) best.set(name, { entry, rank })
    }
    return [...best.values()].map(({ entry }) => entry)
  }

  #namedAt(entry: number): { readonly key: Uint8Array<ArrayBuffer>; readonly part: Part | undefined } {
    const words = this.#wordsOf(entry)
    const at = entry & this.#mask
    const form = words[at + 3]!
    return { key: readBytes(words, at + keyOffset(form), keyBytes(form)), part: partOf(words, at) }
  }

  #partAt(entry: number, key: Uint8Array): Part | undefined {
    const words = this.#wordsOf(entry)
    const at = entry & this.#mask
    const form = words[at + 3]!
    if (form >= 0 || keyBytes(form) !== key.length || !this.#beginsWith(words, at, key)) return undefined
    return partOf(words, at)
  }

  #beginsWith(words: Int32Array, at: number, bytes: Uint8Array): boolean {
    const from = at + keyOffset(words[at + 3]!)
    for (let i = 0; i < bytes.length; i++)
      if (((words[from + (i >> 2)]! >>> ((i & 3) << 3)) & 0xff) !== bytes[i]) return false
    return true
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

  /** See `Buckets.linkOf`: here nothing is kept from one call to the next. `bits`: how many low ones its hashes share. */
  #chainOf(hash: number): { readonly bucket: number; readonly bits: number } {
    const bits = 32 - Math.clz32(this.#roots.buckets - 1)
    const half = 2 ** (bits - 1)
    const low = hash & (half - 1)
    if (low + half >= this.#roots.buckets) return { bucket: low, bits: bits - 1 } // it has not split yet
    return { bucket: hash & (2 * half - 1), bits }
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

/** The bytes of the author's key in an entry of that shape. */
function keyBytes(form: number): number {
  return (form & shape.keyBytes) - (form < 0 ? partBytes : 0)
}

/** The bits of a word in reverse. */
function reversed(word: number): number {
  word = ((word >>> 1) & 0x55555555) | ((word & 0x55555555) << 1)
  word = ((word >>> 2) & 0x33333333) | ((word & 0x33333333) << 2)
  word = ((word >>> 4) & 0x0f0f0f0f) | ((word & 0x0f0f0f0f) << 4)
  word = ((word >>> 8) & 0x00ff00ff) | ((word & 0x00ff00ff) << 8)
  return (word >>> 16) | (word << 16)
}

function unsound(): Error {
  return new Error('its memory is not that of a sound arena')
}
