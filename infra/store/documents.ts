/**
 * Documents: the shapes and paths of everything in the store. Who writes what is said at each; nobody else does.
 * @module
 */
import type { AssetRefs } from '../../sdk/manifest/assets.ts'
import type { Manifest } from '../../sdk/manifest/manifest.ts'
import type { LearnedShape, LoadSample } from '../../sdk/scaling/index.ts'
import type { ShadowResult } from '../../sdk/versions/shadow.ts'
import type { Awaited, OutputLedger, SlotFence } from '../control/messages.ts'

/** Version of this layout. A build that finds a higher one refuses to start. */
export const storeSchema = 1

export const paths = {
  schema: '/schema',
  namespaces: '/ns',
  streams: (ns: string) => `/ns/${ns}/streams`,
  stream: (ns: string, stream: string) => `/ns/${ns}/streams/${stream}`,
  /** Readers over HTTP that hold a stream back; under each stream so that a watch sees them. */
  followers: (ns: string, stream: string) => `/ns/${ns}/streams/${stream}/followers`,
  follower: (ns: string, stream: string, id: string) => `/ns/${ns}/streams/${stream}/followers/${id}`,
  /** Gateways, those that are gone among them, and the streams that each has sent to. */
  senders: (ns: string) => `/ns/${ns}/sent`,
  sender: (ns: string, id: string) => `/ns/${ns}/sent/${id}`,
  sent: (ns: string, id: string, stream: string) => `/ns/${ns}/sent/${id}/${stream}`,
  functions: (ns: string) => `/ns/${ns}/functions`,
  function: (ns: string, fn: string) => `/ns/${ns}/functions/${fn}`,
  versions: (ns: string, fn: string) => `/ns/${ns}/functions/${fn}/versions`,
  version: (ns: string, fn: string, version: number) => `/ns/${ns}/functions/${fn}/versions/${version}`,
  allOutcomes: (ns: string) => `/ns/${ns}/outcomes`,
  outcomes: (ns: string, fn: string) => `/ns/${ns}/outcomes/${fn}`,
  outcome: (ns: string, fn: string, version: number) => `/ns/${ns}/outcomes/${fn}/${version}`,
  scalings: (ns: string) => `/ns/${ns}/scaling`,
  scaling: (ns: string, fn: string) => `/ns/${ns}/scaling/${fn}`,
  commands: (ns: string) => `/ns/${ns}/commands`,
  command: (ns: string, id: string) => `/ns/${ns}/commands/${id}`,
  statuses: (ns: string) => `/ns/${ns}/status`,
  status: (ns: string, fn: string) => `/ns/${ns}/status/${fn}`,
  statusPages: (ns: string, fn: string) => `/ns/${ns}/status/${fn}/pages`,
  statusPage: (ns: string, fn: string, page: number) => `/ns/${ns}/status/${fn}/pages/${page}`,
  /** All under it, the statuses and the scalings are written by the leading scheduler, who takes them over whole before it seals its epoch, and the outcomes too. */
  scheduler: '/scheduler',
  framework: '/scheduler/framework',
  tasks: '/scheduler/tasks',
  task: (taskId: string) => `/scheduler/tasks/${taskId}`,
  seats: '/scheduler/seats',
  seat: (ns: string, instance: string) => `/scheduler/seats/${ns}.${instance}`,
  epochs: '/scheduler/epochs',
  /** Kept when the function is deleted: a later one of that name must not start below. */
  epoch: (ns: string, fn: string) => `/scheduler/epochs/${ns}.${fn}`,
} as const

/** Written by gateways. */
export interface StreamDocument {
  readonly schema: 1
  readonly partitions: number
  /** Republished one record a message on `concord.NS.out.STREAM`. */
  readonly raw: boolean
}

/** Written by gateways, renewed at `renewedAtMs` every 3 s; the scheduler removes one that is not renewed for 11 s, or 5 where its gateway is silent too. */
export interface FollowerDocument {
  readonly schema: 1
  readonly gateway: string
  readonly renewedAtMs: number
  /** The id of the one that it goes on for, whose gateway has ended. */
  readonly instead?: string
  /** The ids of those that go on for it, and are not known to everybody yet. */
  readonly keptBy?: readonly string[]
}

/** Written by gateways: what is wanted of a function. */
export interface FunctionDocument {
  readonly schema: 1
  /** The wanted version. */
  readonly version: number
  /** Wanted instances. */
  readonly instances: number
  readonly createdAtMs: number
  /** A person has said how many: no policy changes it. */
  readonly pinned?: true
  /** The latest changes of `instances` by people, oldest first. */
  readonly scaled?: readonly ScaleChange[]
  /** Set by delete: the scheduler stops the instances and then removes the function's nodes. */
  readonly deleted?: true
  /** The wanted version is to come by ending instances in order and launching others, not in place. */
  readonly drain?: true
  /** The wanted version is to come at once, whatever its manifest says of its rollout: it is gone back to. */
  readonly atOnce?: true
  /** Written by the scheduler: how far the wanted version has come as a canary. */
  readonly canary?: CanaryDocument
  /** Written by the scheduler: since when the wanted version is a shadow; by a gateway: that it is one no more. */
  readonly shadow?: ShadowDocument
  /** Written by the scheduler: which instances are to have the wanted version, where it comes to some after others. */
  readonly rolling?: RollingDocument
  /** Where a person has said that shares belong, while that instance is wanted: by share, its index (docs/design/0036-moved-by-hand.md). */
  readonly homes?: Readonly<Record<string, number>>
  /** Written by the scheduler: the version that was last seen to work. A rollout is under way while it is not the wanted one. */
  readonly good?: number
  /** Written by the scheduler: ids of the latest commands that have lowered `instances`, so that none does it twice. */
  readonly applied?: readonly string[]
}

/** Part of the function's document, so that whoever leads next goes on with it (docs/design/0026-rollouts.md). */
export interface CanaryDocument {
  readonly version: number
  /** Which of its steps it is at, from 0. */
  readonly step: number
  readonly sinceMs: number
  /** What was found at each step before, in a line. */
  readonly passed: readonly string[]
  /** It has passed them all, and takes over. */
  readonly promoted?: true
}

/** Part of the function's document (docs/design/0030-shadow.md). */
export interface ShadowDocument {
  readonly version: number
  readonly sinceMs: number
  /** It is to come into force. */
  readonly promoted?: true
}

/** Part of the function's document, so that whoever leads next goes on with it (docs/design/0033-rolling.md). */
export interface RollingDocument {
  readonly version: number
  /** Which wave it is, from 1. */
  readonly wave: number
  /** Of the instances that are to have it, those of the waves before among them. */
  readonly indexes: readonly number[]
  /** When the wave began. */
  readonly sinceMs: number
  /** By share, the instance that it stays with until all is over; of a version that keeps its state in another format. */
  readonly homes?: readonly number[]
}

/** Written by gateways, once. */
export interface VersionDocument {
  readonly schema: 1
  readonly version: number
  readonly bundleSha256: string
  readonly bundleBytes: number
  /** Hex sha256 of the source map in the bundle store, if one was uploaded. */
  readonly sourceMapSha256?: string
  readonly manifest: Manifest
  /** What its author's manifest says, where somebody has set other sizes by hand while it ran; absent: nobody has. */
  readonly manifestResources?: Pick<Manifest['resources'], 'cpus' | 'memMib' | 'diskMib'> | undefined
  /** Files beside the bundle, in the bundle store. Absent: none. */
  readonly assets?: AssetRefs
  /** It exports `migrate`. */
  readonly migrates?: true
  /** The version whose format its state has: its own, if it migrates. Absent: 1. */
  readonly stateFormat?: number
  readonly deployedAtMs: number
  /** Who has deployed it, as he says himself, and why. */
  readonly author?: string
  readonly message?: string
}

/** Written by the scheduler, `withdrawn` and `rolledBack` by gateways: what became of a version when it was last wanted. */
export interface OutcomeDocument {
  readonly schema: 1
  readonly version: number
  /**
   * `withdrawn`: another version was wanted while this one was a canary, or rolled. `rolledBack`: somebody went back from it.
   * `shadowed`: it was beside another one, and answered nobody.
   */
  readonly state: 'live' | 'failed' | 'withdrawn' | 'rolledBack' | 'shadowed'
  readonly atMs: number
  /** The version that worked before. */
  readonly from?: number
  /** Why it has failed, or was left; or what it has shown as a canary, or a shadow. */
  readonly reason?: string
  /** It is `live`, and nothing came while it was on trial. */
  readonly untried?: true
  /** Who went back from it. */
  readonly by?: string
  /** What was found while it was a shadow; it stays when the version comes into force. */
  readonly shadow?: ShadowResult
  /** It had failed before it came to what `state` says (outcomes.ts, OU1). */
  readonly failed?: VersionFailure
}

export interface VersionFailure {
  readonly atMs: number
  readonly reason?: string
}

/** Written by the scheduler: why a function with a policy has as many instances as it has (docs/design/0025-autoscaling.md). */
export interface ScalingDocument {
  readonly schema: 1
  /** Of the function: one that was removed and deployed anew is not its old self. */
  readonly createdAtMs: number
  /** The latest changes, oldest first. */
  readonly changes: readonly ScaleChange[]
  /** What was seen last, written every some seconds at most. */
  readonly latest?: ScaleLook
  /** What the load is known to do over the day and the week. */
  readonly shape?: LearnedShape
}

export interface ScaleChange {
  readonly atMs: number
  readonly from: number
  readonly to: number
  readonly because: string
}

export interface ScaleLook {
  readonly atMs: number
  readonly instances: number
  readonly because: string
  readonly load: LoadSample
}

/** Written by gateways, removed by the scheduler when done. */
export type CommandDocument = {
  readonly schema: 1
  readonly kind: 'killInstance'
  readonly function: string
  readonly instance: string
  readonly restart: boolean
}

export interface InstanceStatus {
  readonly id: string
  readonly index: number
  readonly epoch: number
  readonly version: number
  readonly state:
    | 'waiting'
    | 'launching'
    | 'starting'
    | 'running'
    /** It runs; another version is about to take over in it, or has and is on trial. */
    | 'swapping'
    | 'draining'
    | 'backingOff'
    | 'crashLooping'
  /** It goes for good: it is draining, or gone already. */
  readonly retiring?: true
  /** By a command of its own: the wanted count is lowered when it has gone. */
  readonly leaving?: true
  readonly taskId?: string
  readonly agent?: string
  readonly hostname?: string
  readonly generation: number
  /** Generation that the runner has reported as in force. */
  readonly generationSeen: number
  readonly restarts: number
  readonly since: number
  readonly lastExit?: {
    readonly code: number | undefined
    readonly reason: string
    readonly message: string
    readonly atMs: number
  }
  /** Which shares it has: partitions of each input that is not broadcast. */
  readonly shares?: readonly number[]
  /** Why it is not running, in one sentence. */
  readonly why?: string
  /** Why it is where it is, in one sentence. */
  readonly placed?: string
}

/** Written by the scheduler: what is. In the store it is cut in pages: status-pages.ts. */
export interface StatusDocument {
  readonly schema: 1
  readonly function: string
  readonly version: number
  readonly instances: readonly InstanceStatus[]
  /** Accounts of instances that have ended, added up, so that the ledger outlives them. */
  readonly ended: {
    readonly recordsIn: number
    readonly recordsOut: number
    readonly errors: number
    readonly outputs: readonly OutputLedger[]
  }
  /** What it was sent by functions that are removed; absent: nothing. */
  readonly former?: FormerAccounts
  /** Slots without an instance whose last one was lost sight of and may live; absent: none. */
  readonly fences?: readonly LostSlot[]
}

export interface FormerAccounts {
  /** By stream, added up. */
  readonly rows: readonly OutputLedger[]
  /** Whose rows are among them and may still be in their own status, where they count no more: by name, when it was made. */
  readonly of: Readonly<Record<string, number>>
}

/** In the place of a gateway's id: what those have sent that are folded. */
export const foldedSender = '_before'

/** Written by a gateway of itself, and by the one that leads of those that are gone (docs/design/0003-processes-and-store.md). */
export interface SenderDocument {
  readonly schema: 1
  /** `over`: it says nothing more. `folded`: its rows are being added to those of `foldedSender`. */
  readonly state: 'open' | 'over' | 'folded'
  /** Since when. */
  readonly atMs: number
}

/** Written by the same: what it has sent to functions by one stream. */
export interface SentDocument {
  readonly schema: 1
  readonly rows: readonly SentRow[]
  /** Of `foldedSender`: whose rows are among them, and whose document may still be there. */
  readonly folded?: readonly string[]
}

/** Its function was made at `createdAtMs`: of one that is made anew it says nothing. */
export type SentRow = OutputLedger & { readonly createdAtMs: number }

export interface LostSlot extends SlotFence {
  /** What it had, and what it was promised and may have taken. Absent in what an older scheduler wrote: it may be any. */
  readonly shares?: readonly number[]
}

export interface TaskResources {
  readonly cpus: number
  readonly memMib: number
  readonly diskMib: number
  readonly ports?: number | undefined
}

/** Written by the scheduler before ACCEPT, never changed: a task that it knows of, launched or about to be. Ids are never reused. */
export interface TaskDocument {
  /** 1 was a task that held its one instance's seat itself. */
  readonly schema: 2
  readonly taskId: string
  readonly namespace: string
  /** The instance for which it was launched; of a packed one, the function or pack. */
  readonly name: string
  /** Whose instances may share it: `fn/NAME` or `pack/NAME`. Absent: it holds one instance, and is stopped as a whole. */
  readonly group?: string
  /** How many instances it has room for. */
  readonly room: number
  /** How often those have failed in a row that it takes. */
  readonly failures: number
  readonly agentId: string
  readonly hostname: string
  /** Of the agent, as they were. */
  readonly attributes?: Readonly<Record<string, string>>
  /** What spoke for that agent, in one sentence. */
  readonly placed?: string
  readonly resources: TaskResources
  readonly launchedAtMs: number
}

/** Written by the scheduler before the runner is told: the place of one instance in a task. Removed when it has ended. */
export interface SeatDocument {
  readonly schema: 1
  readonly taskId: string
  readonly namespace: string
  readonly instance: string
  readonly function: string
  readonly index: number
  readonly version: number
  /** At which it was seated. */
  readonly firstEpoch: number
  readonly epoch: number
  /** Its part of the task's. */
  readonly resources: TaskResources
  /**
   * Partition numbers, of each input that is not broadcast, that the instance may own. Written before an assignment that
   * gives it more and after another one has taken some over, so those of a function's instances never overlap.
   */
  readonly shares: readonly number[]
  /** Of these, those of its latest assignment, which came with `epoch`; the others await another instance's ask. */
  readonly told: readonly number[]
  /** Shares promised to it, that it has to ask for; absent: none. */
  readonly awaited?: readonly Awaited[]
}

/** Written by the scheduler: the highest epoch given to any instance of a function. */
export interface EpochDocument {
  readonly schema: 1
  readonly epoch: number
}

/** Written by the scheduler: the id under which the cluster engine knows it. */
export interface FrameworkDocument {
  readonly schema: 1
  readonly id: string
}
