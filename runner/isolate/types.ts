/**
 * Types of an instance: what goes into an isolate and what comes out.
 * @module
 */
import type { Clock } from '../../infra/clock.ts'
import type { ErrorReport } from '../../infra/control/messages.ts'
import type { CodedError } from '../../sdk/errors.ts'
import type { StateFormat } from '../../sdk/function.ts'
import type { Manifest } from '../../sdk/manifest/manifest.ts'
import type { LogLevel, OutputFrame, Timer } from '../../sdk/runtime/index.ts'
import type { FrameHeader } from '../../sdk/wire/frame.ts'
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
  /** Records at its start that are not to be processed (again). */
  readonly skip: number
  /** Of a record that was set aside, in a frame of its own: how often it was tried. */
  readonly tried?: number | undefined
  /** It is not to be tried again. */
  readonly last?: boolean | undefined
}

/** Contents in memory, by name; several names may have one, and several instances. */
export type HeldAssets = ReadonlyMap<string, { readonly sha256: string; readonly memory: SharedArrayBuffer }>

export type Outputs = Readonly<Record<string, { readonly partitions: number; readonly keyed: boolean }>>

export interface InstanceOptions {
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
  /** 32 random bytes: all randomness of the function comes of them (I6). */
  readonly seed: Uint8Array
  readonly nowMs: number
  readonly log: (level: LogLevel, message: string) => void
  readonly clock?: Clock
  /** After this long a batch is asked to end; default: 50, and no more than a quarter of the limit of a callback. */
  readonly sliceMs?: number
  /** Takes what the function counts and observes; default: nobody looks at it. */
  readonly metrics?: MetricSums
  /** Bytes of recent inputs to keep (tap.ts); default: none. */
  readonly tapBytes?: number
  /** Whether what its start leaves over is given back, for some milliseconds: one of many (docs/design/0009). Default: no. */
  readonly compact?: boolean
  /** The process's, if it has a bound. */
  readonly memory?: ResidentMemory
  /** What an instance before this one left, or a checkpoint; default: none. Its own until `ended`. */
  readonly state?: StateStore
  /** The version that runs beside it and that it will take over from. It has a state of its own until `takeOver`. */
  readonly replaces?: number
  /** Of its state; default: the first, for good. */
  readonly format?: StateFormat | undefined
  /** What a callback throws for good is no failure but `threw` in the result, until `endTrial`. */
  readonly onTrial?: boolean
}

/** A callback that threw for good. */
export interface RecordFailure {
  /** Which of the records of this result's batch it was, from 0, those skipped not counted; infinite for a timer. */
  readonly index: number
  /** `setAside`: it is to be given again after a wait; `behind`: it is to follow an earlier one of its key that is. */
  readonly action: 'skip' | 'deadLetter' | 'fail' | 'setAside' | 'behind'
  /** Of one that was told of. */
  readonly timer?: Timer
  /** Calls, the last one included; 0 if it was counted only. */
  readonly attempts: number
  /** Of `fail`: its record counts among `records`. */
  readonly isDone?: boolean
  /** Whether `error` says what was thrown; beyond some a second it is counted only. */
  readonly told: boolean
  /** Read and mapped when first asked for. */
  readonly error: ErrorReport
}

export interface BatchResult {
  /** Records done: processed, skipped, dead-lettered or set aside. The rest is to be given again. */
  readonly records: number
  /** Bodies behind 48 bytes of space for a header. */
  readonly outputs: readonly OutputFrame[]
  readonly failures: readonly RecordFailure[]
  readonly timersFired: number
  /** Calls that were not the first for their record or timer. */
  readonly retries: number
  readonly recordsOut: number
  /** Of `records`: those of another share, for which nothing was called. */
  readonly elsewhere: number
  /**
   * By record, where two versions have shared the batch: 1 where it is the canary's, with whose format its effects on state may go.
   * Absent: all are of the version at work.
   */
  readonly isCanarys?: Uint8Array
  /** A callback waits: `resume()` answers what follows. `run` is not to be called before it has. */
  readonly pending: boolean
  readonly fatal?: CodedError<IsolateErrorCode>
  /** On trial: what the callback behind the records done has thrown. It has had no effect, and the batch ends before it. */
  readonly threw?: RecordFailure
  /** With `fatal`: the first record that is not done was being processed, and has most likely caused it. */
  readonly recordAtHand?: boolean
  /** The same of a timer. */
  readonly timerAtHand?: Timer
}

export interface InstanceStats {
  readonly heapBytes: number
  readonly cpuSeconds: number
  readonly stateEntries: number
  readonly stateBytes: number
  readonly timers: number
  /** Partitions with something left in older formats. */
  readonly migrating: number
  /** Partitions with no room for another format until the older ones are gone. */
  readonly crowded: number
  /** Partitions of whose state this version can have nothing: it is in a newer format, or has no room for one more. */
  readonly locked: number
}
