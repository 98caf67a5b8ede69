/**
 * Layout: what host and runtime write into the memory that they share, and where.
 *
 * Three regions. *Input*: the batch, written by the host before a call (batch.ts). *Outcome*: a log of what the
 * callbacks did, appended by the runtime (outcome-writer.ts), read by the host (outcome-reader.ts). *Control*: the
 * numbers below. All of it is plain bytes, so this serves both sides and, over unshared memory, the test kit.
 *
 *   LY1. Everything in the outcome log before `control[published]` is whole and final; what lies behind it is void.
 *        One aligned store moves it, once for each record or timer: its outputs, its reports and the fact that it is
 *        done become visible together, whenever the isolate ends (I3, I4).
 *   LY2. The host believes nothing that it reads here: see outcome-reader.ts. How an entry is read: outcome-entry.ts.
 * @module
 */
import { keyBytesMax } from '../../wire/frame.ts'

/** Indices of 32-bit words in the control region. */
export const control = {
  /** Bytes of the outcome log that are final (LY1). */
  published: 0,
  /** One of `phase`. */
  phase: 1,
  /** Written by the host: not 0 asks the runtime to end the batch behind the record at hand. */
  yield: 2,
  /** Not 0 if the batch asked for text: then the host hands the next one in as a string too. */
  textWanted: 3,
  /** Bytes of console lines since the call began. */
  consoleEnd: 4,
  /** Grows with each callback that goes async: tells one pending callback from the next. */
  pendings: 5,
  timers: 6,
  stateEntries: 7,
  /** One more than the partition whose state lacks memory, 0 if none does: its record is to be given again. */
  wantedPartition: 8,
  /** How much it lacks. */
  wantedBytes: 9,
  /** Partitions whose state has something left in older formats. */
  migrating: 10,
  /** Partitions whose state has no room for another format until it is tidied. */
  crowded: 11,
  /** Written by a replay: one more than how many units of tidying the call had (housekeeping.ts); 0: as `yield` says. */
  tidiedMost: 12,
  /** Partitions of whose state the version at work can have nothing. */
  locked: 13,
} as const

/** Indices of 64-bit floats in the control region; they lie behind the words. */
export const controlFloats = {
  /** When the earliest timer is due; infinite if none is set. */
  nextTimerMs: 8,
  /** When a pending callback's earliest setTimeout is due; infinite if none is set. */
  nextWakeMs: 9,
  stateBytes: 10,
} as const

export const controlBytes = 128

/** What the runtime is at, as the host finds it after a call or after the isolate's end. */
export const phase = {
  idle: 0,
  /** In `init` or `destroy`. */
  lifecycle: 1,
  timers: 2,
  records: 3,
  /** Behind a batch, or instead of one: what nobody touches is migrated. */
  tidying: 4,
  /** Joined to one of the above: a callback has returned a promise that has not settled. */
  pending: 8,
} as const

/** Words in a row of the table at the head of the input region: stream, offset, records to skip, `inputRowAside`. */
export const inputRowWords = 4
/** 0, or of a record that was set aside, in a frame of its own: one more than how often it was tried, and `asideIsLast`. */
export const inputRowAside = 3
export const asideIsLast = 0x10000

/** The low byte of an entry's first word in the outcome log. */
export const entryKind = {
  /** bits 8–15 stream, 16–31 partition; then a record as in a frame. */
  output: 1,
  /** bits 8–15 one of `verdict`, 16–31 how many of the calls it took here were tries after the first. A record is done. */
  record: 2,
  /** The same of a timer. */
  timer: 3,
  /** bits 8–15 index in `reactions`, 16–23 attempts, 24–31 `record`, `timer` or 0; bytes of text; text (report.ts; that of a timer has the timer before it), padded. */
  report: 4,
  /** Commits what was done to state beside any record. bits 8–31: units of tidying since the last one. */
  swept: 5,
  /** bits 8–15 a number of metric-names.ts; then a 64-bit float: what was counted or observed. */
  metric: 6,
} as const

/** How the platform is done with a record or timer. `elsewhere`: it is another version's, which gets the same batch. */
export const verdict = {
  processed: 0,
  skipped: 1,
  deadLettered: 2,
  setAside: 3,
  behind: 4,
  elsewhere: 5,
} as const

/** Of a record or timer that the batch goes on without. */
export const verdictOf = {
  skip: verdict.skipped,
  deadLetter: verdict.deadLettered,
  setAside: verdict.setAside,
} as const

/**
 * What was done about a callback that threw. `retried`: a later attempt went through; `setAside`: there will be one.
 * `behind`: it was not called, since an earlier one of its key is set aside.
 */
export const reactions = ['skip', 'deadLetter', 'fail', 'retried', 'setAside', 'behind'] as const
export type Reaction = (typeof reactions)[number]

/** Longest report, in bytes; of a timer there is the timer before it. */
export const reportBytesMax = 16 * 1024
/** A timer in the text of a report: its key, and three numbers. */
export const timerTextBytesMax = keyBytesMax + 64
/** Longest line of the console, in characters. */
export const consoleLineMax = 8 * 1024
export const consoleBytes = 64 * 1024
export const logLevels = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof logLevels)[number]

/** Beyond this much outcome a batch ends, so that what is there leaves. */
export const outcomeBytesAimed = 1024 * 1024

/** Of what is swept behind a batch. */
export const sweptBytesMax = 32 * 1024

/** Size of a log in which a whole callback still fits, with a report, when it has come that far, and what is swept then. */
export function outcomeBytes(outputBytesPerRecord: number): number {
  return (
    (outcomeBytesAimed + outputBytesPerRecord + 2 * reportBytesMax + timerTextBytesMax + sweptBytesMax + 3) &
    ~3
  )
}
