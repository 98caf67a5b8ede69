/**
 * The records that travel between the functions of this pipeline, as JSON.
 *
 * All three are keyed by the client's address, so that one partition, and so one instance at a time, sees everything
 * that a client did, in order.
 * @module
 */

/** On `clicks`: one request, as the web server logged it. */
export interface Click {
  /** Address or host name of the client. */
  readonly client: string
  /** When the request was made, milliseconds since 1970: event time, read from the line. */
  readonly timeMs: number
  /** Empty where the request line was not HTTP (a port scan, a TLS hello on port 80). */
  readonly method: string
  /** Path with its query. If the request line was not HTTP, the whole line. */
  readonly path: string
  readonly status: number
  /** Bytes of the answer's body; 0 where the server logged `-`. */
  readonly bytes: number
  /** Empty where none was sent. */
  readonly referrer: string
  /** Empty where none was sent. */
  readonly agent: string
}

/** On `verdicts`: what the model says about one click. */
export interface Verdict {
  readonly client: string
  /** Requests of this client so far, this one included. */
  readonly count: number
  /** From 0 to 1. */
  readonly score: number
  /** Whether `score` has reached the threshold. */
  readonly fraud: boolean
  /** Why, the heaviest first: `rate: 80 pages in a minute (+0.45)`. */
  readonly reasons: readonly string[]
}

/**
 * On `alerts`: what one client did in one window of the platform's clock. A window begins with a fraudulent click.
 */
export interface Alert {
  readonly client: string
  readonly fromMs: number
  readonly toMs: number
  /** Clicks in the window. */
  readonly clicks: number
  /** How many of them were judged fraudulent. */
  readonly flagged: number
  readonly worstScore: number
  /** Features that spoke against the client, with how often. */
  readonly features: Readonly<Record<string, number>>
}
