/**
 * State: everything that the scheduler's core knows, as plain data.
 *
 * A *slot* is the place of one instance: a function and an index. A *task* is a runner. A *seat* is a slot's place in
 * a task: one incarnation of the instance. *Shares* are partition numbers: share p stands for partition p of every
 * input that is not broadcast.
 *
 * Invariants, checked by the simulation (simulation.test.ts):
 *   CC1. A slot has at most one seat. The documents of a task and its seats are in the store before the task is
 *        launched, or is told of them, and until they have ended.
 *   CC2. The shares of a function's seats never overlap. A share changes hands only when its holder has ended, or when
 *        the taker that it was promised to has reported it as taken.
 *   CC3. Epochs of a function grow with every launch and with every change of a running instance's partitions.
 *   CC4. No offer is held: at the end of each step every offer at hand has been accepted or declined.
 *   CC5. A task holds only instances of its group, no more than it has room for, and no more resources than it was
 *        given.
 * Design: docs/design/0003-processes-and-store.md, 0009-packing.md
 * @module
 */
import type { ReceivedRows } from '../../../infra/control/index.ts'
import type { AllowanceNotice } from '../../../infra/control/messages/accounts.ts'
import type { Assignment } from '../../../infra/control/messages/assignment.ts'
import type { Heartbeat, InstanceReport } from '../../../infra/control/messages/heartbeat.ts'
import type { StreamDescriptor } from '../../../infra/control/messages/streams.ts'
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
import { ImmutableMap } from './immutable-map.ts'

export type Phase = InstanceStatus['state']
export type LastExit = NonNullable<InstanceStatus['lastExit']>
export type Accounts = StatusDocument['ended']

/** What gateways have written, as one consistent reading of the store. */
export interface Wanted {
  readonly functions: ReadonlyMap<string, WantedFunction>
  readonly streams: ReadonlyMap<string, StreamDocument>
  /** By stream, then by follower id. */
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
  /** The slots that have a seat in it. */
  seats: readonly SlotRef[]
  /** Since when this leader knows it. */
  readonly sinceMs: number
  /**
   * Whether the contents of its runner are known: this leader launched it, or an assignment of this leader was in
   * force.
   */
  isKnown: boolean
  /** Instances that failed in it, until the runner has been told to forget them: they cannot return before. */
  leaving: readonly string[]
  /** The last heartbeat, and when it came. */
  beat?: Heartbeat
  beatAtMs?: number
  /** By instance: the newest allowance notice. */
  notices?: ReadonlyMap<string, AllowanceNotice>
  /** The last assignment sent; undefined until its first heartbeat under this leader. */
  assigned?: Assignment
  /** Since when it is seen to run. */
  runningSinceMs?: number
  /** When a kill was last asked for. */
  killedAtMs?: number
  /** When the cluster was last asked about it, while it is launching. */
  askedAtMs?: number
  /** Since when the cluster has lost sight of it; cleared by a heartbeat. */
  unsureSinceMs?: number
  /** Why it is being killed, if that counts as its failure. */
  fault?: string
  /** The instance at fault, if known. */
  culprit?: string
}

export interface Seat {
  document: SeatDocument
  /** When this leader made it; absent: an earlier one did, or NATS was away since (starts.ts). */
  placedAtMs?: number
  /** Since when it is seen to run. */
  runningSinceMs?: number
}

/** What the last plan wants of a slot (roles.ts). */
export type Role =
  /** It has shares, or should get some. */
  | { readonly kind: 'active' }
  /** So too, and it keeps its version until others have its shares (beside.ts). */
  | { readonly kind: 'held'; readonly version: number }
  /** It starts beside those whose shares it is to get. */
  | { readonly kind: 'replacement' }
  /** Others get its shares. Until then it keeps its version; after its end the slot is removed. */
  | { readonly kind: 'replaced'; readonly version: number }
  | { readonly kind: 'surplus' }

export interface Slot {
  readonly index: number
  /** With a seat: launching, starting, running or draining. Without: waiting, backingOff or crashLooping. */
  phase: Phase
  sinceMs: number
  /** Failures in a row. */
  restarts: number
  /** The version that the failures belong to. */
  restartsVersion: number
  /** Launches in a row of which no heartbeat came. */
  failedLaunches?: number
  /** Since when it is superfluous and has handed over none of its partitions. */
  retiringSinceMs?: number
  /** The end of the back-off. */
  untilMs?: number
  /** The room that is being made for it: where, and until when it waits for it. */
  room?: { readonly agentId: string; readonly untilMs: number }
  seat?: Seat
  lastExit?: LastExit
  why?: string
  /** The killInstance command being carried out on it: the slot is removed, or its instance restarts. */
  command?: { readonly id: string; readonly kind: 'remove' | 'restart' }
  /** The version that its runner reported as working, off trial, under an assignment of this leader. */
  reportedVersion?: number
  /** Absent: no plan has looked at it yet. */
  role?: Role
  /** The version that failed here, until it is good after all. */
  failed?: { readonly version: number; readonly reason: string }
}

/** A seat that has ended. Kept for some seconds, because its last report may still arrive. */
export interface Closing {
  readonly taskId: string
  readonly index: number
  /** Its first and last epoch. They tell its reports from those of the next incarnation in the slot. */
  readonly firstEpoch: number
  readonly epoch: number
  readonly endedAtMs: number
  report: InstanceReport | undefined
  /** Its last allowance notice, if newer than the report. */
  notice?: AllowanceNotice | undefined
  /** What its receivers have answered (gone.ts). */
  received?: ReceivedRows | undefined
}

export interface FunctionState {
  readonly name: string
  /** By index, sorted. */
  slots: Slot[]
  closing: Closing[]
  ended: Accounts
  /** How long the latest start of an instance took (starts.ts). */
  startMs?: number
  /** What removed functions had sent to it (former.ts). */
  former?: FormerAccounts | undefined
  /** When receivers were last asked about its killed instances. */
  askedMs?: number
  /** The status last written, as JSON. */
  statusJson: string
  /** Its contribution to the topology, as JSON. */
  described: string
  /** Instances that were lost with their agent and may still live, until a new one works in the slot. */
  fences: readonly LostSlot[]
  /** The version whose outcome is being written to the store. */
  settling?: number
  /** What this leader has seen and done about its canary. */
  canary?: {
    /** When this leader first saw the step. */
    readonly sinceMs: number
    readonly version: number
    readonly step: number
    readonly looks: number
    readonly settled: boolean
  }
  /** What this leader has seen and done about its shadow. */
  shadow?: {
    readonly version: number
    /** The version beside which it runs. */
    readonly from: number
    readonly sinceMs: number
    readonly settled: boolean
  }
  /** The version whose instances found no room beside the old ones (beside.ts, BE4). */
  crowded?: number
  /** The latest wave of its rolling deploy that this leader has seen or requested. */
  rolling?: {
    readonly version: number
    readonly wave: number
    readonly askedMs: number
    /** See `RollingDocument`. */
    readonly homes?: readonly number[]
  }
  /** Its documents are being removed. */
  removing: boolean
}

/** An agent, as far as placement needs to know it. */
export interface Place {
  readonly agentId: string
  readonly hostname: string
  readonly attributes: Readonly<Record<string, string>>
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
  readonly tasks: ImmutableMap<Task>
  /** By group: its runners, the oldest first. */
  readonly groups: ReadonlyMap<string, readonly string[]>
  /** Highest epoch given, by function; outlives the function. */
  readonly epochs: ReadonlyMap<string, number>
  readonly topology: ReadonlyMap<string, StreamDescriptor>
  readonly offers: ReadonlyMap<string, Offer>
  /** By id: the agents that made offers lately, with what they had left. */
  readonly agents: ReadonlyMap<string, AgentSeen>
  /** By agent id: when the latest launch there failed (failed-agents.ts). */
  readonly failedAgents: ReadonlyMap<string, number>
  /** The most that all tasks may use together. */
  readonly quota: Partial<Resources>
  readonly engineUp: boolean
  /** When the last connection to the cluster was made. */
  readonly engineSinceMs: number
  readonly busUp: boolean
  /** When the bus last came back. */
  readonly busSinceMs: number
  /** The agents that the master knows, as far as it has shown in this connection. */
  readonly knownAgents: ReadonlySet<string>
  /** What the cluster was told last; unknown after each connection. */
  readonly offersWanted: boolean | undefined
  readonly revivedAtMs: number
  /** By function: the instances for which offers were requested, each with its version. */
  readonly revivedFor: ReadonlyMap<string, readonly string[]>
  /** By `stream/follower`: its `renewedAtMs`, and when this leader's own clock first saw that value. */
  readonly followersSeen: ReadonlyMap<string, { readonly renewedAtMs: number; readonly seenAtMs: number }>
  /** By gateway: when it was last heard; forgotten after a while. */
  readonly gatewaysHeard: ReadonlyMap<string, number>
  /** Everything is being drained, for good. */
  readonly emptying: boolean
  /** Commands that are being removed from the store. */
  readonly finished: ReadonlySet<string>
  /** By function: when to look at it, whatever happens. */
  readonly agenda: ReadonlyMap<string, number>
  /** When to look at everything. */
  readonly commonAtMs: number
  /** When the next `tick` is due: the earliest of these. */
  readonly wakeAtMs: number
  /** The functions that the last step changed. The next plan looks at them again, until nothing changes any more. */
  readonly unsettled: ReadonlySet<string>
  /** The seed of the generator of task ids and jitter. */
  readonly seed: number
}

const nothingWanted: Wanted = {
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
    tasks: new ImmutableMap(),
    groups: new Map(),
    epochs: new Map(),
    topology: new Map(),
    offers: new Map(),
    agents: new Map(),
    knownAgents: new Set(),
    failedAgents: new Map(),
    engineUp: false,
    engineSinceMs: Number.NEGATIVE_INFINITY,
    busUp: true,
    busSinceMs: Number.NEGATIVE_INFINITY,
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

/** All tasks believed to be alive. */
export function liveTasks(state: State): TaskDocument[] {
  return [...state.tasks.values()].map((task) => task.document)
}
