/**
 * Produce: sends records in chunks, slows down on request, survives the loss of a gateway, and never repeats accepted
 * records.
 *
 *   P1. Records are accepted in order. At any time the first `accepted + unknown` of them were dealt with, and no
 *       others.
 *   P2. A chunk is repeated only if the gateway said how much of it was accepted (a 429 without a number accepted
 *       nothing), or if no connection was made. If the connection breaks, or no answer comes, the outcome is unknown,
 *       and `whenUnknown` decides. If an answer is not a gateway's, or has no number, the outcome is unknown too;
 *       then produce ends, and counts these records as `unknown`.
 *   P3. If nothing is accepted for `stallMs`, produce ends with the last refusal as its error.
 *   P4. After a request with an unknown outcome nothing is sent until a gateway answers again, so an outage costs one
 *       such request.
 *   P5. No records are sent too: only the answer says whether there is such a stream.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { CodedError, isCode } from '../errors.ts'
import { isAway, Retry, wasLost } from './away.ts'
import { type ClientErrorCode, RefusedError } from './errors.ts'
import { requestJson } from './http.ts'
import { type ClientRecord, recordsBody, roughBodyBytes } from './records.ts'
import type { Server } from './server.ts'

const chunkBytesAimed = 256 * 1024
/** Time limit for the answer of a gateway that is probed. */
const probeMs = 5_000

export interface ProduceOptions {
  readonly signal?: AbortSignal | undefined
  /** Give up when nothing was accepted for this long. Default 60 s. */
  readonly stallMs?: number
  /**
   * What to do after a request with an unknown outcome, because the connection broke: `stop`, the default, throws an
   * error; `skip` continues after its records (at most once); `repeat` sends them again (at least once).
   */
  readonly whenUnknown?: 'stop' | 'skip' | 'repeat'
  /** Called at each wait, because the gateway asked for it or could not be reached. */
  readonly onWait?: (waitMs: number, why: CodedError) => void
}

export interface Produced {
  readonly accepted: number
  /**
   * With `skip`, and in an error: records that may have been accepted, and are not counted in `accepted`. With
   * `repeat`: accepted records that may have been accepted twice.
   */
  readonly unknown: number
}

/** A produce that ended early: `accepted` records were accepted, and the next `unknown` may have been. */
export class ProduceError extends CodedError {
  readonly accepted: number
  readonly unknown: number
  override readonly cause: CodedError

  constructor({ accepted, unknown }: Produced, cause: CodedError) {
    super(cause.code, cause.message, { cause, detail: { ...cause.detail, accepted, unknown } })
    this.name = 'ProduceError'
    this.accepted = accepted
    this.unknown = unknown
    this.cause = cause
  }
}

/** @throws {ProduceError} */
export async function produceAll(
  server: Server,
  stream: string,
  records: readonly ClientRecord[],
  options: ProduceOptions,
): Promise<Produced> {
  const { signal, stallMs = 60_000, whenUnknown = 'stop', onWait } = options
  let accepted = 0
  let unknown = 0
  let unknownEnd = 0
  const done = () => accepted + (whenUnknown === 'skip' ? unknown : 0)
  const retry = new Retry(stallMs)
  let isAnswered = records.length > 0 // P5
  while (!isAnswered || done() < records.length) {
    const start = done()
    const chunk = chunkFrom(records, start)
    const { url } = server
    try {
      accepted += await sendChunk(server, stream, chunk, signal)
      isAnswered = true
      retry.moved()
    } catch (error) {
      if (!(error instanceof CodedError)) throw error
      const taken = error instanceof RefusedError ? (error.problem?.accepted ?? 0) : 0
      accepted += taken
      if (taken > 0) retry.moved()
      const lost = wasLost(error)
      if (lost || saysNothing(error)) {
        const end = start + chunk.length
        unknown += end - Math.max(start, unknownEnd)
        unknownEnd = end
      }
      const waitMs = lost && whenUnknown === 'stop' ? undefined : retry.afterMs(error)
      if (waitMs === undefined) throw new ProduceError({ accepted, unknown }, error)
      if (!(error instanceof RefusedError && error.status === 429)) server.leave(url)
      onWait?.(waitMs, error)
      await sleep(waitMs, undefined, { signal })
      if (!lost) continue
      const away = await untilBack(server, retry, options)
      if (away !== undefined) throw new ProduceError({ accepted, unknown }, away)
    }
  }
  return { accepted, unknown }
}

/** Whether the answer does not say how much was accepted: the gateway broke off, or it is not a gateway. */
function saysNothing(error: CodedError): boolean {
  if (isCode(error, 'ERR_ANSWER_MALFORMED' satisfies ClientErrorCode)) return true
  if (!(error instanceof RefusedError)) return false
  const { status, problem } = error
  return problem === undefined ? status >= 500 : status === 500 && problem.accepted === undefined
}

/** Waits until a gateway answers, with whatever status (P4). @returns The reason to stop waiting, if any. */
async function untilBack(
  server: Server,
  retry: Retry,
  { signal, onWait }: ProduceOptions,
): Promise<CodedError | undefined> {
  for (;;) {
    const { url } = server
    try {
      await requestJson(server, { what: 'Cannot go on', path: '/healthz', signal, timeoutMs: probeMs })
      return undefined
    } catch (error) {
      if (!(error instanceof CodedError)) throw error
      if (!isAway(error)) return undefined
      const waitMs = retry.afterMs(error)
      if (waitMs === undefined) return error
      server.leave(url)
      onWait?.(waitMs, error)
      await sleep(waitMs, undefined, { signal })
    }
  }
}

/** The next records for one request, at least one. */
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
