/**
 * ClickStream: sends clicks at a steady rate, whatever happens to them, and follows their verdicts, until it is told
 * to end.
 *
 *   CS1. Verdicts are followed before the first click is sent, so all of them are seen.
 *   CS2. A click is due at its time, however long earlier ones waited: waiting for room counts as latency.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ClientRecord, ConcordClient } from 'concord/client'
import { follow } from '../follow.ts'
import { generateTraffic } from '../generator.ts'
import { Scores } from './scores.ts'

const turnMs = 10
/** How long to wait at the end for verdicts that are still on their way. */
const lastMs = 30_000

export interface StreamOptions {
  readonly client: ConcordClient
  /** Clicks a second. */
  readonly rate: number
  readonly seed: number
  readonly signal: AbortSignal
}

export class ClickStream {
  readonly #options: StreamOptions
  readonly #over = new AbortController()
  readonly #lines: Iterator<string>
  readonly scores: Scores
  /**
   * Resolves when all clicks that were sent have a verdict, or none came for long; rejects if a follower or the
   * gateway fails.
   */
  ended: Promise<void> = Promise.resolve()
  readonly startedMs = performance.now()
  #ending = false
  sent = 0
  /** Records that did not reach the follower, as the gateway reported. */
  missed = 0

  private constructor(options: StreamOptions) {
    this.#options = options
    const { lines, labels } = generateTraffic(options.seed, Number.POSITIVE_INFINITY)
    this.#lines = lines[Symbol.iterator]()
    this.scores = new Scores(labels)
  }

  /** Resolves when the first clicks are about to be sent. */
  static async start(options: StreamOptions): Promise<ClickStream> {
    const stream = new ClickStream(options)
    const { ended } = await follow(options.client, 'verdicts', {
      onRecord: (record) => stream.scores.add(record, performance.now()),
      onMissed: (records) => {
        stream.missed += records
      },
      signal: AbortSignal.any([options.signal, stream.#over.signal]),
    })
    stream.ended = Promise.race([stream.#send(), ended]).finally(() => stream.#over.abort())
    stream.ended.catch(() => {}) // whoever waits for it hears of it
    return stream
  }

  /** Seconds since it began. */
  get seconds(): number {
    return (performance.now() - this.startedMs) / 1000
  }

  /** Stops sending, and waits for the verdicts that are still on their way. */
  async end(): Promise<void> {
    this.#ending = true
    await this.ended
  }

  async #send(): Promise<void> {
    const { client, rate, signal } = this.#options
    const startedMs = performance.now()
    let taken = 0
    while (!this.#ending) {
      await sleep(turnMs, undefined, { signal })
      const due = Math.floor(((performance.now() - startedMs) / 1000) * rate)
      while (taken < due && !this.#ending) {
        const records: ClientRecord[] = []
        for (; taken < due && records.length < 500; taken++) records.push(this.#click(startedMs, taken))
        this.sent += (await client.produce('lines', records, { signal })).accepted
      }
    }
    const deadlineMs = performance.now() + lastMs
    while (this.scores.received < this.sent && performance.now() < deadlineMs)
      await sleep(turnMs, undefined, { signal })
  }

  /** Sends each click when it is due (CS2). */
  #click(startedMs: number, nth: number): ClientRecord {
    const line = String(this.#lines.next().value)
    const timeMs = performance.timeOrigin + startedMs + (nth / this.#options.rate) * 1000
    return { key: line.slice(0, line.indexOf(' ')), value: line, timeMs: Math.round(timeMs) }
  }
}
