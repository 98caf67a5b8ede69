/**
 * The basic URL parser of the URL Standard, section 4.4: one state machine, states named as there.
 *
 * With a `start` state it is what the setters of URL need ("state override").
 * @see https://url.spec.whatwg.org/#concept-basic-url-parser
 * @module
 */
import { parseHost } from './url-host.ts'
import { encodeSets, percentEncode } from './url-percent.ts'
import { isSpecial, specialPorts, type UrlRecord } from './url-record.ts'

export type State =
  | 'scheme start'
  | 'scheme'
  | 'no scheme'
  | 'special relative or authority'
  | 'path or authority'
  | 'relative'
  | 'relative slash'
  | 'special authority slashes'
  | 'special authority ignore slashes'
  | 'authority'
  | 'host'
  | 'hostname'
  | 'port'
  | 'file'
  | 'file slash'
  | 'file host'
  | 'path start'
  | 'path'
  | 'opaque path'
  | 'query'
  | 'fragment'

/** The result of a state: continue in the current state, fail, or stop (a state override is done). */
type Step = 'next' | 'failure' | 'done'

const end = ''

export class UrlParser {
  readonly url: UrlRecord
  readonly #base: UrlRecord | undefined
  readonly #override: State | undefined
  readonly #input: readonly string[]
  #state: State
  #at = 0
  #buffer = ''
  #atSignSeen = false
  #insideBrackets = false
  #passwordSeen = false

  constructor(input: string, base?: UrlRecord, url?: UrlRecord, override?: State) {
    const trimmed = url === undefined ? input.replace(/^[\0-\x20]+|[\0-\x20]+$/g, '') : input
    this.#input = Array.from(trimmed.replace(/[\t\n\r]/g, '').toWellFormed())
    this.#base = base
    this.#override = override
    this.#state = override ?? 'scheme start'
    this.url = url ?? {
      scheme: '',
      username: '',
      password: '',
      host: null,
      port: null,
      path: [],
      query: null,
      fragment: null,
    }
  }

  /** @returns Whether the input is a URL, or valid for the state override. */
  run(): boolean {
    for (; ; this.#at++) {
      const c = this.#input[this.#at] ?? end
      const step = this.#step(c)
      if (step === 'failure') return false
      if (step === 'done') return true
      // A state may have moved back before the start (at = -1).
      if (this.#at >= this.#input.length) return true
    }
  }

  #step(c: string): Step {
    switch (this.#state) {
      case 'scheme start':
        return this.#schemeStart(c)
      case 'scheme':
        return this.#scheme(c)
      case 'no scheme':
        return this.#noScheme(c)
      case 'special relative or authority':
        if (c === '/' && this.#peek(1) === '/') return this.#go('special authority ignore slashes', 1)
        return this.#go('relative', -1)
      case 'path or authority':
        return c === '/' ? this.#go('authority') : this.#go('path', -1)
      case 'relative':
        return this.#relative(c)
      case 'relative slash':
        return this.#relativeSlash(c)
      case 'special authority slashes':
        if (c === '/' && this.#peek(1) === '/') return this.#go('special authority ignore slashes', 1)
        return this.#go('special authority ignore slashes', -1)
      case 'special authority ignore slashes':
        return c === '/' || c === '\\' ? 'next' : this.#go('authority', -1)
      case 'authority':
        return this.#authority(c)
      case 'host':
      case 'hostname':
        return this.#hostname(c)
      case 'port':
        return this.#port(c)
      case 'file':
        return this.#file(c)
      case 'file slash':
        return this.#fileSlash(c)
      case 'file host':
        return this.#fileHost(c)
      case 'path start':
        return this.#pathStart(c)
      case 'path':
        return this.#path(c)
      case 'opaque path':
        return this.#opaquePath(c)
      case 'query':
        return this.#query(c)
      case 'fragment':
        if (c !== end) this.url.fragment += percentEncode(c, encodeSets.fragment)
        return 'next'
    }
  }

  #peek(offset: number): string {
    return this.#input[this.#at + offset] ?? end
  }

  /** Changes the state. `move`: -1 processes the character again, 1 skips one more. */
  #go(state: State, move = 0): Step {
    this.#state = state
    this.#at += move
    return 'next'
  }

  #special(): boolean {
    return isSpecial(this.url)
  }

  /** Whether a character ends the authority or a path segment. */
  #slash(c: string): boolean {
    return c === '/' || (c === '\\' && this.#special())
  }

  #schemeStart(c: string): Step {
    if (/^[a-z]$/i.test(c)) {
      this.#buffer += c.toLowerCase()
      return this.#go('scheme')
    }
    return this.#override === undefined ? this.#go('no scheme', -1) : 'failure'
  }

  #scheme(c: string): Step {
    const { url } = this
    if (/^[a-z0-9+\-.]$/i.test(c)) {
      this.#buffer += c.toLowerCase()
      return 'next'
    }
    if (c !== ':') {
      if (this.#override !== undefined) return 'failure'
      this.#buffer = ''
      this.#at = -1
      return this.#go('no scheme')
    }
    if (this.#override !== undefined) return this.#changeScheme()
    url.scheme = this.#buffer
    this.#buffer = ''
    if (url.scheme === 'file') return this.#go('file')
    if (this.#special()) {
      const same = this.#base?.scheme === url.scheme
      return this.#go(same ? 'special relative or authority' : 'special authority slashes')
    }
    if (this.#peek(1) === '/') return this.#go('path or authority', 1)
    url.path = ''
    return this.#go('opaque path')
  }

  #changeScheme(): Step {
    const { url } = this
    if (this.#special() !== Object.hasOwn(specialPorts, this.#buffer)) return 'done'
    const hasAuthority = url.username !== '' || url.password !== '' || url.port !== null
    if (hasAuthority && this.#buffer === 'file') return 'done'
    if (url.scheme === 'file' && url.host === '') return 'done'
    url.scheme = this.#buffer
    if (url.port === specialPorts[url.scheme]) url.port = null
    return 'done'
  }

  #noScheme(c: string): Step {
    const base = this.#base
    if (base === undefined) return 'failure'
    if (typeof base.path === 'string') {
      if (c !== '#') return 'failure'
      Object.assign(this.url, { ...base, fragment: '' })
      return this.#go('fragment')
    }
    return this.#go(base.scheme === 'file' ? 'file' : 'relative', -1)
  }

  #relative(c: string): Step {
    const { url } = this
    const base = this.#base!
    url.scheme = base.scheme
    if (c === '/') return this.#go('relative slash')
    if (c === '\\' && this.#special()) return this.#go('relative slash')
    this.#inherit(base)
    url.path = [...base.path]
    url.query = base.query
    if (c === '?') return this.#beginQuery()
    if (c === '#') return this.#beginFragment()
    if (c === end) return 'next'
    url.query = null
    this.#shorten()
    return this.#go('path', -1)
  }

  #inherit(base: UrlRecord): void {
    const { username, password, host, port } = base
    Object.assign(this.url, { username, password, host, port })
  }

  #relativeSlash(c: string): Step {
    if (this.#special() && (c === '/' || c === '\\')) return this.#go('special authority ignore slashes')
    if (c === '/') return this.#go('authority')
    this.#inherit(this.#base!)
    return this.#go('path', -1)
  }

  #authority(c: string): Step {
    const { url } = this
    if (c === '@') {
      const credentials = this.#atSignSeen ? `%40${this.#buffer}` : this.#buffer
      this.#atSignSeen = true
      for (const character of credentials) {
        if (character === ':' && !this.#passwordSeen) {
          this.#passwordSeen = true
          continue
        }
        const encoded = percentEncode(character, encodeSets.userinfo)
        if (this.#passwordSeen) url.password += encoded
        else url.username += encoded
      }
      this.#buffer = ''
      return 'next'
    }
    if (c === end || c === '?' || c === '#' || this.#slash(c)) {
      if (this.#atSignSeen && this.#buffer === '') return 'failure'
      const back = Array.from(this.#buffer).length + 1
      this.#buffer = ''
      return this.#go('host', -back)
    }
    this.#buffer += c
    return 'next'
  }

  #hostname(c: string): Step {
    const { url } = this
    if (this.#override !== undefined && url.scheme === 'file') return this.#go('file host', -1)
    if (c === ':' && !this.#insideBrackets) {
      if (this.#buffer === '') return 'failure'
      if (this.#override === 'hostname') return 'failure'
      return this.#takeHost() ? this.#go('port') : 'failure'
    }
    if (c === end || c === '?' || c === '#' || this.#slash(c)) {
      if (this.#special() && this.#buffer === '') return 'failure'
      if (this.#override !== undefined && this.#buffer === '') {
        if (url.username !== '' || url.password !== '' || url.port !== null) return 'failure'
      }
      if (!this.#takeHost()) return 'failure'
      return this.#override === undefined ? this.#go('path start', -1) : 'done'
    }
    if (c === '[') this.#insideBrackets = true
    if (c === ']') this.#insideBrackets = false
    this.#buffer += c
    return 'next'
  }

  #takeHost(): boolean {
    const host = this.#buffer === '' && !this.#special() ? '' : parseHost(this.#buffer, this.#special())
    if (host === undefined) return false
    this.url.host = host
    this.#buffer = ''
    return true
  }

  #port(c: string): Step {
    const { url } = this
    if (/^\d$/.test(c)) {
      this.#buffer += c
      return 'next'
    }
    if (c !== end && c !== '?' && c !== '#' && !this.#slash(c) && this.#override === undefined)
      return 'failure'
    if (this.#buffer !== '') {
      const port = Number.parseInt(this.#buffer, 10)
      if (port > 65535) return 'failure'
      url.port = port === specialPorts[url.scheme] ? null : port
      this.#buffer = ''
      if (this.#override !== undefined) return 'done'
    }
    if (this.#override !== undefined) return 'failure'
    return this.#go('path start', -1)
  }

  #file(c: string): Step {
    const { url } = this
    url.scheme = 'file'
    url.host = ''
    if (c === '/' || c === '\\') return this.#go('file slash')
    const base = this.#base
    if (base?.scheme !== 'file') return this.#go('path', -1)
    url.host = base.host
    url.path = [...base.path]
    url.query = base.query
    if (c === '?') return this.#beginQuery()
    if (c === '#') return this.#beginFragment()
    if (c === end) return 'next'
    url.query = null
    if (this.#driveLetterAhead()) url.path = []
    else this.#shorten()
    return this.#go('path', -1)
  }

  #fileSlash(c: string): Step {
    if (c === '/' || c === '\\') return this.#go('file host')
    const base = this.#base
    if (base?.scheme === 'file') {
      this.url.host = base.host
      const first = base.path[0]
      if (!this.#driveLetterAhead() && first !== undefined && isNormalDrive(first)) {
        ;(this.url.path as string[]).push(first)
      }
    }
    return this.#go('path', -1)
  }

  #fileHost(c: string): Step {
    if (c !== end && c !== '/' && c !== '\\' && c !== '?' && c !== '#') {
      this.#buffer += c
      return 'next'
    }
    if (this.#override === undefined && isDrive(this.#buffer)) return this.#go('path', -1)
    if (this.#buffer === '') this.url.host = ''
    else {
      const host = parseHost(this.#buffer, true)
      if (host === undefined) return 'failure'
      this.url.host = host === 'localhost' ? '' : host
    }
    if (this.#override !== undefined) return 'done'
    this.#buffer = ''
    return this.#go('path start', -1)
  }

  #pathStart(c: string): Step {
    if (this.#special()) return this.#go('path', c === '/' || c === '\\' ? 0 : -1)
    if (this.#override === undefined && c === '?') return this.#beginQuery()
    if (this.#override === undefined && c === '#') return this.#beginFragment()
    if (c !== end) return this.#go('path', c === '/' ? 0 : -1)
    if (this.#override !== undefined && this.url.host === null) (this.url.path as string[]).push('')
    return 'next'
  }

  #path(c: string): Step {
    const { url } = this
    const stop = this.#override === undefined && (c === '?' || c === '#')
    if (c !== end && !this.#slash(c) && !stop) {
      this.#buffer += percentEncode(c, encodeSets.path)
      return 'next'
    }
    const path = url.path as string[]
    const segment = this.#buffer
    this.#buffer = ''
    if (isDoubleDot(segment)) {
      this.#shorten()
      if (!this.#slash(c)) path.push('')
    } else if (isSingleDot(segment)) {
      if (!this.#slash(c)) path.push('')
    } else {
      const drive = url.scheme === 'file' && path.length === 0 && isDrive(segment)
      path.push(drive ? `${segment[0]}:` : segment)
    }
    if (c === '?') return this.#beginQuery()
    if (c === '#') return this.#beginFragment()
    return 'next'
  }

  #opaquePath(c: string): Step {
    if (c === '?') return this.#beginQuery()
    if (c === '#') return this.#beginFragment()
    if (c === ' ') {
      const next = this.#peek(1)
      this.url.path += next === '?' || next === '#' ? '%20' : ' '
    } else if (c !== end) this.url.path += percentEncode(c, encodeSets.control)
    return 'next'
  }

  #query(c: string): Step {
    const stop = c === end || (this.#override === undefined && c === '#')
    if (!stop) {
      this.url.query += percentEncode(c, this.#special() ? encodeSets.specialQuery : encodeSets.query)
      return 'next'
    }
    return c === '#' ? this.#beginFragment() : 'next'
  }

  #beginQuery(): Step {
    this.url.query = ''
    return this.#go('query')
  }

  #beginFragment(): Step {
    this.url.fragment = ''
    return this.#go('fragment')
  }

  #shorten(): void {
    const path = this.url.path as string[]
    if (this.url.scheme === 'file' && path.length === 1 && isNormalDrive(path[0]!)) return
    path.pop()
  }

  /** Whether the rest starts with a Windows drive letter. */
  #driveLetterAhead(): boolean {
    const [a, b, c] = [this.#peek(0), this.#peek(1), this.#peek(2)]
    return isDrive(a + b) && (c === end || /^[/\\?#]$/.test(c))
  }
}

function isDrive(text: string): boolean {
  return /^[a-z][:|]$/i.test(text)
}

function isNormalDrive(text: string): boolean {
  return /^[a-z]:$/i.test(text)
}

function isSingleDot(segment: string): boolean {
  return segment === '.' || segment.toLowerCase() === '%2e'
}

function isDoubleDot(segment: string): boolean {
  return /^(?:\.|%2e){2}$/i.test(segment)
}
