/**
 * Multipart: reads a multipart/form-data body (RFC 7578) part by part as it arrives, each within its own limit.
 *
 *   M1. At most the sum of the parts' limits and one chunk is kept.
 *   M2. A part that is unexpected, repeated or too large ends the reading at once.
 * @module
 */
import { refuse } from '../errors.ts'
import { tooLarge } from './body.ts'

const headersBytesMax = 8192

/** What is expected: names of parts and how large each may be. */
export type PartLimits = Readonly<Record<string, number>>

export function boundaryOf(contentType: string): string {
  const match = /^multipart\/form-data\s*;.*?\bboundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(contentType)
  const boundary = match?.[1] ?? match?.[2]
  if (boundary === undefined) throw malformed('its content type names no boundary')
  return boundary
}

/** @throws {CodedError} ERR_REQUEST_INVALID, ERR_TOO_LARGE */
export async function readMultipart(
  chunks: AsyncIterable<Uint8Array>,
  boundary: string,
  limits: PartLimits,
): Promise<ReadonlyMap<string, Buffer>> {
  const parser = new MultipartParser(boundary, limits)
  for await (const chunk of chunks) parser.push(chunk)
  return parser.end()
}

type State = 'preamble' | 'headers' | 'data' | 'epilogue'

class MultipartParser {
  readonly parts = new Map<string, Buffer>()
  readonly #delimiter: Buffer
  readonly #limits: PartLimits
  #state: State = 'preamble'
  /** Bytes not parsed yet: at most a delimiter or a part's headers, and a chunk. */
  #rest: Buffer = Buffer.from('\r\n') // so that the first delimiter is like the others
  #name = ''
  #data: Buffer[] = []
  #dataBytes = 0

  constructor(boundary: string, limits: PartLimits) {
    this.#delimiter = Buffer.from(`\r\n--${boundary}`)
    this.#limits = limits
  }

  push(chunk: Uint8Array): void {
    if (this.#state === 'epilogue') return
    this.#rest = Buffer.concat([this.#rest, chunk])
    while (this.#step()) {}
  }

  end(): ReadonlyMap<string, Buffer> {
    if (this.#state !== 'epilogue') throw malformed('it ends in the middle of a part')
    return this.parts
  }

  /** @returns Whether to call it again before more bytes arrive. */
  #step(): boolean {
    switch (this.#state) {
      case 'preamble':
      case 'data':
        return this.#untilDelimiter()
      case 'headers':
        return this.#headers()
      case 'epilogue':
        return false
    }
  }

  /** The delimiter is followed by CRLF and a part, or by `--` and nothing. */
  #untilDelimiter(): boolean {
    const at = this.#rest.indexOf(this.#delimiter)
    const behind = at + this.#delimiter.length
    const whole = at >= 0 && this.#rest.length >= behind + 2
    const take = at >= 0 ? at : Math.max(0, this.#rest.length - this.#delimiter.length + 1)
    if (this.#state === 'data') this.#keep(this.#rest.subarray(0, take))
    if (!whole) {
      this.#rest = this.#rest.subarray(take)
      return false
    }
    if (this.#state === 'data') this.#finish()
    const mark = this.#rest.toString('latin1', behind, behind + 2)
    if (mark !== '--' && mark !== '\r\n') throw malformed('a boundary is not followed by a line break')
    this.#state = mark === '--' ? 'epilogue' : 'headers'
    this.#rest = this.#rest.subarray(behind)
    return true
  }

  #headers(): boolean {
    const end = this.#rest.indexOf('\r\n\r\n')
    if (end < 0 || end > headersBytesMax) {
      if (this.#rest.length > headersBytesMax) throw malformed('the headers of a part are too long')
      return false
    }
    const name = /^content-disposition:\s*form-data\s*;.*?\bname="([^"]*)"/im.exec(
      this.#rest.toString('utf8', 0, end),
    )?.[1]
    if (name === undefined || !Object.hasOwn(this.#limits, name)) {
      throw malformed(`it has a part '${name ?? ''}', expected are ${Object.keys(this.#limits).join(', ')}`)
    }
    if (this.parts.has(name)) throw malformed(`part '${name}' comes twice`)
    this.#name = name
    this.#rest = this.#rest.subarray(end + 4)
    this.#state = 'data'
    return true
  }

  #keep(bytes: Buffer): void {
    this.#dataBytes += bytes.length
    const limit = this.#limits[this.#name]!
    if (this.#dataBytes > limit) throw tooLarge(`the part '${this.#name}'`, limit)
    if (bytes.length > 0) this.#data.push(bytes)
  }

  #finish(): void {
    this.parts.set(this.#name, Buffer.concat(this.#data))
    this.#data = []
    this.#dataBytes = 0
  }
}

function malformed(what: string): Error {
  return refuse('ERR_REQUEST_INVALID', `Cannot read the multipart body: ${what}.`)
}
