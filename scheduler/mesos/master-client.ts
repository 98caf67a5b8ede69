/**
 * MasterClient: a TCP connection to a master, for one request after another.
 *
 * It stands on Node's own client: one that brings a parser of its own (undici) is half of the scheduler's code, and a fifth of the
 * CPU of its start.
 *
 *   MC1. A request of which nothing is heard for `silenceMsMax`, from its connection to the end of its answer, fails. An answer that
 *        `stream` has given may be silent.
 *   MC2. `destroy` ends what is under way.
 * @module
 */
import * as http from 'node:http'
import * as https from 'node:https'

/** Less than a server keeps a connection that is not used: a request that meets its end would fail. */
const unusedMsMax = 4_000

export class MasterClient {
  readonly #url: URL
  readonly #silenceMsMax: number
  readonly #agent: http.Agent
  readonly #request: typeof http.request

  /** @param url Of the resource that all requests go to. */
  constructor(url: URL, silenceMsMax = 10_000) {
    const { Agent, request } = url.protocol === 'https:' ? https : http
    this.#url = url
    this.#silenceMsMax = silenceMsMax
    this.#agent = new Agent({ keepAlive: true, maxSockets: 1, timeout: unusedMsMax })
    this.#request = request
  }

  /** @returns The answer, whatever its status. @throws If there is none. */
  post(headers: Readonly<Record<string, string>>, body: string): Promise<http.IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>()
    const request = this.#request(this.#url, {
      method: 'POST',
      agent: this.#agent,
      timeout: this.#silenceMsMax,
      headers: { ...headers },
    })
    request.on('response', resolve)
    request.on('error', reject) // of an answer that breaks off its reader hears
    request.on('timeout', () => request.destroy(new Error(`nothing was heard for ${this.#silenceMsMax} ms`)))
    request.end(body)
    return promise
  }

  /** As `post`, and the body of the answer may be silent (MC1). */
  async stream(headers: Readonly<Record<string, string>>, body: string): Promise<http.IncomingMessage> {
    const answer = await this.post(headers, body)
    answer.socket.setTimeout(0)
    return answer
  }

  destroy(): void {
    this.#agent.destroy()
  }
}
