/**
 * Layout: what host and runtime write into the memory that they share, and where.
 *
 * There are three regions. *Input*: the batch, written by the host before a call (batch.ts). *Outcome*: a log of what
 * the callbacks did, appended by the runtime (outcome-writer.ts) and read by the host (outcome-reader.ts). *Control*:
 * the numbers below. All of it is plain bytes, so it serves both sides and, in memory that is not shared, the test
 * kit.
 *
 *   LY1. Everything in the outcome log before `control[published]` is complete and final; what comes after it is
 *        void. One aligned store moves it, once for each record or timer: its outputs, its reports and the fact that
 *        it is done become visible together, whenever the isolate ends (I3, I4).
 *   LY2. The host trusts nothing that it reads here: see outcome-reader.ts. The entries of the log: outcome-entry.ts.
 * @module
 */
import { keyBytesMax } from '../../wire/frame.ts'

/** Indexes of 32-bit words in the control region. */
export const control = {
  /** The bytes of the outcome log that are final (LY1). */
  published: 0,
  /** One of `phase`. */
  phase: 1,
  /** Written by the host: not 0 asks the runtime to end the batch after the current record. */
  yield: 2,
  /** Not 0 if the batch used text: then the host also passes the next one as a string. */
  textWanted: 3,
  /** The bytes of console lines since the call began. */
  consoleEnd: 4,
  /** Grows with each asynchronous callback, and so identifies a pending one. */
  pendings: 5,
  timers: 6,
  stateEntries: 7,
  /** One more than the partition whose state lacks memory, or 0. Its record has to be given again. */
  wantedPartition: 8,
  /** How many bytes it lacks. */
  wantedBytes: 9,
  /** The number of partitions whose state has entries in older formats. */
  migrating: 10,
  /** The number of partitions whose state has no room for another format until it is tidied. */
  crowded: 11,
  /**
   * Written by a replay: one more than the number of tidying units in the call (housekeeping.ts); 0: as `yield` says.
   */
  tidiedMost: 12,
  /** The number of partitions in whose state the running version can have no entries. */
  locked: 13,
  /** Written by the host: not 0 asks the runtime to call no more timers in this batch, but its records. */
  timersOver: 14,
  /** Written by whoever repeats a call: one more than the number of its timers; 0: as `timersOver` says. */
  timersMost: 15,
} as const

/** Indexes of 64-bit floats in the control region, after the words. */
export const controlFloats = {
  /** When the earliest timer is due; infinite if there is none. */
  nextTimerMs: 8,
  /** When the earliest setTimeout of a pending callback is due; infinite if there is none. */
  nextWakeMs: 9,
  stateBytes: 10,
} as const

export const controlBytes = 128

/** What the runtime is doing, as the host finds it after a call or after the isolate's end. */
export const phase = {
  idle: 0,
  /** It runs `init` or `destroy`. */
  lifecycle: 1,
  timers: 2,
  records: 3,
  /** After a batch, or instead of one: it migrates entries that nobody has used. */
  tidying: 4,
  /** Combined with one of the above: a callback has returned a promise that has not settled. */
  pending: 8,
} as const

/**
 * The words of a row in the table at the start of the input region: stream, offset, records to skip, `inputRowAside`.
 */
export const inputRowWords = 4
/** 0; or for a record that was set aside, in a frame of its own: one more than its attempts, and `asideIsLast`. */
export const inputRowAside = 3
export const asideIsLast = 0x10000

/** The low byte of an entry's first word in the outcome log. */
export const entryKind = {
  /** bits 8–15 stream, 16–31 partition; then a record as in a frame. */
  output: 1,
  /** bits 8–15 one of `verdict`, 16–31 the number of calls after the first one. A record is done. */
  record: 2,
  /** The same for a timer. */
  timer: 3,
  /**
   * bits 8–15 index in `reactions`, 16–23 attempts, 24–31 `record`, `timer` or 0; bytes of text; text, padded
   * (report.ts; for a timer, the timer comes before it).
   */
  report: 4,
  /** Commits what was done to state outside of any record. bits 8–31: units of tidying since the last one. */
  swept: 5,
  /** bits 8–15 the number of a metric (metric-names.ts); then a 64-bit float: the counted or observed value. */
  metric: 6,
} as const

/** How a record or timer ended. `elsewhere`: it belongs to another version, which gets the same batch. */
export const verdict = {
  processed: 0,
  skipped: 1,
  deadLettered: 2,
  setAside: 3,
  behind: 4,
  elsewhere: 5,
} as const

/** The end of a record or timer without which the batch continues. */
export const verdictOf = {
  skip: verdict.skipped,
  deadLetter: verdict.deadLettered,
  setAside: verdict.setAside,
} as const

/**
 * The reaction to a callback that threw. `retried`: a later attempt succeeded; `setAside`: there will be one.
 * `behind`: it was not called, because an earlier record of its key is set aside.
 */
export const reactions = ['skip', 'deadLetter', 'fail', 'retried', 'setAside', 'behind'] as const
export type Reaction = (typeof reactions)[number]

/** The most bytes of a report; a timer comes in addition. */
export const reportBytesMax = 16 * 1024
/** The most bytes of a timer in a report: its key, and three numbers. */
export const timerTextBytesMax = keyBytesMax + 64
/** The most characters of a console line. */
export const consoleLineMax = 8 * 1024
export const consoleBytes = 64 * 1024
export const logLevels = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof logLevels)[number]

/** A batch ends after this many bytes of outcome, so that its outputs can leave. */
export const outcomeBytesAimed = 1024 * 1024

/** The most bytes of entries for sweeping after a batch. */
export const sweptBytesMax = 32 * 1024

/** The size of a log that has reached that size, with room for one more callback, a report, and sweeping. */
export function outcomeBytes(outputBytesPerRecord: number): number {
  return (
    (outcomeBytesAimed + outputBytesPerRecord + 2 * reportBytesMax + timerTextBytesMax + sweptBytesMax + 3) &
    ~3
  )
}
