/**
 * Lines: newline-delimited text and JSON out of a stream of bytes, with bounded memory.
 * @module
 */
import { CodedError } from '../errors.ts'
import type { ClientErrorCode } from './errors.ts'

/** A line longer than this is refused: the largest record, base64 and JSON around it, is below 2 MiB. */
const lineCharsMax = 16 * 1024 * 1024

/** Yields each line without its line end; the last one need not have one. Accepts `\n` and `\r\n`. */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > lineCharsMax)
      throw new CodedError<ClientErrorCode>(
        'ERR_ANSWER_MALFORMED',
        `Cannot read a line of more than ${lineCharsMax} characters`,
      )
    for (const line of lines) yield line.endsWith('\r') ? line.slice(0, -1) : line
  }
  rest += decoder.decode()
  if (rest !== '') yield rest
}

/** Yields each non-empty line parsed as JSON. */
export async function* jsonLinesOf<T>(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<T> {
  for await (const line of linesOf(chunks)) {
    if (line === '') continue
    try {
      yield JSON.parse(line) as T
    } catch (cause) {
      const text = `Cannot read the answer's line '${line.slice(0, 40)}': it is not JSON`
      throw new CodedError<ClientErrorCode>('ERR_ANSWER_MALFORMED', text, { cause })
    }
  }
}
