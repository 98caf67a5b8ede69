/**
 * Follow: the lines of a stream, over as many connections as it takes.
 *
 *   F1. Records of one producer in one partition come in their order, none twice.
 *   F2. What was missed between two of them is told before the second: by the gateway while a connection stands, else by us, who
 *       know what came last.
 *   F3. A reader that holds goes on, while the stream still waits for it, behind what was acknowledged for it.
 *   F4. What cannot be opened the first time is an error at once; later for `resumeMs` it is tried again.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { FollowEvent, RecordOutput } from '../api/index.ts'
import { CodedError } from '../errors.ts'
import { Retry } from './away.ts'
import type { ClientErrorCode } from './errors.ts'
import type { Server } from './server.ts'

/** A line of a followed stream: a record, or `event` says what happened. */
export type FollowLine = RecordOutput | FollowEvent

export interface FollowOptions {
  readonly signal?: AbortSignal | undefined
  /** Holds the stream back to this reader's pace, so that nothing is missed. */
  readonly hold?: boolean
  /** Ends after so many records. */
  readonly count?: number | undefined
  /** Where the connection breaks, or its gateway stops, it is opened again, for so long. Default 0: the one is an error, the other the end. */
  readonly resumeMs?: number
  /** Called for each time that it has to be opened again. */
  readonly onAway?: (waitMs: number, why: CodedError) => void
}

/** True for a record, false for an event of a followed stream. */
export function isRecord(line: FollowLine): line is RecordOutput {
  return !('event' in line)
}

/** What a connection is opened with. */
export interface FollowQuery {
  readonly hold: boolean | undefined
  readonly count: number | undefined
  /** The reader that this one goes on for, by a connection that broke. */
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
      // Once it is open again we count: a gateway would count what comes again too, and end before the rest has come.
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

/** How far a reader has come with each producer in each partition. */
class Places {
  /** By producer, then by partition: the sequence that comes next. */
  readonly #next = new Map<string, (number | undefined)[]>()

  /** @returns What was missed before it, or that it was here before. */
  take({ producer, partition, sequence }: RecordOutput): Gap | 'repeat' | undefined {
    const places = this.#next.get(producer) ?? []
    this.#next.set(producer, places)
    const expected = places[partition] ?? sequence
    if (sequence < expected) return 'repeat'
    places[partition] = sequence + 1
    if (sequence > expected) return { event: 'gap', partition, producer, records: sequence - expected }
    return undefined
  }

  /** The gateway has told of a gap. */
  pass(event: FollowEvent): void {
    if (event.event !== 'gap') return
    const places = this.#next.get(event.producer)
    const next = places?.[event.partition]
    if (places !== undefined && next !== undefined) places[event.partition] = next + event.records
  }
}
