/**
 * Connection: one subscription to the master, with its calls.
 *
 * The event stream has a TCP connection of its own; the calls share another, one after another (E2 of engine.ts). If the master
 * does not accept a call as belonging to a living subscription, the subscription ends, and its owner subscribes
 * again.
 *
 *   N1. Events are delivered in order until the stream ends; the end is the last chunk, not the end of the socket.
 *   N2. A stream that is silent for three heartbeats is dead.
 *   N3. No call is made on a subscription that has ended.
 *   N4. An unreadable event is skipped; unreadable framing ends the stream.
 * @module
 */
import type { IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import type { Clock } from '../../infra/clock.ts'
import { CodedError } from '../../sdk/errors.ts'
import type { SchedulerErrorCode } from '../errors.ts'
import { MasterClient } from './master-client.ts'
import { type MesosEvent, readEvent } from './messages.ts'
import { RecordReader } from './recordio.ts'

/** Missed heartbeats after which a stream counts as dead. */
const heartbeatsMissedMax = 3
const path = '/api/v1/scheduler'

export interface ConnectionOptions {
  /** `http://host:port` of one master. */
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly clock: Clock
  readonly subscribe: unknown
  readonly event: (event: MesosEvent) => void
  /** Called for an unreadable event that was skipped. */
  readonly unreadable: (why: string) => void
}

/**
 * The result of a subscription attempt. `refused`: repeating does not help. `redirected`: gives the other address.
 */
export type Subscribed =
  | { readonly kind: 'open'; readonly connection: Connection }
  | { readonly kind: 'redirected'; readonly url: string }
  | { readonly kind: 'unavailable'; readonly why: string }
  | { readonly kind: 'refused'; readonly error: CodedError<SchedulerErrorCode> }

export type Call = { readonly type: string } & Readonly<Record<string, unknown>>

/** Subscribes at one master. */
export async function subscribe(options: ConnectionOptions): Promise<Subscribed> {
  const client = new MasterClient(new URL(path, options.url))
  let response: IncomingMessage
  try {
    response = await client.stream(headersOf(options), JSON.stringify(options.subscribe))
  } catch (error) {
    client.destroy()
    return { kind: 'unavailable', why: `${options.url} does not answer: ${(error as Error).message}` }
  }
  if (response.statusCode === 200)
    return { kind: 'open', connection: new Connection(options, client, response) }
  const said = await text(response).catch(() => '')
  client.destroy()
  return notSubscribed(options.url, response, said)
}

function notSubscribed(url: string, { statusCode, headers }: IncomingMessage, said: string): Subscribed {
  if (statusCode === 307 && headers.location !== undefined)
    return { kind: 'redirected', url: new URL(headers.location, url).origin }
  const answer = `the master at ${url} answered ${statusCode} ${said.trim()}`
  if (statusCode !== 401 && statusCode !== 403 && statusCode !== 400)
    return { kind: 'unavailable', why: answer }
  const hint = statusCode === 401 ? ': check mesos.principal and mesos.secret' : ''
  return {
    kind: 'refused',
    error: new CodedError('ERR_MESOS_REFUSED', `Cannot subscribe to Mesos: ${answer}${hint}`),
  }
}

/** The master compares the content type literally: not even a charset may follow. */
function headersOf({ headers }: ConnectionOptions): Readonly<Record<string, string>> {
  return { 'content-type': 'application/json', accept: 'application/json', ...headers }
}

export class Connection {
  readonly #options: ConnectionOptions
  readonly #stream: MasterClient
  readonly #calls: MasterClient
  readonly #events: IncomingMessage
  readonly #headers: Readonly<Record<string, string>>
  #heartbeatMs = 15_000
  #stopWatch: () => void = () => {}
  #ended: string | undefined
  #queue: Promise<void> = Promise.resolve()

  constructor(options: ConnectionOptions, stream: MasterClient, events: IncomingMessage) {
    this.#options = options
    this.#stream = stream
    this.#calls = new MasterClient(new URL(path, options.url))
    this.#events = events
    const id = String(events.headers['mesos-stream-id'] ?? '')
    this.#headers = { ...headersOf(options), 'mesos-stream-id': id }
  }

  /** Reads the stream to its end. @returns Why it ended. */
  async read(): Promise<string> {
    const reader = new RecordReader()
    this.#watch()
    try {
      for await (const chunk of this.#events) {
        this.#watch()
        for (const record of reader.push(chunk as Uint8Array)) {
          if (this.#ended === undefined) this.#take(record)
        }
      }
      this.end('the master has ended the subscription')
    } catch (error) {
      this.end(`the stream broke: ${(error as Error).message}`)
    }
    return this.#ended ?? ''
  }

  #take(record: Uint8Array): void {
    let event: MesosEvent
    try {
      event = readEvent(record)
    } catch (error) {
      this.#options.unreadable((error as Error).message)
      return
    }
    if (event.subscribed !== undefined) this.#heartbeatMs = event.subscribed.heartbeat_interval_seconds * 1000
    this.#options.event(event)
  }

  #watch(): void {
    this.#stopWatch()
    const silenceMs = this.#heartbeatMs * heartbeatsMissedMax
    this.#stopWatch = this.#options.clock.after(silenceMs, () =>
      this.end(`the master was silent for ${silenceMs} ms`),
    )
  }

  /** Makes a call after the ones before it. @returns Why the master refused it, if it will never accept it. */
  call(call: Call): Promise<string | undefined> {
    const made = this.#queue.then(() => this.#make(call))
    this.#queue = made.then(() => undefined)
    return made
  }

  async #make(call: Call): Promise<string | undefined> {
    if (this.#ended !== undefined) return undefined
    try {
      const response = await this.#calls.post(this.#headers, JSON.stringify(call))
      const said = await text(response)
      const { statusCode } = response
      if (statusCode === 202 || statusCode === 200) return undefined
      const answer = `the master answered ${statusCode} ${said} to ${call.type}`
      if (isAboutTheCall(statusCode, said)) return answer
      this.end(answer)
    } catch (error) {
      this.end(`${call.type} did not arrive: ${(error as Error).message}`)
    }
    return undefined
  }

  /** Ends the subscription from our side; the master keeps the tasks. */
  end(why: string): void {
    if (this.#ended !== undefined) return
    this.#ended = why
    this.#stopWatch()
    this.#stream.destroy()
    this.#calls.destroy()
  }
}

/** Whether a 400 is about the call's content, and not about our identity. */
function isAboutTheCall(statusCode: number | undefined, said: string): boolean {
  return statusCode === 400 && !/stream ID|Framework cannot be found/i.test(said)
}
