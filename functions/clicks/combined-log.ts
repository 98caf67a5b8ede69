/**
 * Reads one line of the combined log format, the one that Apache and nginx write by default:
 *
 *     client ident user [day/month/year:hour:minute:second zone] "request" status bytes "referrer" "agent" …
 *
 * What real logs hold, and this reader therefore takes: host names and IPv6 addresses, users with spaces, request
 * lines that are not HTTP, quotes escaped as `\"`, `-` for what is absent, further fields at the end, and a last
 * field that was cut off. A scanner by hand, since it says what it missed and where; it is also faster than one
 * expression for the whole line (README.md has the figures).
 * @module
 */
import type { Click } from './click.ts'

const monthNames = 'JanFebMarAprMayJunJulAugSepOctNovDec'
const stampLength = '17/May/2015:10:05:03 +0000'.length

/**
 * @throws {SyntaxError} If the line is not of this format, with what was expected and at which column.
 * @example
 * ```ts
 * parseCombined('10.0.0.1 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 512 "-" "curl/8.0"').path // '/a'
 * ```
 */
export function parseCombined(line: string): Click {
  const clientEnd = line.indexOf(' ')
  if (clientEnd < 1) throw unlike(line, 0, 'a client address')
  const stampAt = findStamp(line, clientEnd)
  const timeMs = readStamp(line, stampAt)

  const requestAt = openQuote(line, stampAt + stampLength + 2, 'a quoted request')
  const requestEnd = closeQuote(line, requestAt)
  if (requestEnd === line.length) throw unlike(line, requestAt, 'a request that ends with a quote')

  const statusAt = requestEnd + 2
  const status = readDigits(line, statusAt, statusAt + 3, 'a status of three digits')
  const bytesAt = statusAt + 4
  const bytesEnd = line.indexOf(' ', bytesAt)
  if (bytesEnd < 0)
    throw unlike(line, line.length, 'a referrer and an agent: is this the common, not the combined, format?')
  const bytes = line[bytesAt] === '-' ? 0 : readDigits(line, bytesAt, bytesEnd, 'the size of the answer')

  const referrerAt = openQuote(line, bytesEnd + 1, 'a quoted referrer')
  const referrerEnd = closeQuote(line, referrerAt)
  const agentAt = openQuote(line, referrerEnd + 2, 'a quoted agent')
  const agentEnd = closeQuote(line, agentAt)

  return {
    client: line.slice(0, clientEnd),
    timeMs,
    ...readRequest(text(line, requestAt, requestEnd)),
    status,
    bytes,
    referrer: text(line, referrerAt, referrerEnd),
    agent: text(line, agentAt, agentEnd),
  }
}

/**
 * The offset of the time stamp: after the first ` [` whose `]` is in the right place, because a user name may contain
 * anything.
 */
function findStamp(line: string, from: number): number {
  for (let at = line.indexOf(' [', from); at >= 0; at = line.indexOf(' [', at + 1)) {
    if (line[at + 2 + stampLength] === ']') return at + 2
  }
  throw unlike(line, from, 'a time like [17/May/2015:10:05:03 +0000]')
}

function readStamp(line: string, at: number): number {
  const wanted = 'a time like 17/May/2015:10:05:03 +0000'
  const number = (from: number, to: number) => readDigits(line, at + from, at + to, wanted)
  const month = monthNames.indexOf(line.slice(at + 3, at + 6)) / 3
  if (!Number.isInteger(month) || month < 0) throw unlike(line, at + 3, 'a month like May')
  const utcMs = Date.UTC(number(7, 11), month, number(0, 2), number(12, 14), number(15, 17), number(18, 20))
  const zoneMs = (number(22, 24) * 60 + number(24, 26)) * 60_000
  return line[at + 21] === '-' ? utcMs + zoneMs : utcMs - zoneMs
}

/** `GET /path HTTP/1.1`; the path may hold spaces where a client did not encode them. */
function readRequest(request: string): Pick<Click, 'method' | 'path'> {
  const methodEnd = request.indexOf(' ')
  const protocolAt = request.lastIndexOf(' HTTP/')
  if (methodEnd < 1 || protocolAt < methodEnd) return { method: '', path: request }
  return { method: request.slice(0, methodEnd), path: request.slice(methodEnd + 1, protocolAt) }
}

/** @returns The offset after the quote at `at`. */
function openQuote(line: string, at: number, wanted: string): number {
  if (line[at] !== '"') throw unlike(line, at, wanted)
  return at + 1
}

/**
 * @returns The offset of the closing quote: the first one without a backslash, or the end of a line that was cut off.
 */
function closeQuote(line: string, from: number): number {
  for (let at = line.indexOf('"', from); at >= 0; at = line.indexOf('"', at + 1)) {
    let backslashes = 0
    while (line[at - 1 - backslashes] === '\\') backslashes++
    if (backslashes % 2 === 0) return at
  }
  return line.length
}

/** The text of a quoted field; `-` means that it is empty. */
function text(line: string, from: number, to: number): string {
  const quoted = line.slice(from, to)
  if (quoted === '-') return ''
  return quoted.includes('\\') ? quoted.replace(/\\(["\\])/g, '$1') : quoted
}

function readDigits(line: string, from: number, to: number, wanted: string): number {
  if (from === to) throw unlike(line, from, wanted)
  let number = 0
  for (let at = from; at < to; at++) {
    const digit = line.charCodeAt(at) - 48
    if (!(digit >= 0 && digit <= 9)) throw unlike(line, at, wanted)
    number = number * 10 + digit
  }
  return number
}

function unlike(line: string, at: number, wanted: string): SyntaxError {
  const found = at < line.length ? JSON.stringify(line.slice(at, at + 24)) : 'the end'
  return new SyntaxError(`Cannot read a log line at column ${at + 1}: expected ${wanted}, found ${found}`)
}
