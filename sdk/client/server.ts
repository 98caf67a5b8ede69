/**
 * Server: the gateways that a client may use, and the current one.
 *
 *   S1. Any gateway of a platform can answer: if one does not, the client moves to the next and stays there.
 * @module
 */
export interface ServerOptions {
  readonly urls: readonly string[]
  readonly token?: string | undefined
  readonly timeoutMs: number
}

export class Server {
  readonly #urls: readonly string[]
  #at = 0
  readonly token: string | undefined
  /** Time limit for one answer. */
  readonly timeoutMs: number

  constructor({ urls, token, timeoutMs }: ServerOptions) {
    this.#urls = urls
    this.token = token
    this.timeoutMs = timeoutMs
  }

  /** The current gateway. */
  get url(): string {
    return this.#urls[this.#at]!
  }

  /** The number of gateways. */
  get count(): number {
    return this.#urls.length
  }

  /** Moves on from the gateway at `url`, unless another request has already. */
  leave(url: string): void {
    if (url === this.url) this.#at = (this.#at + 1) % this.#urls.length
  }
}
