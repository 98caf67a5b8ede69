/**
 * Reads one line of a supercomputer's system log, as the five logs of "What Supercomputers Say" (Oliner and Stearley,
 * 2007) have them: Liberty, Spirit, Thunderbird and RedStorm with a syslog line behind the first four fields, Blue
 * Gene/L with its own:
 *
 *     alert seconds date node  Mon DD HH:MM:SS user@host payload
 *     alert seconds date node  Mon DD HH:MM:SS host/host payload
 *     alert seconds date node  YYYY-MM-DD-HH.MM.SS.UUUUUU node payload
 *
 * `alert` is `-` for a line that is none. The seconds (since 1970, UTC) are the line's time: the stamp behind them is of
 * the machine's own zone. What real logs hold, and this reader therefore takes: several spaces in a row, node names that
 * were made unreadable (`#8#`), lines without stamp, place or payload.
 * @module
 */

export interface LogLine {
  readonly timeMs: number
  readonly host: string
  /** Who logged it, where the line says so: `src` of `src@ladmin2`. */
  readonly user?: string
  readonly payload: string
}

const syslogStamp = /^[A-Z][a-z]{2} +\d{1,2} \d\d:\d\d:\d\d(?: +|$)/
const blueGeneStamp = /^\d{4}-\d\d-\d\d-\d\d\.\d\d\.\d\d(?:\.\d+)?(?: +|$)/

/**
 * @throws {SyntaxError} If the line is not of this form, with what was expected and at which column.
 * @example
 * ```ts
 * parseLine('- 1102911148 2004.12.12 ladmin2 Dec 12 20:12:28 src@ladmin2 IRQ redirection table:').user // 'src'
 * ```
 */
export function parseLine(line: string): LogLine {
  const alertEnd = fieldEnd(line, 0, "an alert's name or -")
  const secondsAt = skipSpaces(line, alertEnd)
  const secondsEnd = fieldEnd(line, secondsAt, secondsWanted)
  const timeMs = readSeconds(line, secondsAt, secondsEnd) * 1000
  const dateAt = skipSpaces(line, secondsEnd)
  const dateEnd = fieldEnd(line, dateAt, dateWanted)
  if (!/^\d{4}\.\d\d\.\d\d$/.test(line.slice(dateAt, dateEnd))) throw unlike(line, dateAt, dateWanted)
  const nodeAt = skipSpaces(line, dateEnd)
  const nodeEnd = fieldEnd(line, nodeAt, "a node's name")
  const message = line.slice(skipSpaces(line, nodeEnd))
  return { timeMs, ...readMessage(message, line.slice(nodeAt, nodeEnd)) }
}

const secondsWanted = 'seconds since 1970, like 1102911148'
const dateWanted = 'a date like 2004.12.12'
/** The year 9999: dates have no form beyond. */
const secondsMax = 253_402_300_799

/** What stands behind the node: stamp, place, payload. The first two may be missing. */
function readMessage(message: string, node: string): Omit<LogLine, 'timeMs'> {
  const stamp = syslogStamp.exec(message) ?? blueGeneStamp.exec(message)
  const placed = stamp === null ? message : message.slice(stamp[0].length)
  const placeEnd = placed.indexOf(' ')
  const place = placeEnd < 0 ? placed : placed.slice(0, placeEnd)
  const payload = placeEnd < 0 ? '' : placed.slice(skipSpaces(placed, placeEnd))
  const at = place.indexOf('@')
  if (stamp !== null && at > 0 && at < place.length - 1)
    return { host: place.slice(at + 1), user: place.slice(0, at), payload }
  if (place === node || place === `${node}/${node}`) return { host: node, payload }
  return { host: node, payload: placed }
}

function skipSpaces(line: string, from: number): number {
  let at = from
  while (line[at] === ' ') at++
  return at
}

function fieldEnd(line: string, from: number, wanted: string): number {
  const found = line.indexOf(' ', from)
  const end = found < 0 ? line.length : found
  if (end === from) throw unlike(line, from, wanted)
  return end
}

function readSeconds(line: string, from: number, to: number): number {
  const text = line.slice(from, to)
  const seconds = Number(text)
  if (!/^\d+$/.test(text) || seconds > secondsMax) throw unlike(line, from, secondsWanted)
  return seconds
}

function unlike(line: string, at: number, wanted: string): SyntaxError {
  const found = at < line.length ? JSON.stringify(line.slice(at, at + 24)) : 'the end'
  return new SyntaxError(`Cannot read a log line at column ${at + 1}: expected ${wanted}, found ${found}`)
}
