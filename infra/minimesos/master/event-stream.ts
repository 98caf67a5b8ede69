/**
 * EventStream: the long answer to a SUBSCRIBE, RecordIO over one chunked response.
 *
 *   S1. One record is one chunk: its length in bytes, a newline, JSON.
 *   S2. A heartbeat at once, then every 15 s.
 *   S3. It ends with the zero chunk and leaves the connection open, as a master's does.
 *   S4. A framework that does not read is cut off before it fills the memory.
 * @module
 */
import { randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { Clock } from '../../clock.ts'

export const heartbeatIntervalMs = 15_000
const unreadBytesMax = 8 * 2 ** 20

export class EventStream {
  readonly id = randomUUID()
  readonly #response: ServerResponse
  readonly #clock: Clock
  #cancelHeartbeat: () => void = () => {}

  constructor(response: ServerResponse, clock: Clock) {
    this.#response = response
    this.#clock = clock
    response.writeHead(200, { 'Content-Type': 'application/json', 'Mesos-Stream-Id': this.id })
    response.flushHeaders()
  }

  /** Calls `run` once when either end of the stream has closed; at once if it already has. */
  onClose(run: () => void): void {
    const closed = (): void => {
      this.#cancelHeartbeat()
      run()
    }
    if (this.#response.destroyed) closed()
    else this.#response.once('close', closed)
  }

  startHeartbeats(): void {
    this.send('HEARTBEAT')
    this.#cancelHeartbeat = this.#clock.after(heartbeatIntervalMs, () => this.startHeartbeats())
  }

  /** An event's content stands under its type's name in lower case. */
  send(type: string, content?: unknown): void {
    if (this.#response.writableEnded || this.#response.destroyed) return
    const json = JSON.stringify({ type, ...(content === undefined ? {} : { [type.toLowerCase()]: content }) })
    this.#response.write(`${Buffer.byteLength(json)}\n${json}`)
    if (this.#response.writableLength > unreadBytesMax) this.#response.destroy()
  }

  end(): void {
    this.#cancelHeartbeat()
    this.#response.end()
  }

  /** ERROR is the last event of a stream. */
  fail(message: string): void {
    this.send('ERROR', { message })
    this.end()
  }
}
