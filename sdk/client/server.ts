/**
 * Server: the gateways that a client may talk to, and the one that it talks to now.
 *
 *   S1. Any gateway of a platform answers for it: who finds one away goes on with the next, and stays there.
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
  /** For one answer. */
  readonly timeoutMs: number

  constructor({ urls, token, timeoutMs }: ServerOptions) {
    this.#urls = urls
    this.token = token
    this.timeoutMs = timeoutMs
  }

  /** The one that is talked to now. */
  get url(): string {
    return this.#urls[this.#at]!
  }

  /** How many there are. */
  get count(): number {
    return this.#urls.length
  }

  /** From the one at `url` on to the next one, if nobody has gone on from it already. */
  leave(url: string): void {
    if (url === this.url) this.#at = (this.#at + 1) % this.#urls.length
  }
}
