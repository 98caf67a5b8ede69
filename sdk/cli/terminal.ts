/**
 * Terminal: how commands write. Data goes to standard output, everything else to standard error.
 *
 *   T1. Animation and colour appear only on a terminal, each stream for itself; NO_COLOR and TERM=dumb turn colour off.
 *   T2. `print` waits until the reader accepts more, so that a slow pipe slows the command and does not fill its
 *       memory.
 *   T3. Keys, values and log lines come from anywhere, and must not act on the terminal (its clipboard, lines above): there
 *       their control characters are shown as `\xNN`. Into a pipe, data goes as it is.
 * @module
 */
import { once } from 'node:events'
import { stripVTControlCharacters } from 'node:util'
import { widthOf } from './width.ts'

const { stdout, stderr, env } = process

/**
 * Ends the process quietly when the reader of standard output has gone (`concord consume x | head -1`), and with
 * `failed` when the output cannot be written, as on a full disk.
 */
export function endWithReader(failed: number): void {
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    note(`concord: Cannot write the output: ${error.message}`)
    process.exit(failed)
  })
  stderr.on('error', () => {}) // there is nobody left to tell
}

/** Writes a line of data. */
export async function print(line: string): Promise<void> {
  if (!stdout.write(`${stdout.isTTY ? harmless(line) : line}\n`)) await once(stdout, 'drain')
}

/** Writes one JSON value on a line of its own. */
export async function printJson(value: unknown): Promise<void> {
  await print(JSON.stringify(value))
}

/** Writes a line for the person at the terminal, to standard error. */
export function note(line: string): void {
  stderr.write(`${stderr.isTTY ? harmless(line) : stripVTControlCharacters(line)}\n`)
}

const isColoured = (): boolean => stdout.isTTY === true && !env['NO_COLOR'] && env['TERM'] !== 'dumb'

const esc = '\u001b'
/** A style of ours, or a control character. */
const control = new RegExp(`${esc}\\[(?:0|1|2|31|32|33|36)m|(?![\\n\\t])\\p{Cc}`, 'gu')

/** T3 */
function harmless(text: string): string {
  return text.replace(control, (found) => {
    if (found.length > 1 && isColoured()) return found
    return `${asHex(found)}${found.slice(1)}`
  })
}

function asHex(control: string): string {
  return `\\x${control.charCodeAt(0).toString(16).padStart(2, '0')}`
}

function style(code: number): (text: string) => string {
  return (text) => (isColoured() ? `${esc}[${code}m${text}${esc}[0m` : text)
}
export const bold = style(1)
export const dim = style(2)
export const red = style(31)
export const green = style(32)
export const yellow = style(33)
export const cyan = style(36)

/**
 * Formats rows as a table for standard output; the first row is the heading. Columns of numbers are aligned right. A cell
 * is measured as it will be shown, and shows line ends and tabs like other control characters.
 */
export function table(rows: readonly (readonly (string | number)[])[]): string {
  const [heading = [], ...body] = rows
  const shown = rows.map((row) => row.map((cell) => (stdout.isTTY ? inCell(String(cell)) : String(cell))))
  const widths = shown.map((row) => row.map((cell) => widthOf(stripVTControlCharacters(cell))))
  const columns = heading.map((_, column) => ({
    width: Math.max(...widths.map((row) => row[column] ?? 0)),
    numeric: body.length > 0 && body.every((row) => typeof row[column] === 'number'),
  }))
  const [first = '', ...lines] = shown.map((row, at) => {
    const cells = row.map((cell, column) => {
      const { width, numeric } = columns[column]!
      const space = ' '.repeat(width - widths[at]![column]!)
      return numeric ? space + cell : cell + space
    })
    return cells.join('  ').trimEnd()
  })
  return [bold(first), ...lines].join('\n')
}

function inCell(text: string): string {
  return harmless(text).replace(/[\n\t]/g, asHex)
}

/**
 * A line at the bottom of the terminal, rewritten at most ten times a second. Does nothing if there is no terminal.
 */
export class Progress {
  readonly #shown = stderr.isTTY === true && env['TERM'] !== 'dumb'
  #drawnAtMs = Number.NEGATIVE_INFINITY

  update(text: () => string): void {
    const nowMs = performance.now()
    if (!this.#shown || nowMs - this.#drawnAtMs < 100) return
    this.#drawnAtMs = nowMs
    stderr.write(`\r${esc}[2K${harmless(text()).slice(0, (stderr.columns || 80) - 1)}`)
  }

  clear(): void {
    if (this.#drawnAtMs > 0) stderr.write(`\r${esc}[2K`)
  }
}

const everyMs = 10_000

/**
 * The state of what a command watches. On a terminal its last line always shows the newest. A line that stays is written
 * only when `topic` changes, and every ten seconds, so that a log of it can be read.
 */
export class Watched {
  readonly #progress = new Progress()
  #topic: string | undefined
  #writtenAtMs = 0

  look(line: string, topic: string, nowMs: number): void {
    if (topic === this.#topic && nowMs - this.#writtenAtMs < everyMs) return this.#progress.update(() => line)
    this.clear()
    note(line)
    this.#topic = topic
    this.#writtenAtMs = nowMs
  }

  clear(): void {
    this.#progress.clear()
  }
}

/** A bar of `columns` cells for a fraction from 0 to 1. */
export function bar(fraction: number, columns = 24): string {
  const full = Math.round(Math.min(1, Math.max(0, fraction)) * columns)
  return `${'█'.repeat(full)}${'░'.repeat(columns - full)}`
}

/** `12.3 kB` */
export function bytesText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3))
  return power === 0 ? `${bytes} B` : `${(bytes / 1000 ** power).toFixed(1)} ${units[power]}`
}

/** `355 ms`, `8.7 s`. */
export function secondsText(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`
}

/** `12.3 k`, for rates and counts. */
export function shortNumber(value: number): string {
  if (value < 1000) return value < 10 && value % 1 !== 0 ? value.toFixed(1) : String(Math.round(value))
  return value < 1e6 ? `${(value / 1e3).toFixed(1)}k` : `${(value / 1e6).toFixed(2)}M`
}

/** What a platform says when it has stopped; absent or null: nobody knows. */
export interface Stopped {
  /** Accepted records that nobody is known to have processed, those from function to function included. */
  readonly givenUpRecords?: number | null
  /** That number is an upper bound. */
  readonly givenUpIsAtMost?: true
  /** Instances that did not end in order, each with the reason. */
  readonly killedInstances?: readonly string[] | null
  /** Tasks that no scheduler had drained. */
  readonly tasksLeft?: number
}

/** What was lost when the platform was stopped, or may have been; empty if nothing was. */
export function lostText({
  givenUpRecords: records = null,
  givenUpIsAtMost: isAtMost,
  killedInstances: instances = null,
  tasksLeft: tasks = 0,
}: Stopped): string {
  const given = ` ${isAtMost ? 'At most ' : ''}${records} ${records === 1 ? 'record' : 'records'} in flight ${wasOf(records ?? 0)} given up ('concord fn inspect' shows where, once it is up again).`
  const left = ` ${tasks} ${tasks === 1 ? 'task' : 'tasks'} ${wasOf(tasks)} ended without a scheduler.`
  const killed = ` Not ended in order: ${instances?.join(', ')}. Records and changes of state of their last seconds may be lost ('concord fn inspect' counts what is known).`
  const unknown = [
    ...(records === null ? ['how many records were given up'] : []),
    ...(instances === null ? ['whether all instances ended in order'] : []),
  ]
  const since =
    ", since a process ended before it could say so; 'concord fn inspect' counts what is known, once it is up again"
  return [
    records === null || records === 0 ? '' : given,
    instances === null || instances.length === 0 ? '' : killed,
    tasks === 0 ? '' : left,
    unknown.length === 0 ? '' : ` Not known: ${unknown.join(', and ')}${since}.`,
  ].join('')
}

function wasOf(count: number): string {
  return count === 1 ? 'was' : 'were'
}
