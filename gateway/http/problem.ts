/**
 * Problem: every error of the API as RFC 9457 problem+json, with our code, what to do, and where.
 *
 * A CodedError of ours or of infra maps to its status. Anything else is a bug of ours: 500, logged with its stack,
 * without details for the caller.
 * @module
 */
import { STATUS_CODES } from 'node:http'
import type { Problem } from '../../sdk/api/index.ts'
import { CodedError } from '../../sdk/errors.ts'
import type { GatewayErrorCode, RefusalDetail } from '../errors.ts'

const statuses = {
  ERR_UNAUTHORIZED: 401,
  ERR_ROUTE_UNKNOWN: 404,
  ERR_REQUEST_INVALID: 400,
  ERR_MEDIA_TYPE: 415,
  ERR_TOO_LARGE: 413,
  ERR_FUNCTION_UNKNOWN: 404,
  ERR_RECORDS_IN_FLIGHT: 409,
  ERR_VERSION_UNKNOWN: 404,
  ERR_SHADOW_UNKNOWN: 404,
  ERR_VERSION_INCOMPATIBLE: 409,
  ERR_GATE_BLOCKS: 409,
  ERR_GATE_ASKS: 409,
  ERR_INSTANCE_UNKNOWN: 404,
  ERR_PARTITION_UNKNOWN: 404,
  ERR_TAP: 503,
  ERR_STATE_UNREAD: 503,
  ERR_STREAM_UNKNOWN: 404,
  ERR_REDRIVE: 503,
  ERR_DEAD_LETTER_UNKNOWN: 404,
  ERR_STREAM_PARTITIONS_FIXED: 409,
  ERR_STREAM_USED: 409,
  ERR_RECORD_INVALID: 400,
  ERR_SOURCE_INVALID: 422,
  ERR_SOURCE_MAP_INVALID: 422,
  ERR_IMPORT_REFUSED: 422,
  ERR_LOAD_THREW: 422,
  ERR_LOAD_DEADLINE: 422,
  ERR_LOAD_MEMORY: 422,
  ERR_LOAD_CRASHED: 422,
  ERR_NO_DEFAULT_EXPORT: 422,
  ERR_METADATA_INVALID: 422,
  ERR_MANIFEST_INVALID: 422,
  ERR_MANIFEST_CONTRADICTS: 422,
  ERR_BACK_PRESSURE_FIXED: 409,
  ERR_NO_POLICY: 409,
  ERR_TOO_MANY_INSTANCES: 400,
  ERR_PARTITIONS_DIFFER: 409,
  ERR_CYCLE_BLOCKS: 409,
  ERR_FUNCTION_DELETING: 409,
  ERR_STREAM_FULL: 429,
  ERR_BUSY: 503,
  ERR_CLOSING: 503,
  ERR_FOLLOW_NOT_READY: 503,
  ERR_ASSET_UNKNOWN: 404,
  ERR_ASSET_NEEDED: 409,
  ERR_STORAGE_FULL: 507,
  ERR_BACKEND: 503,
  ERR_GATEWAY_PORT_TAKEN: 500,
  ERR_GATEWAY_CONFIGURATION: 500,
  ERR_INTERNAL: 500,
} as const satisfies Record<GatewayErrorCode, number>

/** Codes of infra and sdk that an API call can raise. A code that is not listed is a bug of ours. */
const foreignStatuses: Readonly<Record<string, number>> = {
  ERR_RECORD_TOO_LARGE: 413,
  ERR_STORE_TOO_LARGE: 413,
  ERR_STORE_CONFLICT: 503,
  ERR_STORE_UNAVAILABLE: 503,
  ERR_STORE_BUSY: 503,
  ERR_STORE_FAILED: 507, // its disk is full, most of all: the message says what to look at
  ERR_BUNDLE_STORE: 503,
  ERR_ASSET_HASH: 422,
  ERR_NATS_UNREACHABLE: 503,
  ERR_LETTER_MALFORMED: 500, // mostly of a later build, and the message says so
}

export interface ProblemAnswer {
  readonly problem: Problem
  readonly retryAfterSeconds: number | undefined
  /** Set where the error is a bug of ours and must be logged. */
  readonly bug: boolean
}

export function problemOf(error: unknown): ProblemAnswer {
  const status = statusOf(error)
  if (!(error instanceof CodedError) || status === undefined) {
    const detail = 'The gateway met an error of its own; its log says which. Trying again may help.'
    return { problem: problem(500, 'ERR_INTERNAL', detail), retryAfterSeconds: undefined, bug: true }
  }
  const { location, accepted, gate, retryAfterSeconds } = error.detail as RefusalDetail
  return {
    problem: {
      ...problem(status, error.code, error.message),
      ...(location === undefined ? {} : { location }),
      ...(accepted === undefined ? {} : { accepted }),
      ...(gate === undefined ? {} : { gate }),
    },
    retryAfterSeconds: retryAfterSeconds ?? (status === 429 || status === 503 ? 1 : undefined),
    bug: false,
  }
}

function statusOf(error: unknown): number | undefined {
  if (!(error instanceof CodedError)) return undefined
  return (statuses as Readonly<Record<string, number>>)[error.code] ?? foreignStatuses[error.code]
}

function problem(status: number, code: string, detail: string): Problem {
  return { type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, detail, code }
}

/**
 * The answer to the caller. A refusal in the middle of a body keeps the connection open for a moment, so that the
 * caller, who is still writing, can read it; the server discards the rest and then hangs up.
 */
export function problemResponse({ problem, retryAfterSeconds }: ProblemAnswer): Response {
  const headers: Record<string, string> = { 'content-type': 'application/problem+json' }
  if (retryAfterSeconds !== undefined) headers['retry-after'] = String(retryAfterSeconds)
  if (problem.status === 401) headers['www-authenticate'] = 'Bearer'
  return new Response(JSON.stringify(problem), { status: problem.status, headers })
}
