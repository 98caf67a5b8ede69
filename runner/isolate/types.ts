/**
 * Types: what goes into an isolate and what comes out.
 * @module
 */
import type { Clock } from '../../infra/clock.ts'
import type { ErrorReport } from '../../infra/control/messages/heartbeat.ts'
import type { CodedError } from '../../sdk/errors.ts'
import type { StateFormat } from '../../sdk/function.ts'
import type { Manifest } from '../../sdk/manifest/manifest.ts'
import type { LogLevel, OutputFrame, Timer } from '../../sdk/runtime/index.ts'
import type { FrameHeader } from '../../sdk/wire/frame.ts'
import type { KeyShare } from '../../sdk/wire/key-share.ts'
import type { MetricSums } from '../../sdk/wire/user-metrics.ts'
import type { ResidentMemory } from './calls/memory-guard.ts'
import type { IsolateErrorCode } from './errors.ts'
import type { StateStore } from './state/state-store.ts'

export interface InputFrame {
  readonly stream: string
  readonly partition: number
  /** The whole frame, accepted by `parseFrame`. */
  readonly bytes: Uint8Array
  readonly header: FrameHeader
  /** Records at its start that must not be processed (again). */
  readonly skip: number
  /** For a record that was set aside, in a frame of its own: how often it was tried. */
  readonly tried?: number | undefined
  /** This is its last attempt. */
  readonly last?: boolean | undefined
}

/** What a batch may have beside its frames. */
export interface RunOptions {
  /** Records that wait behind set-aside ones to keep their order (sdk/runtime/records/aside.ts). */
  readonly lines?: readonly string[] | undefined
  /** The keys to process; records of others count as done. Default: all. */
  readonly share?: KeyShare | undefined
  /** Its number, for random numbers; if it is that of the call before, their sequence continues. Default: the next. */
  readonly batch?: number
  /** End after the first callback. */
  readonly isOne?: boolean
  /** How many timers it may call before its records. Default: those that are due, as long as they do not hold the records up. */
  readonly timers?: number | undefined
}

/** Assets in memory, by name. Several names may share one, and so may several instances. */
export type HeldAssets = ReadonlyMap<string, { readonly sha256: string; readonly memory: SharedArrayBuffer }>

export type Outputs = Readonly<Record<string, { readonly partitions: number; readonly keyed: boolean }>>

export interface IsolateOptions {
  readonly function: string
  readonly version: number
  readonly instance: number
  readonly manifest: Manifest
  /** One self-contained ES module; its default export is the function. */
  readonly bundle: string
  readonly sourceMap?: string
  readonly outputs: Outputs
  /** Files of the version, by name. Default: none. */
  readonly assets?: HeldAssets
  /** 32 random bytes: the source of all the function's random numbers (I6). */
  readonly seed: Uint8Array
  readonly nowMs: number
  readonly log: (level: LogLevel, message: string) => void
  readonly clock?: Clock
  /** After this long a batch is asked to end; default: 50, and no more than a quarter of the limit of a callback. */
  readonly sliceMs?: number
  /** Receives the function's metrics; default: they are discarded. */
  readonly metrics?: MetricSums
  /** Bytes of recent inputs to keep (tap.ts); default: none. */
  readonly tapBytes?: number
  /**
   * Release the garbage of the start, which takes some milliseconds: for one of many instances (docs/design/0009).
   * Default: no.
   */
  readonly compact?: boolean
  /** The memory of the process, if it is bounded. */
  readonly memory?: ResidentMemory
  /** State of an earlier instance, or of a checkpoint; default: none. This instance owns it until `ended`. */
  readonly state?: StateStore
  /** The version that it will take over from, running beside it. Until `takeOver` it has a state of its own. */
  readonly replaces?: number
  /** The format of its state; default: the first. */
  readonly format?: StateFormat | undefined
  /** Until `endTrial`, the error of a callback is not a failure but `threw` in the result. */
  readonly onTrial?: boolean
}

/** A callback that threw for good. */
export interface RecordFailure {
  /** The index of the record in this result's batch, from 0, skipped ones not counted; infinite for a timer. */
  readonly index: number
  /**
   * `setAside`: to be tried again after a wait; `behind`: to follow an earlier record of its key that is set aside.
   */
  readonly action: 'skip' | 'deadLetter' | 'fail' | 'setAside' | 'behind'
  /** The timer, if it was one that was reported. */
  readonly timer?: Timer
  /** Calls so far; 0 if it was only counted. */
  readonly attempts: number
  /** With `fail`: its record counts among `records`. */
  readonly isDone?: boolean
  /** Whether `error` contains the error; beyond some errors a second they are only counted. */
  readonly told: boolean
  /** Thrown when so many had been in a second that no stack was captured: `error` has only name and message. */
  readonly stackless?: boolean
  /** Read and mapped when first asked for. */
  readonly error: ErrorReport
}

export interface BatchResult {
  /** Finished records: processed, skipped, dead-lettered or set aside. The rest has to be given again. */
  readonly records: number
  /** Frames: 48 bytes of space for a header, then the body. Written when it is first called. */
  readonly outputs: () => readonly OutputFrame[]
  readonly failures: readonly RecordFailure[]
  readonly timersFired: number
  /** Calls that were not the first for their record or timer. */
  readonly retries: number
  readonly recordsOut: number
  /** The part of `records` of another share, for which nothing was called. */
  readonly elsewhere: number
  /**
   * By record, where two versions have shared the batch: 1 where it is the canary's, with whose format its effects on state may go.
   * Absent: all are of the version at work.
   */
  readonly isCanarys?: Uint8Array
  /** The canary has ended in this batch: all that it has done to state, in this format, is gone. */
  readonly gone?: StateFormat
  /** A callback is pending: `resume()` returns what follows, and `run` must not be called before that. */
  readonly pending: boolean
  readonly fatal?: CodedError<IsolateErrorCode>
  /**
   * On trial: the error of the callback after the finished records. It had no effect, and the batch ends before it.
   */
  readonly threw?: RecordFailure
  /** With `fatal`: the first record that is not done was being processed, and has most likely caused it. */
  readonly recordAtHand?: boolean
  /** The same for a timer. */
  readonly timerAtHand?: Timer
}

export interface IsolateStats {
  readonly heapBytes: number
  readonly cpuSeconds: number
  readonly stateEntries: number
  readonly stateBytes: number
  readonly timers: number
  /** Partitions with state left in older formats. */
  readonly migrating: number
  /** Partitions with no room for another format until the older ones are gone. */
  readonly crowded: number
  /** Partitions whose state this version cannot use: its format is newer, or there is no room for one more. */
  readonly locked: number
}
