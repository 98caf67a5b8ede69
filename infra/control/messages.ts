/**
 * Control messages between scheduler, runners and gateways: JSON over NATS, `schema` first.
 *
 * A runner publishes a Heartbeat every second and at each change; the scheduler answers one that shows an old
 * generation with an `assign` command. Commands are idempotent: the newest generation wins, a lower
 * `leaderEpoch` than one already seen is refused.
 * @module
 */

import type { MemoryReport } from '../../sdk/api/memory.ts'
import type { BackPressure, Grouping, StateFormat } from '../../sdk/index.ts'
import type { AssetRefs } from '../../sdk/manifest/assets.ts'
import type { CanaryRules, Manifest, ShadowRules } from '../../sdk/manifest/manifest.ts'
import type { CanaryReport } from '../../sdk/versions/canary.ts'
import type { ShadowReport } from '../../sdk/versions/shadow.ts'
import type { MetricReport, Observed } from '../../sdk/wire/user-metrics.ts'

/** A consumer of a stream, as its producers must know it. */
export interface ConsumerDescriptor {
  /** A function's name, `FUNCTION@INDEX` of an instance to a broadcast stream, or `follower.ID` for a reader over HTTP that asked to hold the stream back. */
  readonly name: string
  readonly backPressure: BackPressure
  /** The consumer for whom it goes on: it begins where that one's position is. */
  readonly instead?: string
  /** Of a consumer that queues: the budget of what waits, and for how long it may wait on disk; absent: the defaults. */
  readonly queueMib?: number
  readonly queueAgeMs?: number
}

/** What a producer must know of a stream. */
export interface StreamDescriptor {
  readonly name: string
  readonly partitions: number
  /** True: all records go by the key's hash (`isKeyed`). */
  readonly keyed: boolean
  readonly consumers: readonly ConsumerDescriptor[]
}

const spreading: ReadonlySet<Grouping> = new Set(['shuffle', 'roundRobin', 'local'])

/**
 * Whether a stream that functions read with these groupings is partitioned by key: if any groups by it, or none wants it
 * spread. So whoever follows a stream that no function reads sees the records of a key in their order.
 */
export function isKeyed(groupings: readonly Grouping[]): boolean {
  return groupings.includes('groupBy') || !groupings.some((grouping) => spreading.has(grouping))
}

export interface InstanceAssignment {
  /** `FUNCTION-INDEX`, e.g. `score-0`. */
  readonly id: string
  readonly function: string
  /** Absent: that of its function in `functions`; else that in `others`. */
  readonly version?: number
  readonly index: number
  /** Grows with each change of this instance's owner or partitions, taken or given up; fences the old owner (I8). */
  readonly epoch: number
  /** Partitions owned, by input stream. */
  readonly partitions: Readonly<Record<string, readonly number[]>>
  /** Shares that it keeps until who is to have them asks for them (docs/design/0011-handover.md). */
  readonly giving?: readonly Giving[]
  /** Shares that it is to ask for. */
  readonly awaited?: readonly Awaited[]
  /** Slots that nobody holds, whose last holder may live, and of whose shares this one has some: frames of theirs below that epoch count no more. */
  readonly fences?: readonly SlotFence[]
}

/** What an assignment tells who is to give a share. */
export interface Giving {
  readonly share: number
  /** The taker's. */
  readonly epoch: number
}

/** What it tells who is to take it. */
export interface Awaited {
  readonly share: number
  /** At which it will own it. */
  readonly epoch: number
  /** The giver's. */
  readonly task: string
  readonly instance: string
}

export interface SlotFence {
  readonly index: number
  readonly epoch: number
}

/** What the instances of one function have in common. */
export interface FunctionAssignment {
  readonly function: string
  readonly version: number
  /** Hex sha256 of the bundle: its name in the bundle store. */
  readonly bundleSha256: string
  /** Hex sha256 of its source map in the bundle store, if one was uploaded. */
  readonly sourceMapSha256?: string
  /** Files that it reads by `ctx.asset`, in the bundle store. Absent: none. */
  readonly assets?: AssetRefs
  readonly manifest: Manifest
  /** The streams that the function reads and writes, and its dead-letter stream if it has one. */
  readonly streams: Readonly<Record<string, StreamDescriptor>>
  readonly groupings: Readonly<Record<string, Grouping>>
  /** What a version has to show that takes over from another one; absent: there is none to go back to. */
  readonly trial?: Manifest['trial']
  /** Another version that has a part of the keys. */
  readonly canary?: CanaryAssignment
  /** Of its state (docs/design/0032-migrate.md). Absent: the first, for good. */
  readonly format?: StateFormat
  /** Another version that is given copies of all records. */
  readonly shadow?: ShadowAssignment
}

/** What a shadow is an isolate of, and what bounds it (docs/design/0030-shadow.md). */
export interface ShadowAssignment
  extends Pick<
    FunctionAssignment,
    'version' | 'bundleSha256' | 'sourceMapSha256' | 'assets' | 'manifest' | 'format'
  > {
  readonly rules: ShadowRules
}

/** What a canary is an isolate of, and how much it has (docs/design/0026-rollouts.md). */
export interface CanaryAssignment
  extends Pick<
    FunctionAssignment,
    'version' | 'bundleSha256' | 'sourceMapSha256' | 'assets' | 'manifest' | 'format'
  > {
  readonly step: number
  readonly percent: number
  readonly rules: CanaryRules
}

/** All that a runner should be doing; it replaces the assignment before (docs/design/0009-packing.md). */
export interface Assignment {
  /** 2 had partitions given up first and taken then. */
  readonly schema: 3
  readonly taskId: string
  /** Grows with each change of this assignment. */
  readonly generation: number
  /** True: instances come and go, and one that fails by itself leaves the others at work. */
  readonly packed: boolean
  readonly functions: Readonly<Record<string, FunctionAssignment>>
  /** By `otherKey`: of functions of which instances here are of several versions, the other ones (docs/design/0033-rolling.md). */
  readonly others?: Readonly<Record<string, FunctionAssignment>>
  readonly instances: readonly InstanceAssignment[]
}

/** A version in `others`. */
export function otherKey(name: string, version: number): string {
  return `${name}@${version}`
}

/** What an instance is one of. */
export function assignedVersion(
  { functions, others = {} }: Pick<Assignment, 'functions' | 'others'>,
  { id, function: name, version }: Pick<InstanceAssignment, 'id' | 'function' | 'version'>,
): FunctionAssignment {
  const found = version === undefined ? functions[name] : others[otherKey(name, version)]
  if (found === undefined)
    throw new Error(`The assignment names ${id}, and says nothing of '${name}' v${version ?? '?'}`)
  return found
}

export type TaskCommand =
  | { readonly kind: 'assign'; readonly leaderEpoch: number; readonly assignment: Assignment }
  /** Drain: stop granting credit, process what was sent, run destroy, report, exit 0. */
  | { readonly kind: 'stop'; readonly leaderEpoch: number; readonly reason: string }

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
  /** What it was called for, if that was a timer; `partition` is that of its state, `key` its beginning. */
  readonly timer?: { readonly partition: number; readonly key: string; readonly timeMs: number }
  readonly timeMs: number
}

/** One producer's account of one consumer of a stream, in records, since the producer's start (I7). */
export interface OutputLedger {
  readonly stream: string
  /** The consumer's name, or `$server` where nobody is accounted for. */
  readonly consumer: string
  readonly sent: number
  /** Acknowledged: processed or dropped. */
  readonly acked: number
  /** Of the acknowledged, those that were dropped, by reason. */
  readonly dropped: Readonly<Record<string, number>>
  /** Sent to an owner that was killed before it acknowledged. */
  readonly unaccounted: number
  /** Unaccounted may be less: it is what the producer was allowed to have out, or was in flight, when nobody was left to be asked. */
  readonly isAtMost?: true
  /** Of the dropped, what it has dropped itself, out of a queue; absent: nothing. */
  readonly own?: Readonly<Record<string, number>>
  /** Of the dropped, what owners before the present ones have dropped; absent: nothing. */
  readonly earlier?: Readonly<Record<string, number>>
  /** Over how many partitions it has sent; absent: nobody says. */
  readonly parts?: number
  /** Of those in flight, what waits on disk for a consumer that queues there; absent: nothing. */
  readonly spilled?: number
  readonly spilledBytes?: number
  /** Sent and not acknowledged is never more than this before an `AllowanceNotice` says so; absent: no more is sent, or nobody says. */
  readonly allowance?: number
  /** The producer's id, while it has something on disk: of one that nobody names any more it is adopted. */
  readonly spiller?: string
}

/** What a producer may have sent to a consumer, and not heard acknowledged; and what it counts that no present owner knows of. */
export type AllowanceRow = Pick<OutputLedger, 'stream' | 'consumer'> & {
  readonly allowance: number
} & Partial<Pick<OutputLedger, 'unaccounted' | 'earlier' | 'parts'>>

/** An instance, or an ingest, that was killed: its receivers are asked how far they have come with it. */
export interface GoneProducer {
  /** Its function, or `ingest`. */
  readonly name: string
  /** Its own, or the gateway's id. */
  readonly index: number | string
  /** Its epochs, the first and the last. */
  readonly firstEpoch: number
  readonly epoch: number
}

/** Of the scheduler to all runners, each second while it wants to know; they answer in their heartbeats. */
export interface GoneNotice {
  readonly schema: 1
  readonly gone: readonly GoneProducer[]
}

/** How far the channel of a producer that is gone has come, in records since the producer's start. */
export interface ReceivedRow extends Pick<GoneProducer, 'name' | 'index' | 'epoch'> {
  readonly stream: string
  readonly consumer: string
  readonly partition: number
  /** Accepted by this owner, and by those before it. */
  readonly sent: number
  /** Of those, what is done, or was called unaccounted by its producer. */
  readonly acked: number
  /** What this owner has dropped of it. */
  readonly dropped: Readonly<Record<string, number>>
  /** The epoch at which this owner has claimed the partition: what others have dropped comes on top. Absent: of an earlier build. */
  readonly claimed?: number
}

/**
 * Of an instance, between two heartbeats, ahead of the frames that it is for and on their connection
 * (docs/design/0002-channels.md). It takes the place of the bounds in its last report.
 */
export interface AllowanceNotice {
  readonly schema: 1
  readonly taskId: string
  readonly instance: string
  readonly epoch: number
  /** Grows with each notice, and each report, of the runner. */
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

/** What an instance has stored of its state. */
export interface CheckpointReport {
  /** When the last one was cut that is stored; absent before the first. */
  readonly atMs?: number
  /** How long it took from the cut to the last manifest. */
  readonly tookMs?: number
  /** What is kept, and what the last one added to it. */
  readonly storedBytes: number
  readonly writtenBytes: number
  /** How long the instance stopped for the last cut, and for the longest one. */
  readonly pauseMs: number
  readonly pauseMaxMs: number
  readonly made: number
  readonly failed: number
  readonly writtenBytesTotal: number
  /** Why the last one failed; absent if it did not. */
  readonly error?: string
}

/** Another version takes over in an instance. */
export interface SwapReport {
  /** That version. */
  readonly version: number
  /** `failed`: the version before is at work, until an assignment names another one. */
  readonly state: 'preparing' | 'onTrial' | 'failed'
  /** Why it failed. */
  readonly reason?: string
  /** Of one on trial: records and timers that went through it so far. */
  readonly records?: number
}

/** What an instance has spent its time on since its start: what is neither idle nor blocked is work. */
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
  /** For how long the last change of versions stopped it. */
  readonly swapPauseMs?: number
  /** The version that has passed its trial here last, and what went through it meanwhile. */
  readonly tried?: { readonly version: number; readonly records: number }
  /** `stopped`: it has left; its last report, for the accounts. */
  readonly state: 'starting' | 'running' | 'draining' | 'failed' | 'stopped'
  readonly recordsIn: number
  readonly recordsOut: number
  readonly errors: number
  /** Calls of callbacks that were not the first for their record or timer. */
  readonly retries?: number
  readonly timersFired: number
  /** Timers that were given up, by reason; absent: none, or nobody says. */
  readonly timersDropped?: Readonly<Record<string, number>>
  readonly batches: number
  /** How long it was held back by `limits.cpuMsPerSecond`. */
  readonly throttledMs?: number
  /** Records that wait to be tried again. */
  readonly setAside?: number
  /** Absent where it never ran. */
  readonly work?: WorkReport
  /** Timers that are set. */
  readonly timers?: number
  readonly stateEntries: number
  readonly stateBytes: number
  /** Partitions whose state has something left in the format of an earlier version; absent: none. */
  readonly migrating?: number
  readonly heapBytes: number
  /** Time in its isolate: an upper bound of its CPU time, for what its thread waited for a CPU is in it. */
  readonly cpuSeconds: number
  /** What the function has counted and observed of its own; absent where it never ran. */
  readonly metrics?: readonly MetricReport[]
  /** Since when it has counted them. */
  readonly metricsSinceMs?: number
  readonly outputs: readonly OutputLedger[]
  /** Tells which notices of allowances are newer; absent: its build tells none. */
  readonly notice?: number
  readonly inputs: readonly InputLedger[]
  /** How far it has come with producers that are gone; absent: nobody asks. */
  readonly received?: readonly ReceivedRow[]
  /** Shares that it was promised and has not taken yet; absent: none. */
  readonly awaited?: readonly number[]
  /** Absent where `checkpoint` is false. */
  readonly checkpoint?: CheckpointReport
  readonly lastError?: ErrorReport
  /** Of one that has failed by itself in a packed runner; repeated until an assignment without it comes. */
  readonly exit?: ExitReport
}

/** Why a process, or an instance, ended by itself. */
export interface ExitReport {
  readonly code: number
  readonly reason: string
  readonly message: string
  /** Of a process: the instance whose fault it was, where that is known. */
  readonly instance?: string
}

export interface Heartbeat {
  readonly schema: 1
  readonly kind: 'runner' | 'gateway' | 'client'
  /** Task id of a runner; own id of a gateway. */
  readonly id: string
  /** Fresh per process. */
  readonly incarnation: string
  /**
   * Generation of the assignment that is in force; 0 before the first. Instances that it lacks have let go. It says nothing
   * of who runs, or of what is still awaited: the reports do.
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
  /** Of a gateway or client: what it sent on its own account. */
  readonly outputs?: readonly OutputLedger[]
  /** Of a gateway: raw records from NATS that were not taken, by reason, since its start. */
  readonly rawDropped?: Readonly<Record<string, number>>
  /** Of the gateway that leads the ingest: its epoch. Who leads at a lower one stops, whatever the store says. */
  readonly ingestEpoch?: number
  /** In the last heartbeat of a process that ends by itself. */
  readonly exit?: ExitReport
  /** Of a report that is too large for one message: which part of how many. Those of one report share `sentAtMs`. */
  readonly part?: { readonly index: number; readonly count: number }
}

/**
 * Exit codes of a runner task, as the scheduler reads them from the task's status. 128 + n: signal n.
 * docs/errors.md lists them; a test keeps the two equal.
 */
export const exitCodes = {
  drained: 0,
  /** A bug of ours. */
  crashed: 1,
  /** Bad configuration or environment. */
  configuration: 2,
  /** A callback threw under the policy `fail`. */
  functionFailed: 10,
  /** `init` threw, or the bundle did not load. */
  initFailed: 11,
  /** The bundle is absent or its sha256 differs. */
  bundle: 12,
  /** The isolate passed its heap limit, or the process its bound. */
  memory: 13,
  /** A callback passed its time limit. */
  deadline: 14,
  /** The watchdog saw no beat. */
  frozen: 15,
  /** A higher epoch claimed its partitions. */
  superseded: 16,
  /** No assignment came. */
  unassigned: 17,
  /** NATS stayed out of reach beyond the bound. */
  disconnected: 18,
  /** A record broke a limit, and is tried again, skipped or put aside, as the policy says: it starts anew at once. */
  recordBroke: 19,
  /** The state could not be restored from its checkpoint. */
  checkpoint: 20,
} as const
export type ExitReason = keyof typeof exitCodes
