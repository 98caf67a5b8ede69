/**
 * Produce: sends records in chunks, slows down when the gateway says so, and never sends again what was accepted.
 *
 *  P1. Records are accepted in their order; at any time the first `accepted` of them were, and no others.
 *  P2. A chunk is repeated only if the gateway said how much of it was taken (a 429 that does not say took nothing), or
 *      if no connection was made. When one breaks under way, the outcome is unknown: that is an error that says so.
 *  P3. Nothing accepted for `stallMs` ends with the last refusal as the error.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { CodedError, isCode } from '../errors.ts'
import { type ClientErrorCode, RefusedError } from './errors.ts'
import { requestJson, type Server } from './http.ts'
import { type ClientRecord, recordsBody, roughBodyBytes } from './records.ts'

const chunkBytesAimed = 256 * 1024
const reconnectMs = 200

export interface ProduceOptions {
  readonly signal?: AbortSignal | undefined
  /** Gives up when nothing was accepted for so long. Default 60 s. */
  readonly stallMs?: number
  /** Called for each time that the gateway asked to wait, or was out of reach. */
  readonly onWait?: (waitMs: number, why: Error) => void
}

/** A produce that ended early: the first `accepted` records were taken. */
export class ProduceError extends CodedError {
  readonly accepted: number
  override readonly cause: CodedError

  constructor(accepted: number, cause: CodedError) {
    super(cause.code, cause.message, { cause, detail: { ...cause.detail, accepted } })
    this.name = 'ProduceError'
    this.accepted = accepted
    this.cause = cause
  }
}

/** @throws {ProduceError} */
export async function produceAll(
  server: Server,
  stream: string,
  records: readonly ClientRecord[],
  options: ProduceOptions,
): Promise<{ accepted: number }> {
  const stallMs = options.stallMs ?? 60_000
  let accepted = 0
  let movedAtMs = performance.now()
  while (accepted < records.length) {
    const chunk = chunkFrom(records, accepted)
    try {
      accepted += await sendChunk(server, stream, chunk, options.signal)
      movedAtMs = performance.now()
    } catch (error) {
      if (!(error instanceof CodedError)) throw error
      const taken = error instanceof RefusedError ? (error.problem?.accepted ?? 0) : 0
      accepted += taken
      if (taken > 0) movedAtMs = performance.now()
      const waitMs = mayRepeatAfterMs(error)
      if (waitMs === undefined || performance.now() - movedAtMs > stallMs)
        throw new ProduceError(accepted, error)
      options.onWait?.(waitMs, error)
      await sleep(waitMs, undefined, { signal: options.signal })
    }
  }
  return { accepted }
}

/** How many records from `start` make one request: at least one. */
function chunkFrom(records: readonly ClientRecord[], start: number): readonly ClientRecord[] {
  let end = start
  for (let bytes = 0; end < records.length && (bytes < chunkBytesAimed || end === start); end++) {
    bytes += roughBodyBytes(records[end]!)
  }
  return start === 0 && end === records.length ? records : records.slice(start, end)
}

async function sendChunk(
  server: Server,
  stream: string,
  chunk: readonly ClientRecord[],
  signal: AbortSignal | undefined,
): Promise<number> {
  const what = `Cannot produce to stream '${stream}'`
  const path = `/v1/streams/${encodeURIComponent(stream)}/records`
  const answer = await requestJson<{ accepted?: number }>(server, {
    what,
    method: 'POST',
    path,
    signal,
    ...recordsBody(chunk),
  })
  if (answer?.accepted === chunk.length) return chunk.length
  const text = `${what}: the server answered that it took ${answer?.accepted} of ${chunk.length} records`
  throw new CodedError<ClientErrorCode>('ERR_ANSWER_MALFORMED', text)
}

function mayRepeatAfterMs(error: CodedError): number | undefined {
  if (isCode(error, 'ERR_SERVER_UNREACHABLE' satisfies ClientErrorCode)) return reconnectMs
  if (!(error instanceof RefusedError)) return undefined
  if (error.status === 429) return error.retryAfterMs ?? 1000
  return error.status === 503 && error.problem?.accepted !== undefined ? error.retryAfterMs : undefined
}
