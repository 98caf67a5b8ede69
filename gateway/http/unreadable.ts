/**
 * Unreadable: answers what is no HTTP request. Node's own answer to it has no body, so nobody learns what was wrong.
 * @module
 */
import { type OutgoingMessage, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { refuse } from '../errors.ts'
import { problemOf } from './problem.ts'

const found: Readonly<Record<string, readonly [status: number, text: string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'its header is larger than 16 KiB'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'its header did not come in time'],
}

/** For `clientError` of a server. */
export function answerUnreadable(error: NodeJS.ErrnoException & { reason?: string }, socket: Duplex): void {
  const [status, text] = found[error.code ?? ''] ?? [
    400,
    `it is not HTTP: ${error.reason ?? error.message}. An https:// URL does not reach this server either`,
  ]
  const { problem } = problemOf(refuse('ERR_REQUEST_INVALID', `Cannot read the request: ${text}.`))
  const title = STATUS_CODES[status]!
  const body = `${JSON.stringify({ ...problem, status, title })}\n`
  const head = `HTTP/1.1 ${status} ${title}\r\nconnection: close\r\ncontent-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n`
  // Not into an answer that has begun; as Node does it.
  const { _httpMessage: answer } = socket as { _httpMessage?: OutgoingMessage | null }
  if (socket.writable && answer?.headersSent !== true) socket.end(head + body)
  else socket.destroy(error)
}
