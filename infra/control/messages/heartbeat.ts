/**
 * Heartbeats: what a process reports about itself and its instances, every second and at each change. The scheduler answers one of an
 * old generation with an assignment.
 * @module
 */
import type { MemoryReport } from '../../../sdk/api/memory-schema.ts'
import type { CanaryReport } from '../../../sdk/versions/canary.ts'
import type { ShadowReport } from '../../../sdk/versions/shadow.ts'
import type { MetricReport, Observed } from '../../../sdk/wire/user-metrics.ts'
import type { InputLedger, OutputLedger, ReceivedRow } from './accounts.ts'

/** An error of a function, as plain data. `stack` is mapped to the author's source where a map was uploaded. */
export interface ErrorReport {
  readonly name: string
  readonly message: string
  readonly stack: string
  /** The first frame in the author's source, e.g. `score.ts:41:9`. */
  readonly at?: string
  readonly record?: {
    readonly stream: string
    readonly partition: number
    readonly producer: string
    readonly sequence: number
    readonly key: string
  }
  /** The timer that it was called for, if any: `partition` is that of its state, `key` the beginning of its key. */
  readonly timer?: { readonly partition: number; readonly key: string; readonly timeMs: number }
  readonly timeMs: number
}

/** The checkpoints of an instance. */
export interface CheckpointReport {
  /** When the last stored one was cut; absent before the first. */
  readonly atMs?: number
  /** How long it took from the cut to the last manifest. */
  readonly tookMs?: number
  /** Bytes kept, and bytes that the last one added. */
  readonly storedBytes: number
  readonly writtenBytes: number
  /** How long the instance was paused for the last cut, and for the longest. */
  readonly pauseMs: number
  readonly pauseMaxMs: number
  readonly made: number
  readonly failed: number
  readonly writtenBytesTotal: number
  /** Why the last one failed; absent if it did not. */
  readonly error?: string
}

/** A swap or trial in an instance. */
export interface SwapReport {
  /** The version that takes over. */
  readonly version: number
  /** `failed`: the previous version runs, until an assignment names another one. */
  readonly state: 'preparing' | 'onTrial' | 'failed'
  /** Why it failed. */
  readonly reason?: string
  /** During a trial: records and timers processed so far. */
  readonly records?: number
}

/** How an instance has spent its time since its start; what is neither idle nor blocked is work. */
export interface WorkReport {
  readonly elapsedMs: number
  /** Without input. */
  readonly idleMs: number
  /** For want of credit for its outputs. */
  readonly blockedMs: number
  /** Calls into the isolate, in milliseconds, each counted for every record done in it; absent before the first. */
  readonly calls?: Observed
}

export interface InstanceReport {
  readonly id: string
  readonly function: string
  readonly index: number
  readonly epoch: number
  readonly version: number
  readonly swap?: SwapReport
  readonly canary?: CanaryReport
  readonly shadow?: ShadowReport
  /** How long the last swap paused the instance. */
  readonly swapPauseMs?: number
  /** The version that last passed its trial here, and the records it processed in it. */
  readonly tried?: { readonly version: number; readonly records: number }
  /** `stopped`: it has left; this last report completes its accounts. */
  readonly state: 'starting' | 'running' | 'draining' | 'failed' | 'stopped'
  readonly recordsIn: number
  readonly recordsOut: number
  readonly errors: number
  /** Calls of callbacks that were not the first for their record or timer. */
  readonly retries?: number
  readonly timersFired: number
  /** Timers that were given up, by reason; absent: none, or unknown. */
  readonly timersDropped?: Readonly<Record<string, number>>
  readonly batches: number
  /** How long `limits.cpuMsPerSecond` held it back. */
  readonly throttledMs?: number
  /** Records set aside for a retry. */
  readonly setAside?: number
  /** Absent where it never ran. */
  readonly work?: WorkReport
  /** Timers that are set. */
  readonly timers?: number
  readonly stateEntries: number
  readonly stateBytes: number
  /** Partitions with state in the format of an earlier version; absent: none. */
  readonly migrating?: number
  readonly heapBytes: number
  /** Time spent in its isolate. An upper bound of its CPU time, since it includes waiting for a CPU. */
  readonly cpuSeconds: number
  /** The function's own metrics; absent if it never ran. */
  readonly metrics?: readonly MetricReport[]
  /** Since when these are counted. */
  readonly metricsSinceMs?: number
  readonly outputs: readonly OutputLedger[]
  /** Orders this report among the allowance notices; absent: the build sends none. */
  readonly notice?: number
  readonly inputs: readonly InputLedger[]
  /** How far it has come with killed producers; absent: nobody asks. */
  readonly received?: readonly ReceivedRow[]
  /** Shares that it was promised and has not taken yet; absent: none. */
  readonly awaited?: readonly number[]
  /** Absent where `checkpoint` is false. */
  readonly checkpoint?: CheckpointReport
  readonly lastError?: ErrorReport
  /** Why it failed by itself in a packed runner; repeated until an assignment without it arrives. */
  readonly exit?: ExitReport
}

/** Why a process, or an instance, ended by itself. */
export interface ExitReport {
  readonly code: number
  readonly reason: string
  readonly message: string
  /** For a process: the instance at fault, if known. */
  readonly instance?: string
}

export interface Heartbeat {
  readonly schema: 1
  readonly kind: 'runner' | 'gateway'
  /** Task id of a runner; own id of a gateway. */
  readonly id: string
  /** Unique to the process. */
  readonly incarnation: string
  /**
   * Generation of the assignment in force; 0 before the first. Instances that the assignment lacks have been
   * released. Which instances run, and which shares are still awaited, only the reports say.
   */
  readonly generation: number
  readonly sentAtMs: number
  readonly state: 'starting' | 'running' | 'draining' | 'stopped'
  readonly pid: number
  readonly rssBytes: number
  /** Of a runner. */
  readonly memory?: MemoryReport
  readonly cpuSeconds: number
  readonly metricsUrl?: string
  readonly instances: readonly InstanceReport[]
  /** For a gateway or client: its own account of what it sent. */
  readonly outputs?: readonly OutputLedger[]
  /** For a gateway: refused raw records since its start, by reason. */
  readonly rawDropped?: Readonly<Record<string, number>>
  /**
   * The epoch at which this gateway leads the raw ingest, if it does. A leader with a lower one stops, whatever the
   * store says.
   */
  readonly ingestEpoch?: number
  /** In the last heartbeat of a process that ends by itself. */
  readonly exit?: ExitReport
  /** The part number and number of parts of a heartbeat too large for one message. Its parts share `sentAtMs`. */
  readonly part?: { readonly index: number; readonly count: number }
}
