/**
 * ClientErrors: errors between a client and a gateway. A refusal by the gateway keeps the gateway's own code.
 * @module
 */
import type { Problem } from '../api/index.ts'
import { type Blame, CodedError } from '../errors.ts'

export const clientErrors = {
  ERR_SERVER_UNREACHABLE: 'transient', // no connection could be made; nothing was sent
  ERR_CONNECTION_LOST: 'transient', // the connection broke during a request; its outcome is unknown
  ERR_TIMED_OUT: 'transient', // no answer within `timeoutMs`
  ERR_ANSWER_MALFORMED: 'platform', // the answer does not match the API, or is not from a gateway
  ERR_REFUSED: 'caller', // refused without a problem document, so without a code from the gateway
} as const satisfies Record<string, Blame>
export type ClientErrorCode = keyof typeof clientErrors

/** A refusal by the gateway: its HTTP status and problem document (RFC 9457). */
export class RefusedError extends CodedError {
  readonly status: number
  readonly problem: Problem | undefined
  /** What `Retry-After` asked for. */
  readonly retryAfterMs: number | undefined

  constructor(what: string, status: number, problem: Problem | undefined, retryAfterMs: number | undefined) {
    super(problem?.code ?? ('ERR_REFUSED' satisfies ClientErrorCode), refusalText(what, status, problem))
    this.name = 'RefusedError'
    this.status = status
    this.problem = problem
    this.retryAfterMs = retryAfterMs
  }
}

/** The gateway's message, after the place in the source if it is known. */
function refusalText(what: string, status: number, problem: Problem | undefined): string {
  if (problem === undefined) return `${what}: the server answered ${status} without saying why`
  const { detail, location } = problem
  if (location === undefined || detail.includes(`${location.file}:${location.line}`)) return detail
  return `${location.file}:${location.line}:${location.column}: ${detail}`
}
