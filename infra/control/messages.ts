/**
 * Control messages between scheduler, runners and gateways: JSON over NATS, `schema` first.
 *
 * A runner publishes a Heartbeat every second and at each change; the scheduler answers one that shows an old
 * generation with an `assign` command. Commands are idempotent: the newest generation wins, a lower
 * `leaderEpoch` than one already seen is refused.
 * @module
 */

import type { MemoryReport } from '../../sdk/api/memory-schema.ts'
import type { BackPressure, Grouping, StateFormat } from '../../sdk/index.ts'
import type { AssetRefs } from '../../sdk/manifest/assets.ts'
import type { CanaryRules, Manifest, ShadowRules } from '../../sdk/manifest/manifest.ts'
import type { CanaryReport } from '../../sdk/versions/canary.ts'
import type { ShadowReport } from '../../sdk/versions/shadow.ts'
import type { MetricReport, Observed } from '../../sdk/wire/user-metrics.ts'

/** A consumer of a stream, as described to its producers. */
export interface ConsumerDescriptor {
  /**
   * A function's name; `FUNCTION@INDEX`, an instance that reads a broadcast stream; or `follower.ID`, a holding
   * follower.
   */
  readonly name: string
  readonly backPressure: BackPressure
  /** The consumer that it replaces: it starts at that one's position. */
  readonly instead?: string
  /**
   * For a consumer that queues: the budget of its queue, and how long records may wait on disk. Absent: the defaults.
   */
  readonly queueMib?: number
  readonly queueAgeMs?: number
}

/** A stream, as described to its producers. */
export interface StreamDescriptor {
  readonly name: string
  readonly partitions: number
  /** True: all records go by the key's hash (`isKeyed`). */
  readonly keyed: boolean
  readonly consumers: readonly ConsumerDescriptor[]
}

const spreading: ReadonlySet<Grouping> = new Set(['shuffle', 'roundRobin', 'local'])

/**
 * Whether a stream is partitioned by key, given the groupings of the functions that read it: if any groups by key, or
 * none asks for spreading. So a follower of a stream that no function reads sees the records of a key in order.
 */
export function isKeyed(groupings: readonly Grouping[]): boolean {
  return groupings.includes('groupBy') || !groupings.some((grouping) => spreading.has(grouping))
}

export interface InstanceAssignment {
  /** `FUNCTION-INDEX`, e.g. `score-0`. */
  readonly id: string
  readonly function: string
  /** Absent: the function's version in `functions`; otherwise the one in `others`. */
  readonly version?: number
  readonly index: number
  /** Grows with each change of this instance's owner or partitions, taken or given up; fences the old owner (I8). */
  readonly epoch: number
  /** Partitions owned, by input stream. */
  readonly partitions: Readonly<Record<string, readonly number[]>>
  /** Shares that it keeps until their takers ask for them (docs/design/0011-handover.md). */
  readonly giving?: readonly Giving[]
  /** Shares that it should ask their givers for. */
  readonly awaited?: readonly Awaited[]
  /**
   * Lost slots whose last holder may still live, and of whose shares this instance has some: frames from them below
   * that epoch are refused.
   */
  readonly fences?: readonly SlotFence[]
}

/** A share to hand over, as told to its giver. */
export interface Giving {
  readonly share: number
  /** The taker's. */
  readonly epoch: number
}

/** A share to ask for, as told to its taker. */
export interface Awaited {
  readonly share: number
  /** The epoch at which the taker will own it. */
  readonly epoch: number
  /** The giver's task. */
  readonly task: string
  readonly instance: string
}

export interface SlotFence {
  readonly index: number
  readonly epoch: number
}

/** A version as a runner needs it to run it (code.ts). */
export interface AssignedCode {
  readonly version: number
  /** Hex sha256 of the bundle: its name in the bundle store. */
  readonly bundleSha256: string
  /** Hex sha256 of its source map in the bundle store, if one was uploaded. */
  readonly sourceMapSha256?: string
  /** Assets that it may read with `ctx.asset`, in the bundle store. Absent: none. */
  readonly assets?: AssetRefs
  readonly manifest: Manifest
  /** The format of its state (docs/design/0032-migrate.md). Absent: the first. */
  readonly format?: StateFormat
}

/** What the instances of one function have in common. */
export interface FunctionAssignment extends AssignedCode {
  readonly function: string
  /** The streams that the function reads and writes, and its dead-letter stream if it has one. */
  readonly streams: Readonly<Record<string, StreamDescriptor>>
  readonly groupings: Readonly<Record<string, Grouping>>
  /** The trial of a version that takes over; absent: there is no version to go back to. */
  readonly trial?: Manifest['trial']
  /** The canary, if there is one. */
  readonly canary?: CanaryAssignment
  /** The shadow, if there is one. */
  readonly shadow?: ShadowAssignment
}

/** The version that runs as a shadow, and its limits (docs/design/0030-shadow.md). */
export interface ShadowAssignment extends AssignedCode {
  readonly rules: ShadowRules
}

/** The version that runs as a canary, and its share of the keys (docs/design/0026-rollouts.md). */
export interface CanaryAssignment extends AssignedCode {
  readonly step: number
  readonly percent: number
  readonly rules: CanaryRules
}

/** Everything that a runner should do; it replaces the assignment before (docs/design/0009-packing.md). */
export interface Assignment {
  /** In schema 2, partitions were given up first and taken afterwards. */
  readonly schema: 3
  readonly taskId: string
  /** Grows with each change of this assignment. */
  readonly generation: number
  /** True: instances may come and go, and one that fails does not end the others. */
  readonly packed: boolean
  readonly functions: Readonly<Record<string, FunctionAssignment>>
  /**
   * By `otherKey`: the other versions of functions whose instances here run several (docs/design/0033-rolling.md).
   */
  readonly others?: Readonly<Record<string, FunctionAssignment>>
  readonly instances: readonly InstanceAssignment[]
}

/** The key of a version in `others`. */
export function otherKey(name: string, version: number): string {
  return `${name}@${version}`
}

/** The function's version that an instance should run. */
export function assignedVersion(
  { functions, others = {} }: Pick<Assignment, 'functions' | 'others'>,
  { id, function: name, version }: Pick<InstanceAssignment, 'id' | 'function' | 'version'>,
): FunctionAssignment {
  const found = version === undefined ? functions[name] : others[otherKey(name, version)]
  if (found === undefined)
    throw new Error(`The assignment names ${id}, and says nothing of '${name}' v${version ?? '?'}`)
  return found
}

export interface TaskCommand {
  readonly kind: 'assign'
  readonly leaderEpoch: number
  readonly assignment: Assignment
}

export type TaskReply =
  | { readonly ok: true }
  | { readonly ok: false; readonly code: string; readonly message: string }

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

/** One producer's account of one consumer of a stream, in records, since the producer's start (I7). */
export interface OutputLedger {
  readonly stream: string
  /** The consumer's name, or `$server` for records without an accounted consumer. */
  readonly consumer: string
  readonly sent: number
  /** Acknowledged: processed or dropped. */
  readonly acked: number
  /** The dropped part of `acked`, by reason. */
  readonly dropped: Readonly<Record<string, number>>
  /** Sent to an owner that was killed before it acknowledged. */
  readonly unaccounted: number
  /**
   * `unaccounted` is an upper bound: the producer's allowance, or what was in flight, when nobody could be asked any
   * more.
   */
  readonly isAtMost?: true
  /** The part of `dropped` that the producer dropped itself, out of a queue; absent: nothing. */
  readonly own?: Readonly<Record<string, number>>
  /** The part of `dropped` that earlier owners dropped; absent: nothing. */
  readonly earlier?: Readonly<Record<string, number>>
  /** The number of partitions that it has sent to; absent: unknown. */
  readonly parts?: number
  /** The part of the records in flight that waits on disk for a consumer that queues; absent: nothing. */
  readonly spilled?: number
  readonly spilledBytes?: number
  /**
   * The bound of records sent and not acknowledged, until an `AllowanceNotice` raises it; absent: nothing more is
   * sent, or the bound is unknown.
   */
  readonly allowance?: number
  /** The producer's id while it has records on disk; when no heartbeat names it any more, they are adopted. */
  readonly spiller?: string
}

/** A producer's allowance towards a consumer, and the counts that no present owner knows. */
export type AllowanceRow = Pick<OutputLedger, 'stream' | 'consumer'> & {
  readonly allowance: number
} & Partial<Pick<OutputLedger, 'unaccounted' | 'earlier' | 'parts'>>

/** An instance, or an ingest, that was killed: its receivers are asked how far its channels have come. */
export interface GoneProducer {
  /** Its function, or `ingest`. */
  readonly name: string
  /** The instance's index, or the gateway's id. */
  readonly index: number | string
  /** Its first and last epoch. */
  readonly firstEpoch: number
  readonly epoch: number
}

/** Sent by the scheduler to all runners every second while accounts are open; they answer in their heartbeats. */
export interface GoneNotice {
  readonly schema: 1
  readonly gone: readonly GoneProducer[]
}

/** How far the channel of a killed producer has come, in records since the producer's start. */
export interface ReceivedRow extends Pick<GoneProducer, 'name' | 'index' | 'epoch'> {
  readonly stream: string
  readonly consumer: string
  readonly partition: number
  /** Accepted by this owner and those before it. */
  readonly sent: number
  /** The part of `sent` that is done, or that its producer has called unaccounted. */
  readonly acked: number
  /** Dropped by this owner, by reason. */
  readonly dropped: Readonly<Record<string, number>>
  /**
   * The epoch at which this owner claimed the partition; drops of other owners are added to it. Absent: sent by an
   * earlier build.
   */
  readonly claimed?: number
}

/**
 * An instance's new allowances, between two heartbeats. Sent ahead of the frames that need them, on the same
 * connection (docs/design/0002-channels.md). They replace the bounds of its last report.
 */
export interface AllowanceNotice {
  readonly schema: 1
  readonly taskId: string
  readonly instance: string
  readonly epoch: number
  /** Grows with each notice and each report of the runner. */
  readonly number: number
  readonly rows: readonly AllowanceRow[]
}

/** One consumer's account of one input, in records, since the consumer's start. */
export interface InputLedger {
  readonly stream: string
  readonly received: number
  readonly processed: number
  readonly dropped: Readonly<Record<string, number>>
  /** Records seen again and ignored. */
  readonly repeats: number
  /** Records that a producer no longer had. */
  readonly gaps: number
  /** Records that were processed or unaccounted, and whose effects the state lacks: see docs/design/0008-checkpoints.md. */
  readonly stateLost: number
  /** Frames refused: malformed, or fenced by a higher epoch. */
  readonly refused: Readonly<Record<string, number>>
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

/**
 * Exit codes of a runner task, as the scheduler reads them from the task's status. 128 + n: signal n.
 * docs/errors.md lists them; a test keeps the two equal.
 */
export const exitCodes = {
  drained: 0,
  /** A bug in Concord. */
  crashed: 1,
  /** The configuration or environment is invalid. */
  configuration: 2,
  /** A callback threw under the policy `fail`, or a promise was rejected and nobody awaits or catches it. */
  functionFailed: 10,
  /** `init` threw, or the bundle did not load. */
  initFailed: 11,
  /** The bundle is missing, or does not match its sha256. */
  bundle: 12,
  /** The isolate exceeded its heap limit, or the process its memory bound. */
  memory: 13,
  /** A callback exceeded its time limit. */
  deadline: 14,
  /** The runner stopped responding, and its watchdog ended it. */
  frozen: 15,
  /** A newer owner claimed its partitions. */
  superseded: 16,
  /** The scheduler assigned nothing in time. */
  unassigned: 17,
  /** NATS was unreachable for too long. */
  disconnected: 18,
  /** A record exceeded a limit and is handled by the policy; the instance restarts at once. */
  recordBroke: 19,
  /** The state could not be restored from its checkpoint. */
  checkpoint: 20,
} as const
export type ExitReason = keyof typeof exitCodes
