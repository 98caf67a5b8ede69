/**
 * ConsoleRing: lines of the console on their way to the host, in shared memory. Lines are not effects: those of a
 * callback that threw are kept, because they may explain why.
 *
 *   R1. A second has at most `linesPerSecondMax` lines, and `bytesPerSecondMax` bytes and a line; a call has at most
 *       what the region holds. So a function that logs without end does not fill a disk.
 *   R2. Lines that are left out are counted, and reported before the next line.
 *
 *   entry: u32 level | bytes << 8, then the line in UTF-8, padded to 4
 * @module
 */

import { utf8Read, utf8Write } from '../realm/utf8.ts'
import type { ControlWords } from './control-words.ts'
import { consoleBytes, consoleLineMax, control, type LogLevel, logLevels } from './layout.ts'

const linesPerSecondMax = 500
const bytesPerSecondMax = 64 * 1024
/** UTF-8 takes at most three bytes a code unit. */
const entryBytesMax = 4 + 3 * consoleLineMax

export class ConsoleRing {
  readonly #controlWords: ControlWords
  readonly #words: Int32Array
  readonly #bytes: Uint8Array
  /** When the current second began, and what it has had so far. */
  #secondMs = Number.NEGATIVE_INFINITY
  #lines = 0
  #lineBytes = 0
  #dropped = 0

  /** @param from The offset of its region in the memory. */
  constructor(memory: ArrayBufferLike, from: number, controlWords: ControlWords) {
    this.#controlWords = controlWords
    this.#words = new Int32Array(memory, from)
    this.#bytes = new Uint8Array(memory, from)
  }

  write(level: LogLevel, line: string, nowMs: number): void {
    if (nowMs - this.#secondMs >= 1000 || nowMs < this.#secondMs) {
      this.#secondMs = nowMs
      this.#lines = this.#lineBytes = 0
    }
    if (this.#dropped > 0 && this.#fits()) {
      this.#append('warn', droppedText(this.#dropped))
      this.#dropped = 0
    }
    if (this.#fits()) this.#append(level, line)
    else this.#dropped++
  }

  /** Uses no built-in, which the author's code may have replaced. */
  #fits(): boolean {
    return (
      this.#lines < linesPerSecondMax &&
      this.#lineBytes < bytesPerSecondMax &&
      this.#controlWords.word(control.consoleEnd) + entryBytesMax <= consoleBytes
    )
  }

  #append(level: LogLevel, line: string): void {
    const at = this.#controlWords.word(control.consoleEnd)
    const end = utf8Write(
      line.length > consoleLineMax ? line.slice(0, consoleLineMax) : line,
      this.#bytes,
      at + 4,
    )
    this.#lines++
    this.#lineBytes += end - at
    this.#words[at >> 2] = logLevels.indexOf(level) | ((end - at - 4) << 8)
    this.#controlWords.publish(control.consoleEnd, (end + 3) & ~3)
  }
}

function droppedText(lines: number): string {
  const most = `${linesPerSecondMax} lines and ${bytesPerSecondMax / 1024} KiB a second`
  return `${lines} lines of the console were dropped: at most ${most}`
}

export interface ConsoleLine {
  readonly level: LogLevel
  readonly line: string
}

/** Reads lines from a private copy; stops at the first incomplete one. */
export function readConsole(copy: Uint8Array<ArrayBuffer>): ConsoleLine[] {
  const words = new Int32Array(copy.buffer, copy.byteOffset, copy.length >> 2)
  const lines: ConsoleLine[] = []
  let at = 0
  while (at < words.length) {
    const level = logLevels[words[at]! & 0xff]
    const bytes = words[at]! >>> 8
    const textAt = at * 4 + 4
    if (level === undefined || textAt + bytes > copy.length) break
    lines.push({ level, line: utf8Read(copy, textAt, textAt + bytes) })
    at += 1 + ((bytes + 3) >> 2)
  }
  return lines
}
