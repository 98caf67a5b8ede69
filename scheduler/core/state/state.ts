/**
 * State: all that the scheduler's core knows, as plain data.
 *
 * A *slot* is the place of one instance: a function and an index. A *task* is a runner. A *seat* is a slot's place in a
 * task: one incarnation of the instance. *Shares* are partition numbers: share p stands for partition p of every input
 * that is not broadcast.
 *
 * Invariants, checked by the simulation (simulation.test.ts):
 *  C1. A slot has at most one seat; a task and its seats have their documents in the store before the task is launched,
 *      or is told of them, until they have ended.
 *  C2. The shares of a function's seats never overlap: one changes hands only when its holder has ended, or when who it was
 *      promised to has reported it as taken.
 *  C3. Epochs of a function grow with every launch and with every change of a running instance's partitions.
 *  C4. No offer is held: at the end of each step every offer at hand has been accepted or declined.
 *  C5. A task holds instances of its group only, not more than it has room for, nor more resources than it was given.
 * Design: docs/design/0003-processes-and-store.md, 0009-packing.md
 * @module
 */
import type { ReceivedRows } from '../../../infra/control/index.ts'
import type {
  AllowanceNotice,
  Assignment,
  Heartbeat,
  InstanceReport,
  StreamDescriptor,
} from '../../../infra/control/messages.ts'
import type {
  CommandDocument,
  FollowerDocument,
  FormerAccounts,
  FunctionDocument,
  InstanceStatus,
  LostSlot,
  SeatDocument,
  StatusDocument,
  StreamDocument,
  TaskDocument,
  VersionDocument,
} from '../../../infra/store/index.ts'
import type { Offer, Resources } from '../../engine.ts'
import type { Place } from '../placement/want.ts'
import { Shelves } from './shelves.ts'

export type Phase = InstanceStatus['state']
export type LastExit = NonNullable<InstanceStatus['lastExit']>
export type Accounts = StatusDocument['ended']

/** What gateways have written: one consistent reading of the store. */
export interface Wanted {
  readonly functions: ReadonlyMap<string, WantedFunction>
  readonly streams: ReadonlyMap<string, StreamDocument>
  /** By stream, then by follower. */
  readonly followers: ReadonlyMap<string, ReadonlyMap<string, FollowerDocument>>
  readonly commands: ReadonlyMap<string, CommandDocument>
}

export interface WantedFunction {
  readonly document: FunctionDocument
  readonly versions: ReadonlyMap<number, VersionDocument>
}

export interface SlotRef {
  readonly function: string
  readonly index: number
}

export interface Task {
  readonly document: TaskDocument
  /** Who has a seat in it. */
  seats: readonly SlotRef[]
  /** Since when this leader knows it. */
  readonly sinceMs: number
  /** What its runner holds is known: this leader has launched it, or its assignment has been in force. */
  isKnown: boolean
  /** Instances that have failed in it and that the runner has not been told to forget: they cannot come back before. */
  leaving: readonly string[]
  /** The last heartbeat, and when it came. */
  beat?: Heartbeat
  beatAtMs?: number
  /** By instance: what it may have sent since, or before its first report. */
  notices?: ReadonlyMap<string, AllowanceNotice>
  /** What it was told last; undefined until its first heartbeat under this leader. */
  assigned?: Assignment
  /** Since when it is seen to run. */
  runningSinceMs?: number
  /** When a kill was last asked for. */
  killedAtMs?: number
  /** When the cluster was last asked for it, while it is launching. */
  askedAtMs?: number
  /** Since when the cluster has lost sight of it, without a heartbeat since. */
  unsureSinceMs?: number
  /** Why it is being killed, if that is its own fault and counts as a failure. */
  fault?: string
  /** The instance that the fault lies with, if it is known. */
  culprit?: string
}

export interface Seat {
  document: SeatDocument
  /** Since when it is seen to run. */
  runningSinceMs?: number
}

export interface Slot {
  readonly index: number
  /** With a seat: launching, starting, running or draining. Without: waiting, backingOff or crashLooping. */
  phase: Phase
  sinceMs: number
  /** Failures in a row. */
  restarts: number
  /** The version that the failures belong to. */
  restartsVersion: number
  /** Since when it is one too many, and has handed none of its partitions over. */
  retiringSinceMs?: number
  /** End of the back-off. */
  untilMs?: number
  /** Until then the room that was made for it may still come. */
  roomUntilMs?: number
  seat?: Seat
  lastExit?: LastExit
  why?: string
  /** The killInstance command at work on it: it is to restart, or to go for good. */
  command?: string
  leaving?: true
  /** The version that its runner has said it works with, off trial, by an assignment of this leader. */
  heardVersion?: number
  /** It is launched beside those that it and others like it are to replace (beside.ts). */
  isDouble?: true
  /** The version that it goes on with until others have its shares. */
  keeps?: number
  /** Others take its place: when it has ended, nothing follows it there. */
  isReplaced?: true
  /** A version that has failed here, as long as it is not good. */
  failed?: { readonly version: number; readonly reason: string }
}

/** A seat that has ended, kept for some seconds because its last report may still be under way. */
export interface Closing {
  readonly taskId: string
  readonly index: number
  /** Its epochs, the first and the last: they tell its reports from those of the next one in its slot. */
  readonly firstEpoch: number
  readonly epoch: number
  readonly endedAtMs: number
  report: InstanceReport | undefined
  /** The last that was heard of it between two reports. */
  notice?: AllowanceNotice | undefined
  /** What its receivers have said. */
  received?: ReceivedRows | undefined
}

export interface FunctionState {
  readonly name: string
  /** By index, sorted. */
  slots: Slot[]
  closing: Closing[]
  ended: Accounts
  /** What it was sent by functions that are removed. */
  former?: FormerAccounts | undefined
  /** When receivers were last asked how far they have come with those that have just ended. */
  askedMs?: number
  /** The status last written, as JSON. */
  statusJson: string
  /** What of it the topology was made of, as JSON. */
  described: string
  /** Slots that were lost sight of with their task, until somebody is at work in them. */
  fences: readonly LostSlot[]
  /** The version whose outcome is on its way to the store. */
  settling?: number
  /** What this leader has seen, and done, of its canary. */
  canary?: {
    /** When this leader came upon the step. */
    readonly sinceMs: number
    readonly version: number
    readonly step: number
    readonly looks: number
    readonly settled: boolean
  }
  /** The same of its shadow. */
  shadow?: {
    readonly version: number
    /** The version that it is beside. */
    readonly from: number
    readonly sinceMs: number
    readonly settled: boolean
  }
  /** A version of which there was no room for instances beside those before. */
  crowded?: number
  /** The latest wave of its rolling change that this leader has seen, or asked for. */
  rolling?: {
    readonly version: number
    readonly wave: number
    readonly askedMs: number
    /** See `RollingDocument`. */
    readonly homes?: readonly number[]
  }
  /** Its nodes are being removed. */
  removing: boolean
}

export interface AgentSeen extends Place {
  readonly free: Resources
  readonly seenAtMs: number
}

export interface State {
  readonly namespace: string
  readonly leaderEpoch: number
  readonly wanted: Wanted
  readonly functions: ReadonlyMap<string, Readonly<FunctionState>>
  /** By id. */
  readonly tasks: Shelves<Task>
  /** By group: its runners, the oldest first. */
  readonly groups: ReadonlyMap<string, readonly string[]>
  /** Highest epoch given, by function; outlives the function. */
  readonly epochs: ReadonlyMap<string, number>
  readonly topology: ReadonlyMap<string, StreamDescriptor>
  readonly offers: ReadonlyMap<string, Offer>
  /** By id: the agents that made offers lately, and what they had left. */
  readonly agents: ReadonlyMap<string, AgentSeen>
  /** The wanted indexes, by function, as of the last plan. */
  readonly active: ReadonlyMap<string, readonly number[]>
  /** What all tasks may take together. */
  readonly quota: Partial<Resources>
  readonly engineUp: boolean
  /** When the last connection to the cluster was made. */
  readonly engineSinceMs: number
  readonly busUp: boolean
  /** What the cluster was told last: unknown after each connection. */
  readonly offersWanted: boolean | undefined
  readonly revivedAtMs: number
  /** By function: its instances for which offers were asked, each with its version. */
  readonly revivedFor: ReadonlyMap<string, readonly string[]>
  /** By `stream/follower`: its `renewedAtMs`, and when that value was first seen by our own clock. */
  readonly followersSeen: ReadonlyMap<string, { readonly renewedAtMs: number; readonly seenAtMs: number }>
  /** By gateway: when it was heard last, for a while. */
  readonly gatewaysHeard: ReadonlyMap<string, number>
  /** Everything is being ended, for good. */
  readonly emptying: boolean
  /** Commands whose removal is under way. */
  readonly finished: ReadonlySet<string>
  /** By function: when it is to be looked at, whatever happens. */
  readonly agenda: ReadonlyMap<string, number>
  /** When everything is. */
  readonly commonAtMs: number
  /** When `tick` is needed at the latest: the earliest of these. */
  readonly wakeAtMs: number
  /** The functions that the last step has changed: the next plan looks at them again, until nothing changes any more. */
  readonly unsettled: ReadonlySet<string>
  /** Of the generator of task ids and jitter. */
  readonly seed: number
}

export const nothingWanted: Wanted = {
  functions: new Map(),
  streams: new Map(),
  followers: new Map(),
  commands: new Map(),
}

export const noAccounts: Accounts = { recordsIn: 0, recordsOut: 0, errors: 0, outputs: [] }

export interface StartOptions {
  readonly namespace: string
  readonly leaderEpoch: number
  readonly seed: number
  readonly quota?: Partial<Resources>
}

/** The state of a scheduler that knows nothing yet. */
export function initialState(options: StartOptions): State {
  return {
    quota: {},
    ...options,
    wanted: nothingWanted,
    functions: new Map(),
    tasks: new Shelves(),
    groups: new Map(),
    epochs: new Map(),
    topology: new Map(),
    offers: new Map(),
    agents: new Map(),
    active: new Map(),
    engineUp: false,
    engineSinceMs: Number.NEGATIVE_INFINITY,
    busUp: true,
    emptying: false,
    offersWanted: undefined,
    revivedAtMs: 0,
    revivedFor: new Map(),
    followersSeen: new Map(),
    gatewaysHeard: new Map(),
    finished: new Set(),
    agenda: new Map(),
    commonAtMs: Number.POSITIVE_INFINITY,
    wakeAtMs: Number.POSITIVE_INFINITY,
    unsettled: new Set(),
  }
}

/** `FUNCTION-INDEX`, the id of an instance. */
export function instanceId(functionName: string, index: number): string {
  return `${functionName}-${index}`
}

/** All tasks thought alive. */
export function liveTasks(state: State): TaskDocument[] {
  return [...state.tasks.values()].map((task) => task.document)
}
