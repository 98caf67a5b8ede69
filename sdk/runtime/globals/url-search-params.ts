/**
 * URLSearchParams of the URL Standard, section 6.2, with the form encoding of section 5.
 * @see https://url.spec.whatwg.org/#interface-urlsearchparams
 * @module
 */
import { encodeSets, percentDecode, percentEncode } from './url-percent.ts'

type Pair = [name: string, value: string]
export type SearchParamsInit = string | Iterable<readonly [string, string]> | Readonly<Record<string, string>>

function parseForm(text: string): Pair[] {
  return text
    .split('&')
    .filter((part) => part !== '')
    .map((part) => {
      const at = part.indexOf('=')
      const decode = (raw: string): string => percentDecode(raw.replaceAll('+', ' '))
      return at < 0 ? [decode(part), ''] : [decode(part.slice(0, at)), decode(part.slice(at + 1))]
    })
}

function encodeForm(text: string): string {
  return percentEncode(text.toWellFormed(), encodeSets.form).replaceAll('%20', '+')
}

export class URLSearchParams {
  #pairs: Pair[]
  #changed: ((query: string) => void) | undefined

  constructor(init: SearchParamsInit = '') {
    this.#pairs = pairsOf(init)
  }

  /** Binds a list to the query of its URL; only URL calls it. */
  static tie(params: URLSearchParams, changed: (query: string) => void): (query: string) => void {
    params.#changed = changed
    return (query) => {
      params.#pairs = parseForm(query)
    }
  }

  get size(): number {
    return this.#pairs.length
  }

  append(name: string, value: string): void {
    this.#pairs.push([text(name), text(value)])
    this.#update()
  }

  delete(name: string, value?: string): void {
    this.#pairs = this.#pairs.filter(
      ([n, v]) => n !== text(name) || (value !== undefined && v !== text(value)),
    )
    this.#update()
  }

  get(name: string): string | null {
    return this.#pairs.find(([n]) => n === text(name))?.[1] ?? null
  }

  getAll(name: string): string[] {
    return this.#pairs.filter(([n]) => n === text(name)).map(([, value]) => value)
  }

  has(name: string, value?: string): boolean {
    return this.#pairs.some(([n, v]) => n === text(name) && (value === undefined || v === text(value)))
  }

  set(name: string, value: string): void {
    const first = this.#pairs.find(([n]) => n === text(name))
    if (first === undefined) this.#pairs.push([text(name), text(value)])
    else {
      first[1] = text(value)
      this.#pairs = this.#pairs.filter((pair) => pair === first || pair[0] !== text(name))
    }
    this.#update()
  }

  /** Sorts by name, in the order of UTF-16 code units; pairs with the same name keep their order. */
  sort(): void {
    this.#pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    this.#update()
  }

  forEach(
    callback: (value: string, name: string, params: URLSearchParams) => void,
    receiver?: unknown,
  ): void {
    for (const [name, value] of this) callback.call(receiver, value, name, this)
  }

  *entries(): Generator<Pair, undefined> {
    for (let i = 0; i < this.#pairs.length; i++) yield [...this.#pairs[i]!]
  }

  *keys(): Generator<string, undefined> {
    for (const [name] of this.entries()) yield name
  }

  *values(): Generator<string, undefined> {
    for (const [, value] of this.entries()) yield value
  }

  [Symbol.iterator](): Generator<Pair, undefined> {
    return this.entries()
  }

  toString(): string {
    return this.#pairs.map(([name, value]) => `${encodeForm(name)}=${encodeForm(value)}`).join('&')
  }

  get [Symbol.toStringTag](): string {
    return 'URLSearchParams'
  }

  #update(): void {
    this.#changed?.(this.toString())
  }
}

function text(value: unknown): string {
  return String(value).toWellFormed()
}

function pairsOf(init: SearchParamsInit): Pair[] {
  if (typeof init !== 'object' || init === null) return parseForm(text(init).replace(/^\?/, ''))
  if (!(Symbol.iterator in init))
    return Object.entries(init).map(([name, value]) => [text(name), text(value)])
  return Array.from(init as Iterable<readonly [string, string]>, (pair) => {
    const items = [...pair]
    if (items.length !== 2)
      throw new TypeError('Cannot make search parameters: expected pairs of a name and a value')
    return [text(items[0]), text(items[1])]
  })
}
