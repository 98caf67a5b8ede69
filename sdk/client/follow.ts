/**
 * Follow: the lines of a stream, over as many connections as necessary.
 *
 *   F1. Records of one producer in one partition come in order, none twice.
 *   F2. Missed records are reported before the next one: by the gateway within a connection, and by this client,
 *       which knows the last record, between two.
 *   F3. A holding reader continues after the last acknowledged record, if the stream still waits for it.
 *   F4. A failure of the first connection is an error at once; later ones are retried for `resumeMs`.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { FollowEvent, RecordOutput } from '../api/index.ts'
import { CodedError } from '../errors.ts'
import { Retry } from './away.ts'
import type { ClientErrorCode } from './errors.ts'
import type { Server } from './server.ts'

/** A line of a followed stream: a record, or an event (it has `event`). */
export type FollowLine = RecordOutput | FollowEvent

export interface FollowOptions {
  readonly signal?: AbortSignal | undefined
  /** Hold the stream back to this reader's pace, so that nothing is missed. */
  readonly hold?: boolean
  /** End after this many records. */
  readonly count?: number | undefined
  /**
   * How long to try to reconnect when the connection breaks or its gateway stops. Default 0: a break is an error, a
   * stop the end.
   */
  readonly resumeMs?: number
  /** Called before each attempt to reconnect. */
  readonly onAway?: (waitMs: number, why: CodedError) => void
}

/** True for a record, false for an event of a followed stream. */
export function isRecord(line: FollowLine): line is RecordOutput {
  return !('event' in line)
}

/** The parameters of one connection. */
export interface FollowQuery {
  readonly hold: boolean | undefined
  readonly count: number | undefined
  /** The earlier reader that this one continues, after a broken connection. */
  readonly instead: string | undefined
}

export async function* follow(
  server: Server,
  open: (query: FollowQuery) => AsyncIterable<FollowLine>,
  { signal, hold, count, resumeMs = 0, onAway }: FollowOptions,
): AsyncGenerator<FollowLine> {
  const places = new Places()
  let left = count
  let instead: string | undefined
  let retry: Retry | undefined
  for (let wasReady = false; ; ) {
    const { url } = server
    let why: CodedError
    try {
      // After a reconnection the client counts: the gateway would also count repeated records, and end too early.
      for await (const line of open({ hold, count: wasReady ? undefined : left, instead })) {
        wasReady = true
        retry = undefined
        if (!isRecord(line)) {
          if (line.event === 'ready') instead = line.reader
          places.pass(line)
          yield line
          continue
        }
        const gap = places.take(line)
        if (gap === 'repeat') continue
        if (gap !== undefined) yield gap
        yield line
        if (left !== undefined && --left === 0) return
      }
      if (resumeMs === 0) return
      why = new CodedError<ClientErrorCode>('ERR_CONNECTION_LOST', `${url} ended the stream: it is stopping`)
    } catch (error) {
      if (!(error instanceof CodedError) || signal?.aborted) throw error
      why = error
    }
    if (resumeMs > 0 && wasReady) retry ??= new Retry(resumeMs)
    const waitMs = retry?.afterMs(why)
    if (waitMs === undefined) throw why
    server.leave(url)
    onAway?.(waitMs, why)
    await sleep(waitMs, undefined, { signal })
  }
}

type Gap = Extract<FollowEvent, { event: 'gap' }>

/** The next sequence of each producer in each partition. */
class Places {
  /** By producer, then by partition: the sequence that comes next. */
  readonly #next = new Map<string, (number | undefined)[]>()

  /** @returns The gap before the record, or `repeat` if it came before. */
  take({ producer, partition, sequence }: RecordOutput): Gap | 'repeat' | undefined {
    const places = this.#next.get(producer) ?? []
    this.#next.set(producer, places)
    const expected = places[partition] ?? sequence
    if (sequence < expected) return 'repeat'
    places[partition] = sequence + 1
    if (sequence > expected) return { event: 'gap', partition, producer, records: sequence - expected }
    return undefined
  }

  /** Notes a gap that the gateway reported. */
  pass(event: FollowEvent): void {
    if (event.event !== 'gap') return
    const places = this.#next.get(event.producer)
    const next = places?.[event.partition]
    if (places !== undefined && next !== undefined) places[event.partition] = next + event.records
  }
}
