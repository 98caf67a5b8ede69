/**
 * StackMap: maps stack traces of a bundle to the author's source.
 *
 * Trace and map come from the author, so both are treated as arbitrary text. A trace that cannot be mapped is
 * returned unchanged, without the platform's frames.
 * @module
 */
import { originalPositionFor, TraceMap } from '@jridgewell/trace-mapping'

/** The bundle's name inside the isolate: no path of the host gets in there. */
export const bundleFilename = 'function.js'

export interface Location {
  readonly file: string
  /** From 1. */
  readonly line: number
  /** From 1. */
  readonly column: number
}

export interface MappedStack {
  readonly stack: string
  /** The first frame in a source of the author's. */
  readonly at?: Location
}

const framePattern = /^(\s+at .*?\(?)function\.js:(\d+):(\d+)(\)?)$/
/** Traces remembered by their frames: errors from one place differ only in their messages. */
const rememberedMax = 256
/** Frames below the author's code: ours, and isolated-vm's. */
const platformPattern = /^\s+at .*(?:concord-runtime\.js:|\(?<isolated-vm)/
const frameLinePattern = /^\s+at /
/** The same in a text that may have anything before, behind and between frames. */
const platformFrames = /\n[ \t]+at [^\n]*?(?:concord-runtime\.js:\d+:\d+|<isolated-vm[^\n)]*)\)?/g
const authorsFrames = /(\n[ \t]+at [^\n]*?)\bfunction\.js:(\d+):(\d+)/g

export class StackMap {
  readonly #json: string | undefined
  #map: TraceMap | undefined
  #tried = false
  /** By the frames as they stand in the bundle. */
  readonly #remembered = new Map<string, MappedStack>()

  constructor(sourceMap: string | undefined) {
    this.#json = sourceMap
  }

  map(stack: string): MappedStack {
    const frames = framesAt(stack)
    const mapped = this.#mapFrames(stack.slice(frames))
    return { ...mapped, stack: stack.slice(0, frames) + mapped.stack }
  }

  #mapFrames(frames: string): MappedStack {
    const before = this.#remembered.get(frames)
    if (before !== undefined) return before
    if (this.#remembered.size >= rememberedMax) this.#remembered.clear()
    const mapped = this.#mapLines(frames)
    this.#remembered.set(frames, mapped)
    return mapped
  }

  #mapLines(stack: string): MappedStack {
    const lines: string[] = []
    let at: Location | undefined
    for (const line of stack.split('\n')) {
      if (platformPattern.test(line)) continue
      const frame = framePattern.exec(line)
      if (frame === null) {
        // Keep only the isolate's frames; other lines that look like frames are from the host.
        if (!frameLinePattern.test(line) || /<anonymous>|\(native\)|eval at/.test(line)) lines.push(line)
        continue
      }
      const location = this.locate(Number(frame[2]), Number(frame[3]))
      if (at === undefined && isAuthors(location.file)) at = location
      lines.push(`${frame[1]}${spell(location)}${frame[4]}`)
    }
    return { stack: lines.join('\n'), ...(at === undefined ? {} : { at }) }
  }

  /** Maps the frames of errors in a line of the console; whatever else it has stays as it is. */
  mapLine(line: string): string {
    if (!line.includes('.js:')) return line
    return line
      .replace(platformFrames, '')
      .replace(
        authorsFrames,
        (_, before: string, at: string, column: string) =>
          before + spell(this.locate(Number(at), Number(column))),
      )
  }

  /** The source location of a place in the bundle. */
  locate(line: number, column: number): Location {
    const here = { file: bundleFilename, line, column }
    const map = this.#trace()
    if (map === undefined || line < 1 || column < 1) return here
    try {
      const found = originalPositionFor(map, { line, column: column - 1 })
      if (found.source === null || found.line === null || found.column === null) return here
      return { file: cleanSource(found.source), line: found.line, column: found.column + 1 }
    } catch {
      return here
    }
  }

  /** The map, parsed at the first error, if it can be parsed. */
  #trace(): TraceMap | undefined {
    if (this.#tried || this.#json === undefined) return this.#map
    this.#tried = true
    try {
      this.#map = new TraceMap(this.#json)
    } catch {
      this.#map = undefined
    }
    return this.#map
  }
}

/** Where the frames of a trace begin, after the message. */
function framesAt(stack: string): number {
  const at = stack.search(/\n\s+at /)
  return at < 0 ? stack.length : at
}

export function spell({ file, line, column }: Location): string {
  return `${file}:${line}:${column}`
}

/** A source as the author knows it: relative, without the way up to it from the bundle. */
function cleanSource(source: string): string {
  const path = source.replace(/^[a-z]+:\/*/i, '').replace(/^(?:\.{0,2}\/)+/, '')
  return path === '' ? bundleFilename : path
}

function isAuthors(file: string): boolean {
  return !file.includes('node_modules/')
}

/** V8's and isolated-vm's way of placing a syntax error: `message [function.js:1:9]`. */
export function placeOf(message: string): { line: number; column: number } | undefined {
  const found = /\[function\.js:(\d+):(\d+)\]/.exec(message)
  return found === null ? undefined : { line: Number(found[1]), column: Number(found[2]) }
}
