/**
 * Assignments: which instance owns which partitions, and what each runner is told.
 *
 * Share p belongs to the (p mod n)-th of the function's n wanted instances, in the order of their indexes. A change of
 * n moves shares between living instances, in two steps: the holder is told to give up, and only when it has reported
 * that assignment in force does the taker get the share. Each of the two goes with a higher epoch of the instance whose
 * partitions change (C2, C3). A holder that is ending keeps its shares until it has ended.
 * @module
 */
import type { Assignment, InstanceAssignment } from '../../infra/control/messages.ts'
import type { VersionDocument } from '../../infra/store/index.ts'
import type { Manifest } from '../../sdk/manifest.ts'
import type { Draft } from './draft.ts'
import { type FunctionState, instanceId, type Slot, type Task } from './state.ts'
import { streamsOf } from './topology.ts'

/** By input stream. */
type Partitions = InstanceAssignment['partitions']

/**
 * Each leader numbers assignments from its own epoch on. Otherwise a late message of the leader before could have the
 * very number of one of ours, and a heartbeat with that number would not say which of the two is in force.
 */
const generationsPerLeader = 1_000_000

/** Brings every living task of the wanted version that has been heard towards its share of the partitions. */
export function assignShares(
  draft: Draft,
  fn: FunctionState,
  version: VersionDocument,
  active: readonly number[],
): void {
  const living = fn.slots.filter((slot) => slot.task !== undefined)
  for (const slot of living) giveBack(draft, slot.task as Task)
  for (const slot of living) {
    const task = slot.task as Task
    if (slot.phase === 'draining' || task.document.version !== version.version || task.beat === undefined)
      continue
    const mine = freeShares(draft, fn, version.manifest, active, slot)
    const partitions = partitionsOf(draft, version.manifest, mine)
    if (!isAsBefore(task, mine, partitions)) move(draft, task, mine)
    assign(draft, task, version, partitions)
  }
}

/** The shares that a slot should have and that no other task may own. */
export function freeShares(
  draft: Draft,
  fn: FunctionState,
  manifest: Manifest,
  active: readonly number[],
  slot: Slot,
): number[] {
  const seat = active.indexOf(slot.index)
  if (seat < 0) return []
  const others = fn.slots.filter((other) => other !== slot)
  const taken = new Set(others.flatMap((other) => other.task?.document.shares ?? []))
  const shares: number[] = []
  for (let share = seat; share < sharesOf(draft, manifest); share += active.length) {
    if (!taken.has(share)) shares.push(share)
  }
  return shares
}

function sharesOf(draft: Draft, manifest: Manifest): number {
  return Object.entries(manifest.istreams)
    .filter(([, input]) => input.grouping !== 'broadcast')
    .reduce((most, [stream]) => Math.max(most, draft.state.topology.get(stream)?.partitions ?? 0), 0)
}

/** Once the newest assignment is in force, the task owns what that says and nothing else. */
function giveBack(draft: Draft, task: Task): void {
  const { told, shares } = task.document
  if (task.assigned === undefined || task.beat?.generation !== task.assigned.generation) return
  if (told.length === shares.length) return
  task.document = { ...task.document, shares: told }
  draft.act({ kind: 'updateTask', document: task.document })
}

function isAsBefore(task: Task, mine: readonly number[], partitions: Partitions): boolean {
  const before = task.assigned?.instances[0]?.partitions
  if (before !== undefined) return JSON.stringify(partitions) === JSON.stringify(before)
  return JSON.stringify(mine) === JSON.stringify(task.document.told)
}

/**
 * The task is to own other partitions than before: at a higher epoch, and written down before it is told. What it is to
 * give up it may own until it reports otherwise.
 */
function move(draft: Draft, task: Task, mine: readonly number[]): void {
  const shares = [...new Set([...task.document.shares, ...mine])].sort((a, b) => a - b)
  task.document = { ...task.document, shares, told: mine, epoch: draft.nextEpoch(task.document.function) }
  draft.act({ kind: 'updateTask', document: task.document })
}

function assign(draft: Draft, task: Task, version: VersionDocument, partitions: Partitions): void {
  const seen = task.beat?.generation ?? 0
  const before = task.assigned
  const assignment = assignmentOf(draft, task, version, partitions, before?.generation ?? 0)
  if (
    before !== undefined &&
    seen <= before.generation &&
    JSON.stringify(assignment) === JSON.stringify(before)
  )
    return
  const floor = draft.state.leaderEpoch * generationsPerLeader
  task.assigned = { ...assignment, generation: Math.max(floor, before?.generation ?? 0, seen) + 1 }
  sendAssignment(draft, task)
}

/** Tells a runner (again) what it should be doing. */
export function sendAssignment(draft: Draft, task: Task): void {
  if (task.assigned === undefined) return
  draft.act({ kind: 'assign', assignment: task.assigned, leaderEpoch: draft.state.leaderEpoch })
}

function assignmentOf(
  draft: Draft,
  task: Task,
  version: VersionDocument,
  partitions: Partitions,
  generation: number,
): Assignment {
  const { manifest } = version
  const descriptors = streamsOf(manifest).flatMap((name) => draft.state.topology.get(name) ?? [])
  const { taskId, function: name, index, epoch } = task.document
  return {
    schema: 1,
    taskId,
    generation,
    function: name,
    version: version.version,
    bundleSha256: version.bundleSha256,
    ...(version.sourceMapSha256 === undefined ? {} : { sourceMapSha256: version.sourceMapSha256 }),
    manifest,
    instances: [{ id: instanceId(name, index), index, epoch, partitions }],
    streams: Object.fromEntries(descriptors.map((descriptor) => [descriptor.name, descriptor])),
    groupings: Object.fromEntries(
      Object.entries(manifest.istreams).map(([stream, input]) => [stream, input.grouping]),
    ),
  }
}

function partitionsOf(draft: Draft, manifest: Manifest, mine: readonly number[]): Partitions {
  const partitions: Record<string, readonly number[]> = {}
  for (const [stream, input] of Object.entries(manifest.istreams)) {
    const count = draft.state.topology.get(stream)?.partitions ?? 0
    partitions[stream] =
      input.grouping === 'broadcast'
        ? Array.from({ length: count }, (_, p) => p)
        : mine.filter((p) => p < count)
  }
  return partitions
}
