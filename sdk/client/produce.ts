/**
 * Produce: sends records in chunks, slows down when the gateway says so, outlives a gateway that goes away, and never sends
 * again what was accepted.
 *
 *  P1. Records are accepted in their order. `accepted + unknown` of them were dealt with at any time, the first ones, and no others.
 *  P2. A chunk is repeated only if the gateway said how much of it was taken (a 429 that does not say took nothing), or
 *      if no connection was made. When one breaks under way, or no answer comes, the outcome is unknown: `whenUnknown` says what then.
 *      It is unknown too where an answer is no gateway's, or does not say: that ends it, and its records are counted `unknown`.
 *  P3. Nothing accepted for `stallMs` ends with the last refusal as the error.
 *  P4. Behind a request whose outcome is unknown nothing is sent until a gateway answers again: one outage costs one such request.
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
/** For the answer of one that is asked whether it is there. */
const probeMs = 5_000

export interface ProduceOptions {
  readonly signal?: AbortSignal | undefined
  /** Gives up when nothing was accepted for so long. Default 60 s. */
  readonly stallMs?: number
  /**
   * What becomes of a request whose outcome is unknown, since the connection broke under way: `stop`, the default, makes an error of
   * it; `skip` goes on behind it (at most once); `repeat` sends it again (at least once).
   */
  readonly whenUnknown?: 'stop' | 'skip' | 'repeat'
  /** Called for each time that the gateway asked to wait, or was out of reach. */
  readonly onWait?: (waitMs: number, why: CodedError) => void
}

export interface Produced {
  readonly accepted: number
  /**
   * Of `skip`, and of an error: may have been taken, or not, and not counted in `accepted`. Of `repeat`: accepted, and may have been taken
   * before too.
   */
  readonly unknown: number
}

/** A produce that ended early: of the first `accepted + unknown` records so many were taken, and so many perhaps. */
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
  while (done() < records.length) {
    const start = done()
    const chunk = chunkFrom(records, start)
    const { url } = server
    try {
      accepted += await sendChunk(server, stream, chunk, signal)
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

/** Somebody has answered, and not how much was taken: who broke under way, or is no gateway of ours. */
function saysNothing(error: CodedError): boolean {
  if (isCode(error, 'ERR_ANSWER_MALFORMED' satisfies ClientErrorCode)) return true
  if (!(error instanceof RefusedError)) return false
  const { status, problem } = error
  return problem === undefined ? status >= 500 : status === 500 && problem.accepted === undefined
}

/** Waits until a gateway answers, whatever it says (P4). @returns Why it is waited for no longer. */
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
