/**
 * Assignments: what the scheduler tells a runner to do, as a whole each time. A command is idempotent: the newest generation counts, and
 * a `leaderEpoch` lower than one seen before is refused.
 * Design: docs/design/0003-processes-and-store.md, 0009-packing.md
 * @module
 */
import type { Grouping, StateFormat } from '../../../sdk/index.ts'
import type { AssetRefs } from '../../../sdk/manifest/assets.ts'
import type { CanaryRules, Manifest, ShadowRules } from '../../../sdk/manifest/manifest.ts'
import type { StreamDescriptor } from './streams.ts'

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
