/**
 * Away: which failures pass when a gateway returns or another one is asked, and how long to wait.
 * @module
 */
import { type CodedError, isCode } from '../errors.ts'
import { type ClientErrorCode, RefusedError } from './errors.ts'

const firstMs = 100
const longestMs = 2_000

/** Whether a request may have been sent and got no answer from a gateway: its outcome is unknown. */
export function wasLost(error: CodedError): boolean {
  return (
    isCode(error, 'ERR_CONNECTION_LOST' satisfies ClientErrorCode) ||
    isCode(error, 'ERR_TIMED_OUT' satisfies ClientErrorCode) ||
    (error instanceof RefusedError && error.problem === undefined && proxyStatuses.has(error.status))
  )
}

/** Whether no gateway could be reached, or the connection broke; not if a gateway asks to wait. */
export function isAway(error: CodedError): boolean {
  return wasLost(error) || isCode(error, 'ERR_SERVER_UNREACHABLE' satisfies ClientErrorCode)
}

/** Answers of a proxy whose gateway has broken off. */
const proxyStatuses: ReadonlySet<number> = new Set([502, 503, 504])

/** The growing waits between attempts, until there was no progress for `stallMs`. */
export class Retry {
  readonly #stallMs: number
  #movedAtMs = performance.now()
  #nextMs = firstMs

  constructor(stallMs: number) {
    this.#stallMs = stallMs
  }

  moved(): void {
    this.#movedAtMs = performance.now()
    this.#nextMs = firstMs
  }

  /** @returns The wait; undefined if another attempt is pointless. */
  afterMs(error: CodedError): number | undefined {
    if (performance.now() - this.#movedAtMs > this.#stallMs) return undefined
    if (error instanceof RefusedError && error.problem !== undefined) return askedForMs(error)
    if (!isAway(error)) return undefined
    const waitMs = this.#nextMs
    this.#nextMs = Math.min(longestMs, waitMs * 2)
    return waitMs
  }
}

function askedForMs({ status, retryAfterMs }: RefusedError): number | undefined {
  if (status === 429) return retryAfterMs ?? 1000
  return status === 503 ? retryAfterMs : undefined
}
