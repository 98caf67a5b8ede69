/**
 * One connection of the HTTP load: requests out, as many on their way as are allowed; responses in, in the same order.
 * @module
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

const headEnd = Buffer.from('\r\n\r\n')

export interface HttpLineOptions {
  readonly port: number
  readonly path: string
  /** Requests that may be on their way. */
  readonly depth: number
  readonly onBody: (body: Buffer) => void
}

export class HttpLine {
  readonly #socket: Socket
  readonly #options: HttpLineOptions
  #rest: Buffer = Buffer.alloc(0)
  #onTheirWay = 0
  #wake: () => void = () => undefined

  private constructor(socket: Socket, options: HttpLineOptions) {
    this.#socket = socket
    this.#options = options
    socket.on('data', (bytes) => this.#onData(bytes))
  }

  static async open(options: HttpLineOptions): Promise<HttpLine> {
    const socket = connect({ port: options.port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    return new HttpLine(socket, options)
  }

  /** Sends bodies, one a request, as room permits. */
  async send(bodies: readonly Uint8Array[]): Promise<void> {
    for (let at = 0; at < bodies.length; ) {
      const room = this.#options.depth - this.#onTheirWay
      // In lots: a request a write would cost a system call each.
      if (room < Math.min(this.#options.depth / 2, bodies.length - at)) {
        await this.#answer()
        continue
      }
      this.#socket.cork()
      for (const body of bodies.slice(at, at + room)) {
        this.#socket.write(head(this.#options.path, body.length))
        this.#socket.write(body)
        this.#onTheirWay += 1
      }
      this.#socket.uncork()
      at += room
    }
  }

  async answered(): Promise<void> {
    while (this.#onTheirWay > 0) await this.#answer()
  }

  #answer(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  #onData(bytes: Buffer): void {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes])
    let at = 0
    for (;;) {
      const bodyAt = all.indexOf(headEnd, at) + headEnd.length
      if (bodyAt < headEnd.length) break
      const end = bodyAt + contentLength(all.toString('latin1', at, bodyAt))
      if (end > all.length) break
      this.#options.onBody(all.subarray(bodyAt, end))
      this.#onTheirWay -= 1
      at = end
    }
    this.#rest = all.subarray(at)
    this.#wake()
  }
}

function contentLength(head: string): number {
  const length = /^HTTP\/1\.1 200 .*\r\ncontent-length: (\d+)\r\n/is.exec(head)?.[1]
  if (length === undefined) throw new Error(`The service answered: ${head}`)
  return Number(length)
}

const heads = new Map<number, Buffer>()

function head(path: string, length: number): Buffer {
  const made =
    heads.get(length) ??
    Buffer.from(`POST ${path} HTTP/1.1\r\nHost: bench\r\nContent-Length: ${length}\r\n\r\n`, 'latin1')
  heads.set(length, made)
  return made
}
