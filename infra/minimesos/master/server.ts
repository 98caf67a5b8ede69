/**
 * Server: the HTTP side of the master: which requests are refused, in which order, and in Mesos's words.
 *
 * Order: 307, 503, 401, 405, content type, JSON, validation, 406 or the stream id, and then the master's own checks.
 * @module
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { gunzipSync } from 'node:zlib'
import type { Clock } from '../../clock.ts'
import { BadCall, readCall, readOperatorCall } from '../wire/index.ts'
import { EventStream } from './event-stream.ts'
import type { Answer, Master } from './master.ts'

const bodyBytesMax = 16 * 2 ** 20
/** Longer than clients keep an idle connection, so that we never close one that is just being used. */
const keepAliveMs = 120_000

export interface Credentials {
  readonly principal: string
  readonly secret: string
}

export interface ServerOptions {
  /** The master that handles requests; undefined while it starts or stands by. */
  readonly master: () => Master | undefined
  /** `http://host:port` of the master that leads, where this one stands by. */
  readonly leader: () => string | undefined
  readonly clock: Clock
  readonly credentials?: Credentials
  /** The agents, for the orders of `/minimesos/agents`. */
  readonly fleet: AgentOrders
}

/** Orders to make agents fail and return. Not part of Mesos, where one would use the machine's power switch. */
export interface AgentOrders {
  list(): unknown
  /** Undefined: there is none of that name. */
  order(name: string, order: 'kill' | 'cut' | 'start'): string | undefined
}

export function createMasterServer(options: ServerOptions): Server {
  const handle = (request: IncomingMessage, response: ServerResponse): void =>
    route(options, request, response)
  const server = createServer({ keepAliveTimeout: keepAliveMs }, handle)
  // A master sends no 100 Continue.
  server.on('checkContinue', handle)
  return server
}

function route(options: ServerOptions, request: IncomingMessage, response: ServerResponse): void {
  const path = (request.url ?? '/').replace(/\?.*$/s, '').replace(/^\/master(?=\/)/, '')
  const master = options.master()
  const leader = options.leader()
  if (leader !== undefined && path !== '/health') return redirect(response, leader, path)
  if (path === '/health' && (master ?? leader) !== undefined) return answer(response, { status: 200 })
  if (master === undefined) return answer(response, { status: 503, text: 'Master has not finished recovery' })
  if (path === '/version') return json(response, master.version)
  if (path === '/state') {
    return authenticated(options, request, response, 'mesos-master-readonly')
      ? json(response, master.state)
      : undefined
  }
  if (path.startsWith('/minimesos/agents')) return agents(options, request, response, path)
  if (!path.startsWith('/api/v1')) return answer(response, { status: 404, text: '404 Not Found.' })
  if (!authenticated(options, request, response, 'mesos-master-scheduler')) return
  const fault = headerFault(request)
  if (fault !== undefined) return answer(response, fault)
  readBody(request, (body) => {
    if (typeof body !== 'string') return answer(response, body)
    // With a misspelt path, a master takes the call for one of its operator API.
    if (path !== '/api/v1/scheduler') return answer(response, operate(master, body))
    schedule(options, master, request, response, body)
  })
}

/** The answer of a standby to every request; the leader's address has no scheme. */
function redirect(response: ServerResponse, leader: string, path: string): void {
  const { host } = new URL(leader)
  const location = path === '/redirect' ? `//${host}` : `//${host}/master${path}`
  response.writeHead(307, { Location: location, 'Content-Length': 0 }).end()
}

/** `GET /minimesos/agents` lists them, `POST /minimesos/agents/NAME/kill` (or `cut`, `start`) does that to one. */
function agents(
  options: ServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
): void {
  if (!authenticated(options, request, response, 'minimesos')) return
  if (request.method === 'GET' && path === '/minimesos/agents') return json(response, options.fleet.list())
  const [, name = '', order] = /^\/minimesos\/agents\/([^/]+)\/(kill|cut|start)$/.exec(path) ?? []
  if (request.method !== 'POST' || order === undefined)
    return answer(response, { status: 404, text: '404 Not Found.' })
  const condition = options.fleet.order(decodeURIComponent(name), order as 'kill' | 'cut' | 'start')
  if (condition === undefined) return answer(response, { status: 404, text: `There is no agent '${name}'` })
  json(response, { name, condition })
}

/** The calls of Mesos's operator API that change what frameworks see. */
function operate(master: Master, body: string): Answer {
  try {
    const call = readOperatorCall(body)
    switch (call.type) {
      case 'MARK_AGENT_GONE': {
        const { value } = call.mark_agent_gone!.agent_id
        return master.markGone(value)
          ? { status: 200 }
          : { status: 404, text: `Agent '${value}' is not known` }
      }
      case 'DRAIN_AGENT': {
        const { agent_id, max_grace_period: grace } = call.drain_agent!
        const graceMs = grace && (grace.seconds ?? 0) * 1e3 + (grace.nanos ?? 0) / 1e6
        return master.drain(agent_id.value, graceMs)
      }
      case 'REACTIVATE_AGENT':
        return master.reactivate(call.reactivate_agent!.agent_id.value)
      case 'RESERVE_RESOURCES': {
        const { agent_id, resources } = call.reserve_resources!
        return master.reserve(agent_id.value, { kind: 'RESERVE', resources })
      }
      case 'UNRESERVE_RESOURCES': {
        const { agent_id, resources } = call.unreserve_resources!
        return master.reserve(agent_id.value, { kind: 'UNRESERVE', resources })
      }
    }
  } catch (error) {
    if (!(error instanceof BadCall)) throw error
    return { status: 400, text: error.message }
  }
}

function schedule(
  { clock, credentials }: ServerOptions,
  master: Master,
  request: IncomingMessage,
  response: ServerResponse,
  body: string,
): void {
  const streamId = request.headers['mesos-stream-id'] as string | undefined
  try {
    const call = readCall(body, credentials?.principal)
    if (call.type !== 'SUBSCRIBE') return answer(response, master.call(call, streamId))
    if (!acceptsJson(request.headers.accept)) {
      return answer(response, {
        status: 406,
        text: "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'",
      })
    }
    if (streamId !== undefined) {
      throw new BadCall("Subscribe calls should not include the 'Mesos-Stream-Id' header")
    }
    master.subscribe(call.subscribe!, new EventStream(response, clock))
  } catch (error) {
    if (!(error instanceof BadCall)) throw error
    answer(response, { status: 400, text: error.message })
  }
}

function headerFault(request: IncomingMessage): Answer | undefined {
  const { method } = request
  if (method !== 'POST') {
    return {
      status: 405,
      text: `405 Method Not Allowed. Expecting one of { 'POST' }, but received '${method}'.`,
    }
  }
  const type = request.headers['content-type']
  if (type === undefined) return { status: 400, text: "Expecting 'Content-Type' to be present" }
  if (type === 'application/json') return undefined
  return { status: 415, text: "Expecting 'Content-Type' of application/json or application/x-protobuf" }
}

/** Calls at the request's end, in the order of the requests on their connection. */
function readBody(request: IncomingMessage, done: (body: string | Answer) => void): void {
  const chunks: Buffer[] = []
  let length = 0
  request.on('data', (chunk: Buffer) => {
    length += chunk.length
    if (length <= bodyBytesMax) chunks.push(chunk)
  })
  request.on('end', () => {
    if (length > bodyBytesMax) return done({ status: 413, text: `A call may have ${bodyBytesMax} bytes` })
    const raw = Buffer.concat(chunks)
    if (request.headers['content-encoding'] !== 'gzip') return done(raw.toString())
    try {
      done(gunzipSync(raw, { maxOutputLength: bodyBytesMax }).toString())
    } catch {
      done({ status: 400, text: 'Failed to decompress request body' })
    }
  })
}

function acceptsJson(accept: string | undefined): boolean {
  const allowed = ['application/json', 'application/*', '*/*']
  return (
    accept === undefined ||
    accept.split(',').some((type) => allowed.includes(type.replace(/;.*$/s, '').trim()))
  )
}

function authenticated(
  { credentials }: ServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
  realm: string,
): boolean {
  if (credentials === undefined) return true
  const expected = `Basic ${Buffer.from(`${credentials.principal}:${credentials.secret}`).toString('base64')}`
  if (timingSafeEqual(digest(request.headers.authorization ?? ''), digest(expected))) return true
  response.setHeader('WWW-Authenticate', `Basic realm="${realm}"`)
  answer(response, { status: 401, text: '401 Unauthorized.' })
  return false
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

function answer(response: ServerResponse, { status, text }: Answer): void {
  if (status === 405) response.setHeader('Allow', 'POST')
  if (text !== undefined) response.setHeader('Content-Type', 'text/plain; charset=utf-8')
  response.writeHead(status, { 'Content-Length': Buffer.byteLength(text ?? '') })
  response.end(text)
}

function json(response: ServerResponse, value: unknown): void {
  const text = JSON.stringify(value)
  response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) })
  response.end(text)
}
