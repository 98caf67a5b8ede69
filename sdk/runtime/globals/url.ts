/**
 * URL of the URL Standard, section 6.1.
 * @see https://url.spec.whatwg.org/#url-class
 * @module
 */
import { type State, UrlParser } from './url-parser.ts'
import { encodeSets, percentEncode } from './url-percent.ts'
import { isSpecial, serialize, serializePath, type UrlRecord } from './url-record.ts'
import { URLSearchParams } from './url-search-params.ts'

function parse(input: string, base?: UrlRecord): UrlRecord | undefined {
  const parser = new UrlParser(input, base)
  return parser.run() ? parser.url : undefined
}

function parseWithBase(input: unknown, base: unknown): UrlRecord | undefined {
  if (base === undefined) return parse(String(input))
  const baseRecord = parse(String(base))
  return baseRecord && parse(String(input), baseRecord)
}

export class URL {
  #url: UrlRecord
  readonly #params: URLSearchParams
  readonly #setParams: (query: string) => void

  constructor(input: string | URL, base?: string | URL) {
    const url = parseWithBase(input, base)
    if (url === undefined) {
      const against = base === undefined ? '' : ` against '${String(base)}'`
      throw new TypeError(`Invalid URL: cannot parse '${String(input)}'${against}`)
    }
    this.#url = url
    this.#params = new URLSearchParams(url.query ?? '')
    this.#setParams = URLSearchParams.tie(this.#params, (query) => {
      this.#url.query = query === '' ? null : query
    })
  }

  static canParse(input: string | URL, base?: string | URL): boolean {
    return parseWithBase(input, base) !== undefined
  }

  static parse(input: string | URL, base?: string | URL): URL | null {
    return URL.canParse(input, base) ? new URL(input, base) : null
  }

  get href(): string {
    return serialize(this.#url)
  }

  set href(value: string) {
    const url = parse(String(value))
    if (url === undefined) throw new TypeError(`Invalid URL: cannot parse '${String(value)}'`)
    this.#url = url
    this.#setParams(url.query ?? '')
  }

  get origin(): string {
    const url = this.#url
    if (url.scheme === 'blob') {
      const inner = parse(serializePath(url))
      return inner !== undefined && /^https?$/.test(inner.scheme) ? new URL(serialize(inner)).origin : 'null'
    }
    if (!isSpecial(url) || url.scheme === 'file') return 'null'
    return `${url.scheme}://${this.host}`
  }

  get protocol(): string {
    return `${this.#url.scheme}:`
  }

  set protocol(value: string) {
    this.#override(`${String(value)}:`, 'scheme start')
  }

  get username(): string {
    return this.#url.username
  }

  set username(value: string) {
    if (this.#takesCredentials())
      this.#url.username = percentEncode(String(value).toWellFormed(), encodeSets.userinfo)
  }

  get password(): string {
    return this.#url.password
  }

  set password(value: string) {
    if (this.#takesCredentials())
      this.#url.password = percentEncode(String(value).toWellFormed(), encodeSets.userinfo)
  }

  get host(): string {
    const { host, port } = this.#url
    return (host ?? '') + (port === null ? '' : `:${port}`)
  }

  set host(value: string) {
    if (!this.#isOpaque()) this.#override(String(value), 'host')
  }

  get hostname(): string {
    return this.#url.host ?? ''
  }

  set hostname(value: string) {
    if (!this.#isOpaque()) this.#override(String(value), 'hostname')
  }

  get port(): string {
    return this.#url.port === null ? '' : String(this.#url.port)
  }

  set port(value: string) {
    if (!this.#takesCredentials()) return
    if (String(value) === '') this.#url.port = null
    else this.#override(String(value), 'port')
  }

  get pathname(): string {
    return serializePath(this.#url)
  }

  set pathname(value: string) {
    if (this.#isOpaque()) return
    this.#url.path = []
    this.#override(String(value), 'path start')
  }

  get search(): string {
    return this.#url.query ? `?${this.#url.query}` : ''
  }

  set search(value: string) {
    const text = String(value)
    if (text === '') this.#url.query = null
    else {
      this.#url.query = ''
      this.#override(text.replace(/^\?/, ''), 'query')
    }
    this.#setParams(this.#url.query ?? '')
  }

  get searchParams(): URLSearchParams {
    return this.#params
  }

  get hash(): string {
    return this.#url.fragment ? `#${this.#url.fragment}` : ''
  }

  set hash(value: string) {
    const text = String(value)
    if (text === '') {
      this.#url.fragment = null
      return
    }
    this.#url.fragment = ''
    this.#override(text.replace(/^#/, ''), 'fragment')
  }

  toString(): string {
    return this.href
  }

  toJSON(): string {
    return this.href
  }

  get [Symbol.toStringTag](): string {
    return 'URL'
  }

  #override(input: string, state: State): void {
    new UrlParser(input, undefined, this.#url, state).run()
  }

  #isOpaque(): boolean {
    return typeof this.#url.path === 'string'
  }

  #takesCredentials(): boolean {
    return this.#url.host !== null && this.#url.host !== '' && this.#url.scheme !== 'file'
  }
}
