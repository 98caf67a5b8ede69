/**
 * ScriptedMaster: a TCP server that answers HTTP with bytes given by the test, taken from a real master, and keeps
 * the calls that it received. Test equipment.
 * @module
 */

import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer, type Server, type Socket } from 'node:net'

export interface ReceivedCall {
  readonly headers: Readonly<Record<string, string>>
  // biome-ignore lint/suspicious/noExplicitAny: -- the test looks into whatever was sent
  readonly body: any
  readonly socket: Socket
}

export const accepted = 'HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n'

/** A file of testdata/, as it went over the wire. */
export function transcript(name: string): Buffer {
  return readFileSync(new URL(`../testdata/${name}`, import.meta.url))
}

/** The head of a stream; then events as the master frames them. */
export const streamHead =
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nMesos-Stream-Id: stream-1\r\nContent-Type: application/json\r\n\r\n'

export function chunk(event: unknown): string {
  const json = JSON.stringify(event)
  const record = `${Buffer.byteLength(json)}\n${json}`
  return `${Buffer.byteLength(record).toString(16)}\r\n${record}\r\n`
}

export const lastChunk = '0\r\n\r\n'

export function subscribed(frameworkId: string): string {
  return chunk({
    type: 'SUBSCRIBED',
    subscribed: { framework_id: { value: frameworkId }, heartbeat_interval_seconds: 15 },
  })
}

export class ScriptedMaster {
  readonly calls: ReceivedCall[] = []
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  /** Answers a call with bytes; it may write more to the socket later. */
  answer: (call: ReceivedCall) => string | Buffer = () => accepted

  private constructor() {
    // A real master does not wait for an acknowledgement before it sends the next event either.
    this.#server = createServer({ noDelay: true }, (socket) => this.#serve(socket))
  }

  static async start(): Promise<ScriptedMaster> {
    const master = new ScriptedMaster()
    await new Promise<void>((resolve) => master.#server.listen(0, '127.0.0.1', resolve))
    return master
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  ofType(type: string): ReceivedCall[] {
    return this.calls.filter((call) => call.body.type === type)
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #serve(socket: Socket): void {
    let buffer = Buffer.alloc(0)
    this.#sockets.add(socket)
    socket.on('close', () => this.#sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    socket.on('data', (data) => {
      buffer = Buffer.concat([buffer, data])
      for (;;) {
        const end = buffer.indexOf('\r\n\r\n')
        if (end < 0) return
        const lines = buffer.subarray(0, end).toString().split('\r\n').slice(1)
        const headers = Object.fromEntries(
          lines.map((line) => [
            line.slice(0, line.indexOf(':')).toLowerCase(),
            line.slice(line.indexOf(':') + 1).trim(),
          ]),
        )
        const bodyEnd = end + 4 + Number(headers['content-length'] ?? 0)
        if (buffer.length < bodyEnd) return
        const call = { headers, body: JSON.parse(buffer.subarray(end + 4, bodyEnd).toString()), socket }
        buffer = buffer.subarray(bodyEnd)
        this.calls.push(call)
        socket.write(this.answer(call))
      }
    })
  }
}
