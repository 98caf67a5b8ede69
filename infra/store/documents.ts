/**
 * Documents: the shapes and paths of all documents in the store. Each has one writer, named in its comment.
 * @module
 */
import type { AssetRefs } from '../../sdk/manifest/assets.ts'
import type { Manifest } from '../../sdk/manifest/manifest.ts'
import type { LearnedShape, LoadSample } from '../../sdk/scaling/index.ts'
import type { ShadowResult } from '../../sdk/versions/shadow.ts'
import type { OutputLedger } from '../control/messages/accounts.ts'
import type { Awaited, SlotFence } from '../control/messages/assignment.ts'

/** Version of this layout. A build that finds a higher one refuses to start. */
export const storeSchema = 1

export const paths = {
  schema: '/schema',
  namespaces: '/ns',
  streams: (ns: string) => `/ns/${ns}/streams`,
  stream: (ns: string, stream: string) => `/ns/${ns}/streams/${stream}`,
  /** Holding followers; under each stream, so that a watch sees them. */
  followers: (ns: string, stream: string) => `/ns/${ns}/streams/${stream}/followers`,
  follower: (ns: string, stream: string, id: string) => `/ns/${ns}/streams/${stream}/followers/${id}`,
  /** Gateways, including ended ones, and the streams that each has sent to. */
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
  /**
   * Everything below, and the statuses, scalings and outcomes, are written by the leading scheduler, which takes them
   * over completely before it seals its epoch.
   */
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

/**
 * Written by gateways and renewed every 3 s. The scheduler removes one that was not renewed for 11 s, or for 5 s if
 * its gateway is silent too.
 */
export interface FollowerDocument {
  readonly schema: 1
  readonly gateway: string
  readonly renewedAtMs: number
  /** The id of the follower that it continues for, whose gateway has ended. */
  readonly instead?: string
  /** The ids of followers that continue for it and are not known to all producers yet. */
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
  /** The count was set by a person: no policy changes it. */
  readonly pinned?: true
  /** The latest changes of `instances` by people, oldest first. */
  readonly scaled?: readonly ScaleChange[]
  /** Set by delete: the scheduler drains the instances and then removes the function's documents. */
  readonly deleted?: true
  /** The wanted version comes by draining instances and launching others, not by a swap. */
  readonly drain?: true
  /** The wanted version comes at once, whatever its manifest says about its rollout: it is a rollback. */
  readonly atOnce?: true
  /** Written by the scheduler: the step of the wanted version as a canary. */
  readonly canary?: CanaryDocument
  /**
   * Written by the scheduler: since when the wanted version is a shadow. Written by a gateway: that it was promoted.
   */
  readonly shadow?: ShadowDocument
  /** Written by the scheduler: the instances that should have the wanted version, in a rolling deploy. */
  readonly rolling?: RollingDocument
  /**
   * Shares that a person has moved: by share, the index of the instance that is its home while that is wanted
   * (docs/design/0036-moved-by-hand.md).
   */
  readonly homes?: Readonly<Record<string, number>>
  /** Written by the scheduler: the good version. A rollout is under way while another is wanted. */
  readonly good?: number
  /**
   * Written by the scheduler: the formats of state that good versions had before, oldest first, without the good version's
   * (docs/design/0032-migrate.md). Absent: none.
   */
  readonly formatsBefore?: readonly number[]
  /** Written by the scheduler: ids of the latest commands that lowered `instances`, so that none does so twice. */
  readonly applied?: readonly string[]
}

/** Part of the function's document, so that a new leader continues it (docs/design/0026-rollouts.md). */
export interface CanaryDocument {
  readonly version: number
  /** The step, from 0. */
  readonly step: number
  readonly sinceMs: number
  /** The findings of each earlier step, a line each. */
  readonly passed: readonly string[]
  /** No record of its keys came in any of those steps. */
  readonly untried?: true
  /** Percent of the keys at those of the steps in which no record of them came. */
  readonly quietAt?: readonly number[]
  /** It has passed all steps and takes over. */
  readonly promoted?: true
}

/** Part of the function's document (docs/design/0030-shadow.md). */
export interface ShadowDocument {
  readonly version: number
  readonly sinceMs: number
  /** It was promoted and becomes the version in force. */
  readonly promoted?: true
}

/** Part of the function's document, so that a new leader continues it (docs/design/0033-rolling.md). */
export interface RollingDocument {
  readonly version: number
  /** The wave, from 1. */
  readonly wave: number
  /** The instances that should have the version, including those of earlier waves. */
  readonly indexes: readonly number[]
  /** When the wave began. */
  readonly sinceMs: number
  /**
   * By share: the instance where it stays until the deploy is complete, if the version has another format of state.
   */
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
  /** The manifest's own sizes, if others were set by hand; absent: none were. */
  readonly manifestResources?: Pick<Manifest['resources'], 'cpus' | 'memMib' | 'diskMib'> | undefined
  /** Assets, in the bundle store. Absent: none. */
  readonly assets?: AssetRefs
  /** It exports `migrate`. */
  readonly migrates?: true
  /** The version whose format its state has; its own number if it migrates. Absent: 1. */
  readonly stateFormat?: number
  readonly deployedAtMs: number
  /** Who deployed it, by their own statement, and why. */
  readonly author?: string
  readonly message?: string
}

/**
 * The outcome of a version when it was last wanted. Written by the scheduler; `withdrawn` and `rolledBack` by
 * gateways.
 */
export interface OutcomeDocument {
  readonly schema: 1
  readonly version: number
  /**
   * `withdrawn`: another version was wanted while this one was a canary or was being rolled out. `rolledBack`: a
   * person rolled back from it. `shadowed`: it ran as a shadow, and its outputs were discarded.
   */
  readonly state: 'live' | 'failed' | 'withdrawn' | 'rolledBack' | 'shadowed'
  readonly atMs: number
  /** The version that was good before. */
  readonly from?: number
  /** Why it failed or was left; or its findings as a canary or shadow. */
  readonly reason?: string
  /** It is `live`, and no record came during its trial or to it as a canary. */
  readonly untried?: true
  /** The steps as a canary (percent of the keys) to which no record came, where others had some. */
  readonly quietAt?: readonly number[]
  /** Who rolled back from it. */
  readonly by?: string
  /** The findings as a shadow; kept when the version is promoted. */
  readonly shadow?: ShadowResult
  /** It had failed before its present `state` (outcomes.ts, OU1). */
  readonly failed?: VersionFailure
}

export interface VersionFailure {
  readonly atMs: number
  readonly reason?: string
}

/**
 * Written by the scheduler: the reasons for the number of instances of a function with a policy
 * (docs/design/0025-autoscaling.md).
 */
export interface ScalingDocument {
  readonly schema: 1
  /** When the function was created: tells it from an earlier function of that name. */
  readonly createdAtMs: number
  /** The latest changes, oldest first. */
  readonly changes: readonly ScaleChange[]
  /** The last look; written at intervals of some seconds. */
  readonly latest?: ScaleLook
  /** The learned shape of the load over the day and the week. */
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
    /** It runs, and another version is about to take over, or is on trial. */
    | 'swapping'
    | 'draining'
    | 'backingOff'
    | 'crashLooping'
  /** It is being removed: draining, or ended already. */
  readonly retiring?: true
  /** It is removed by a command: the wanted count is lowered after its end. */
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
  /** Its shares: partitions of each input that is not broadcast. */
  readonly shares?: readonly number[]
  /** Why it is not running, in one sentence. */
  readonly why?: string
  /** Why it is on its agent, in one sentence. */
  readonly placed?: string
}

/** Written by the scheduler: the state of a function. Stored in pages: status-pages.ts. */
export interface StatusDocument {
  readonly schema: 1
  readonly function: string
  readonly version: number
  readonly instances: readonly InstanceStatus[]
  /** The sum of the accounts of ended instances, so that the ledger outlives them. */
  readonly ended: {
    readonly recordsIn: number
    readonly recordsOut: number
    readonly errors: number
    readonly outputs: readonly OutputLedger[]
  }
  /** What removed functions had sent to it; absent: nothing. */
  readonly former?: FormerAccounts
  /** Lost instances that may still live and that no other has replaced yet; absent: none. */
  readonly fences?: readonly LostSlot[]
}

export interface FormerAccounts {
  /** The rows, one for each stream. */
  readonly rows: readonly OutputLedger[]
  /**
   * The functions whose rows are included, and must not be counted again if their own status still exists: by name,
   * when each was created.
   */
  readonly of: Readonly<Record<string, number>>
}

/** Used instead of a gateway's id for the sums of folded gateways. */
export const foldedSender = '_before'

/**
 * Written by each gateway about itself, and by the leading one about those that are gone
 * (docs/design/0003-processes-and-store.md).
 */
export interface SenderDocument {
  readonly schema: 1
  /** `over`: its rows are final. `folded`: its rows are being added to those of `foldedSender`. */
  readonly state: 'open' | 'over' | 'folded'
  /** Since when. */
  readonly atMs: number
}

/** Written by the same: what the gateway has sent by one stream to functions. */
export interface SentDocument {
  readonly schema: 1
  readonly rows: readonly SentRow[]
  /** For `foldedSender`: gateways whose rows are included and whose document may still exist. */
  readonly folded?: readonly string[]
}

/** `createdAtMs` is the function's: the row does not count for a later function of that name. */
export type SentRow = OutputLedger & { readonly createdAtMs: number }

export interface LostSlot extends SlotFence {
  /**
   * The shares that it had, and those promised to it, which it may have taken. Absent if an older scheduler wrote
   * this: it may be any.
   */
  readonly shares?: readonly number[]
}

export interface TaskResources {
  readonly cpus: number
  readonly memMib: number
  readonly diskMib: number
  readonly ports?: number | undefined
}

/**
 * Written by the scheduler before ACCEPT and never changed: a task that was launched or is about to be. Ids are never
 * reused.
 */
export interface TaskDocument {
  /** In schema 1 a task contained its only seat. */
  readonly schema: 2
  readonly taskId: string
  readonly namespace: string
  /** The instance for which it was launched; for a packed task, the function or pack. */
  readonly name: string
  /**
   * The group whose instances may share it: `fn/NAME` or `pack/NAME`. Absent: it holds one instance and is stopped as
   * a whole.
   */
  readonly group?: string
  /** How many instances it has room for. */
  readonly room: number
  /** The number of failures in a row of the instances that it accepts. */
  readonly failures: number
  readonly agentId: string
  readonly hostname: string
  /** The agent's attributes at the launch. */
  readonly attributes?: Readonly<Record<string, string>>
  /** Why this agent was chosen, in one sentence. */
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
  /** The epoch at which it was seated. */
  readonly firstEpoch: number
  readonly epoch: number
  /** Its part of the task's resources. */
  readonly resources: TaskResources
  /**
   * Partition numbers, for each input that is not broadcast, that the instance may own. Written before an assignment
   * that adds some, and after another instance has taken some over: so the shares of a function's instances never
   * overlap.
   */
  readonly shares: readonly number[]
  /**
   * The part of `shares` in its latest assignment, which came with `epoch`; the others wait for another instance to
   * ask for them.
   */
  readonly told: readonly number[]
  /** Shares promised to it, for which it has to ask; absent: none. */
  readonly awaited?: readonly Awaited[]
}

/** Written by the scheduler: the highest epoch given to any instance of a function. */
export interface EpochDocument {
  readonly schema: 1
  readonly epoch: number
}

/** Written by the scheduler before its first task: the id under which the cluster engine knows it. */
export interface FrameworkDocument {
  readonly schema: 1
  readonly id: string
  /** The only namespace whose functions run from this store. Absent if an older scheduler wrote this. */
  readonly namespace?: string
}
