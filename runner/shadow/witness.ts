/**
 * Witness: sees the calls of an isolate at work, and tells each to who plays it again.
 *
 *   WI1. Nothing is waited for: a call is copied and handed on, or it is not.
 *   WI2. What is handed on is whole: a call with all that was done in it, a state as it lies between two calls.
 * Design: docs/design/0030-shadow.md
 * @module
 */
import type { KeyShare } from '../../sdk/wire/key-share.ts'
import type { BatchResult, InputFrame, Instance } from '../isolate/index.ts'
import { copyFrame, giveBack, LogCopy } from './call-memory.ts'
import { putOffIn } from './compare.ts'
import type { Call } from './mirror.ts'

/** Who is told. */
export interface Audience {
  /** A call is about to be made, between two others. @param partitions Those whose state stays; undefined: all. @returns Whether it is wanted. */
  onCall(live: Instance, partitions: readonly number[] | undefined): boolean
  take(call: Call): void
  /** Records were done in a call that was not wanted. */
  pass(records: number): void
  /** State has come or gone: a copy of it is not what it was a copy of. */
  onMoved(): void
}

interface Open {
  readonly frames: readonly InputFrame[]
  readonly nowMs: number
  readonly share: KeyShare | undefined
  readonly log: LogCopy
  ms: number
  records: number
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

  /** A call is about to be made. @param share Whose keys are its own. */
  begin(live: Instance, frames: readonly InputFrame[], nowMs: number, share?: KeyShare): void {
    const isWanted = this.#audience.onCall(live, this.#kept)
    this.#kept = undefined
    this.#open = isWanted
      ? { frames: frames.map(copyFrame), nowMs, share, log: new LogCopy(), ms: 0, records: 0, elsewhere: 0 }
      : undefined
  }

  /** A piece of its log. */
  add(piece: Uint8Array): void {
    this.#open?.log.add(piece)
  }

  /**
   * What it brought; pending: it goes on.
   * @param others How many of its records have a key of another share, though it did them.
   */
  took(live: Instance, result: BatchResult, ms: number, others = 0): void {
    const open = this.#open
    if (open === undefined) return this.#audience.pass(doneIn(result) - others)
    open.ms += ms
    open.records += result.records
    open.elsewhere += result.elsewhere + others
    if (result.pending) return
    this.#open = undefined
    const { records, elsewhere, nowMs, share, ms: tookMs } = open
    const log = open.log.end()
    const done = countTouched(open.frames, records)
    giveBack(open.frames.slice(done), log.length === 0 ? log : nothing)
    if (log.length === 0) return
    const frames = open.frames.slice(0, done)
    const { batch } = live.chance
    const own = share === undefined ? {} : { share, elsewhere }
    this.#audience.take({ frames, records, putOff: putOffIn(log), nowMs, batch, log, ms: tookMs, ...own })
  }

  /** From the next call on only the state of these is there. */
  keep(partitions: readonly number[]): void {
    this.#kept = partitions
    this.#audience.onMoved()
  }

  /** What was to be kept is applied before something is adopted. */
  beforeAdopted(): void {
    this.#kept = undefined
  }

  moved(): void {
    this.#audience.onMoved()
  }
}

const nothing = new Uint8Array(0)

/** How many of them something was done of. */
function countTouched(frames: readonly InputFrame[], records: number): number {
  let left = records
  const end = frames.findIndex((frame) => {
    const begins = left <= 0
    left -= frame.header.count - frame.skip
    return begins
  })
  return end < 0 ? frames.length : end
}

/** Without what was put off: it comes again. */
function doneIn({ records, elsewhere, failures }: BatchResult): number {
  return (
    records - elsewhere - failures.filter(({ action }) => action === 'setAside' || action === 'behind').length
  )
}
