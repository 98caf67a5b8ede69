/**
 * Http: one request to a gateway over fetch, with a deadline, and with its failures told apart.
 *
 *   H1. ERR_SERVER_UNREACHABLE means that nothing was sent, so the request may be repeated unchanged.
 *   H2. Every answer other than 2xx becomes a RefusedError; at most `problemBytesMax` of its body is read.
 *   H3. The deadline covers the time to the answer's head, and also the body if it is read whole.
 *   H4. A GET whose connection breaks before the answer is sent once more: a server may close an idle connection just
 *       as it is reused.
 *   H5. A signal ends a body that is read as a stream, at any time (ahead.ts).
 *   H6. A gateway that cannot be reached or does not answer is left, and each other one is tried once: with what was not
 *       sent (H1), and with a GET. Where others are left, a GET gets `othersMs` instead of the whole limit.
 * @module
 */
import type { Problem } from '../api/index.ts'
import { CodedError, isCode } from '../errors.ts'
import { readAhead } from './ahead.ts'
import { isAway } from './away.ts'
import { type ClientErrorCode, RefusedError } from './errors.ts'
import type { Server } from './server.ts'

const problemBytesMax = 256 * 1024
/**
 * A gateway that hangs still accepts connections. One at work answers in milliseconds; if it has just started or its store is away,
 * after up to four seconds, and a gateway that says so is not left.
 */
const othersMs = 6_000

export interface Request {
  /** The attempt, as the start of an error message: "Cannot list functions". */
  readonly what: string
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>
  /** A body of JSON. */
  readonly json?: unknown
  /** Any other. */
  readonly body?: string | Uint8Array<ArrayBuffer> | FormData | Blob
  readonly type?: string
  readonly timeoutMs?: number
  /** A well gateway may take seconds for its answer: it always gets the whole limit (H6). */
  readonly isSlow?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

/** Sends a request and reads its JSON answer whole. */
export async function requestJson<Answer>(server: Server, request: Request): Promise<Answer> {
  return await within(server, request, async (response) => {
    const text = await response.text()
    if (text === '') return undefined as Answer
    try {
      return JSON.parse(text) as Answer
    } catch (cause) {
      const found = `the answer of ${server.url} is not JSON but starts with '${text.slice(0, 40)}': is it a Concord gateway?`
      throw new CodedError<ClientErrorCode>('ERR_ANSWER_MALFORMED', `${request.what}: ${found}`, { cause })
    }
  })
}

/**
 * Sends a request and returns its body as it arrives. There is no deadline on the body; the request's signal ends it
 * (H5).
 */
export async function requestStream(server: Server, request: Request): Promise<AsyncGenerator<Uint8Array>> {
  const body = await within(server, request, async (response) => response.body ?? new Blob([]).stream())
  return readAhead(body, request.signal)
}

type Read<T> = (response: Response) => Promise<T>

async function within<T>(server: Server, request: Request, read: Read<T>): Promise<T> {
  for (let others = server.count - 1; ; others--) {
    const { url } = server
    const wholeMs = request.timeoutMs ?? server.timeoutMs
    const isShort = others > 0 && isRead(request) && !request.isSlow
    const timeoutMs = isShort ? Math.min(wholeMs, othersMs) : wholeMs
    try {
      return await withinOne({ url, token: server.token, timeoutMs }, request, read)
    } catch (error) {
      if (!(error instanceof CodedError) || !isAway(error)) throw error
      server.leave(url) // H6
      if (others === 0 || !(isRead(request) || isCode(error, unreachable))) throw error
    }
  }
}

/** Where an attempt goes. */
interface Target {
  readonly url: string
  readonly token: string | undefined
  readonly timeoutMs: number
}

async function withinOne<T>(target: Target, request: Request, read: Read<T>): Promise<T> {
  try {
    return await attempt(target, request, read)
  } catch (error) {
    if (!isRead(request) || !isCode(error, 'ERR_CONNECTION_LOST' satisfies ClientErrorCode)) throw error
    return await attempt(target, request, read) // H4
  }
}

async function attempt<T>(target: Target, request: Request, read: Read<T>): Promise<T> {
  const { url, token, timeoutMs } = target
  const abort = new AbortController()
  const timer = setTimeout(() => abort.abort(timedOut), timeoutMs)
  const signal = request.signal ? AbortSignal.any([abort.signal, request.signal]) : abort.signal
  try {
    const response = await fetch(urlOf(url, request), {
      method: request.method ?? 'GET',
      headers: headersOf(token, request),
      body: request.json === undefined ? (request.body ?? null) : JSON.stringify(request.json),
      signal,
    })
    if (!response.ok) throw await refusal(request, response)
    return await read(response)
  } catch (error) {
    if (abort.signal.reason === timedOut) {
      const text = `${request.what}: no answer from ${url} within ${timeoutMs} ms`
      throw new CodedError<ClientErrorCode>('ERR_TIMED_OUT', text)
    }
    throw error instanceof CodedError || signal.aborted ? error : connectionError(url, request, error)
  } finally {
    clearTimeout(timer)
  }
}

const timedOut = Symbol('timed out')
const unreachable: ClientErrorCode = 'ERR_SERVER_UNREACHABLE'

/** Whether to send it twice does no harm. */
function isRead({ method = 'GET' }: Request): boolean {
  return method === 'GET'
}

function urlOf(server: string, { path, query = {} }: Request): URL {
  const url = new URL(`${server.replace(/\/+$/, '')}${path}`)
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) url.searchParams.set(name, String(value))
  }
  return url
}

function headersOf(token: string | undefined, request: Request): Headers {
  const headers = new Headers({ accept: 'application/json, application/x-ndjson, application/problem+json' })
  if (token !== undefined) headers.set('authorization', `Bearer ${token}`)
  const type = request.json === undefined ? request.type : 'application/json'
  if (type !== undefined) headers.set('content-type', type)
  return headers
}

async function refusal(request: Request, response: Response): Promise<RefusedError> {
  const text = (await response.text().catch(() => '')).slice(0, problemBytesMax)
  const retryAfter = Number(response.headers.get('retry-after') ?? Number.NaN)
  const retryAfterMs = Number.isFinite(retryAfter) ? retryAfter * 1000 : undefined
  return new RefusedError(request.what, response.status, parseProblem(text), retryAfterMs)
}

function parseProblem(text: string): Problem | undefined {
  try {
    const problem = JSON.parse(text) as Partial<Problem>
    return typeof problem.code === 'string' && typeof problem.detail === 'string'
      ? (problem as Problem)
      : undefined
  } catch {
    return undefined
  }
}

/** Error codes of the system and of DNS that occur before a connection is made. */
const neverConnected = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT)$/

/** Error codes of OpenSSL and Node for an untrusted certificate, or a server without TLS. */
const untrusted = /CERT|SIGNATURE|ISSUER|ALTNAME/
const notTls = /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG/

/** Whether no server answers at the URL. If one does, or the URL is invalid, the message itself says what to do. */
export function isAbsent(error: unknown): boolean {
  const { code, cause } = error as Partial<CodedError>
  return code === ('ERR_SERVER_UNREACHABLE' satisfies ClientErrorCode) && neverConnected.test(errnoOf(cause))
}

function connectionError(server: string, request: Request, cause: unknown): CodedError<ClientErrorCode> {
  const found = errnoOf(cause)
  if (neverConnected.test(found)) {
    const text = `${request.what}: no server answers at ${server} (${found})`
    return new CodedError('ERR_SERVER_UNREACHABLE', text, { cause })
  }
  const why = untrusted.test(found)
    ? `the certificate of ${server} is not to be trusted (${found}): give the PEM of who signed it in NODE_EXTRA_CA_CERTS`
    : notTls.test(found)
      ? `${server} does not speak TLS (${found}): is it http://?`
      : found === 'bad port'
        ? `${server} has a port that HTTP clients do not use, for it is another protocol's: give the gateway another one`
        : undefined
  if (why !== undefined) return new CodedError('ERR_SERVER_UNREACHABLE', `${request.what}: ${why}`, { cause })
  const text = `${request.what}: the connection to ${server} broke before the answer (${found})`
  return new CodedError('ERR_CONNECTION_LOST', text, { cause })
}

/** The system's error code behind fetch's "fetch failed"; if several addresses were tried, the first one's. */
export function errnoOf(error: unknown): string {
  const cause = (error as Error | undefined)?.cause ?? error
  const first = cause instanceof AggregateError ? cause.errors[0] : cause
  const { code, message } = (first ?? {}) as NodeJS.ErrnoException
  return code ?? message ?? String(error)
}
