/**
 * Witness: copies the calls of a working isolate and hands them to an audience, which repeats them in another isolate.
 *
 *   WI1. The worker waits for nothing here: a call is copied and handed on, or only counted.
 *   WI2. A call is handed on when it has ended, with its whole outcome log; state is copied between two calls.
 * Design: docs/design/0030-shadow.md
 * @module
 */
import type { KeyShare } from '../../sdk/wire/key-share.ts'
import type { BatchResult, InputFrame, SingleIsolate } from '../isolate/index.ts'
import { copyFrame, giveBack, LogCopy } from './call-memory.ts'
import { putOffIn } from './compare.ts'
import type { Call } from './mirror.ts'

/** What gets the calls: a shadow. */
export interface Audience {
  /**
   * Called between two calls. Here state may be copied.
   * @param partitions Those whose state stays; undefined: all.
   * @returns Whether the next call is wanted.
   */
  onCall(live: SingleIsolate, partitions: readonly number[] | undefined): boolean
  take(call: Call): void
  /** Counts records of a call that was not wanted. */
  pass(records: number): void
  /** State has come or gone, so a copy of it is wrong from here on. */
  onMoved(): void
}

interface Open {
  readonly frames: readonly InputFrame[]
  readonly nowMs: number
  readonly share: KeyShare | undefined
  readonly log: LogCopy
  ms: number
  records: number
  timers: number
  elsewhere: number
}

export class Witness {
  readonly #audience: Audience
  /** The call under way, if it is wanted. */
  #open: Open | undefined
  #kept: readonly number[] | undefined

  constructor(audience: Audience) {
    this.#audience = audience
  }

  /** Before a call. @param share The keys that are the isolate's own. */
  begin(live: SingleIsolate, frames: readonly InputFrame[], nowMs: number, share?: KeyShare): void {
    const isWanted = this.#audience.onCall(live, this.#kept)
    this.#kept = undefined
    this.#open = isWanted
      ? {
          frames: frames.map(copyFrame),
          nowMs,
          share,
          log: new LogCopy(),
          ms: 0,
          records: 0,
          timers: 0,
          elsewhere: 0,
        }
      : undefined
  }

  /** Copies a piece of the call's outcome log. */
  add(piece: Uint8Array): void {
    this.#open?.log.add(piece)
  }

  /**
   * After a call, or a part of it (`pending`).
   * @param others Records that it processed although their key is of another share.
   */
  took(live: SingleIsolate, result: BatchResult, ms: number, others = 0): void {
    const open = this.#open
    if (open === undefined) return this.#audience.pass(doneIn(result) - others)
    open.ms += ms
    open.records += result.records
    open.timers += result.timersFired
    open.elsewhere += result.elsewhere + others
    if (result.pending) return
    this.#open = undefined
    const { records, timers, elsewhere, nowMs, share, ms: tookMs } = open
    const log = open.log.end()
    const done = countTouched(open.frames, records)
    giveBack(open.frames.slice(done), log.length === 0 ? log : nothing)
    if (log.length === 0) return
    const frames = open.frames.slice(0, done)
    const { batch } = live.chance
    const own = share === undefined ? {} : { share, elsewhere }
    this.#audience.take({
      frames,
      records,
      timers,
      putOff: putOffIn(log),
      nowMs,
      batch,
      log,
      ms: tookMs,
      ...own,
    })
  }

  /** From the next call on the isolate has only the state of these. */
  keep(partitions: readonly number[]): void {
    this.#kept = partitions
    this.#audience.onMoved()
  }

  /** Before state is adopted; what `keep` said applies by then. */
  beforeAdopted(): void {
    this.#kept = undefined
  }

  moved(): void {
    this.#audience.onMoved()
  }
}

const nothing = new Uint8Array(0)

/** The number of frames of which records were processed. */
function countTouched(frames: readonly InputFrame[], records: number): number {
  let left = records
  const end = frames.findIndex((frame) => {
    const begins = left <= 0
    left -= frame.header.count - frame.skip
    return begins
  })
  return end < 0 ? frames.length : end
}

/** Without records that were put off, which come again in another call. */
function doneIn({ records, elsewhere, failures }: BatchResult): number {
  return (
    records - elsewhere - failures.filter(({ action }) => action === 'setAside' || action === 'behind').length
  )
}
