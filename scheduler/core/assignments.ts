/**
 * Assignments: which instance owns which partitions, and what each runner is told.
 *
 * Share p belongs to the (p mod n)-th of the function's n wanted instances, in the order of their indexes. A change of
 * n moves shares between living instances, in two steps: once the taker runs the holder is told to give up, and only when it
 * has reported that assignment in force does the taker get the share. Each of the two goes with a higher epoch of the
 * instance whose partitions change (C2, C3). A holder that is ending keeps its shares until it has ended.
 * @module
 */
import type { Assignment, FunctionAssignment, InstanceAssignment } from '../../infra/control/messages.ts'
import type { VersionDocument } from '../../infra/store/index.ts'
import type { Manifest } from '../../sdk/manifest.ts'
import type { Draft } from './draft.ts'
import type { FunctionState, Seat, Slot, Task } from './state.ts'
import { streamsOf } from './topology.ts'

/** By input stream. */
type Partitions = InstanceAssignment['partitions']

/**
 * Each leader numbers assignments from its own epoch on. Otherwise a late message of the leader before could have the
 * very number of one of ours, and a heartbeat with that number would not say which of the two is in force.
 */
const generationsPerLeader = 1_000_000

/** Brings every living seat of the wanted version, once its task was heard, towards its share of the partitions. */
export function assignShares(
  draft: Draft,
  fn: FunctionState,
  version: VersionDocument,
  active: readonly number[],
): void {
  for (const slot of fn.slots) {
    const { seat } = slot
    if (seat === undefined || slot.phase === 'draining' || seat.document.version !== version.version) continue
    const task = draft.taskOf(seat)
    if (task.beat === undefined) continue
    const kept = seat.document.told.filter((share) => !hasTaker(draft, fn, version, active, slot, share))
    const mine = [...new Set([...kept, ...freeShares(draft, fn, version.manifest, active, slot)])].sort(
      (a, b) => a - b,
    )
    const partitions = partitionsOf(draft, version.manifest, mine)
    if (!isAsBefore(task, seat, mine, partitions)) move(draft, seat, mine)
  }
}

/** Whether a share of the slot's is due to another one, and that one is at work and can take it at once. */
function hasTaker(
  draft: Draft,
  fn: FunctionState,
  version: VersionDocument,
  active: readonly number[],
  slot: Slot,
  share: number,
): boolean {
  const index = active[share % active.length]
  if (index === undefined || index === slot.index) return false
  return isAtWork(
    draft,
    version,
    fn.slots.find((other) => other.index === index),
  )
}

/** Whether it runs the wanted version and was heard. */
export function isAtWork(draft: Draft, version: VersionDocument, slot: Slot | undefined): boolean {
  if (slot?.seat === undefined || slot.phase !== 'running') return false
  return slot.seat.document.version === version.version && draft.taskOf(slot.seat).beat !== undefined
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
  const taken = new Set(others.flatMap((other) => other.seat?.document.shares ?? []))
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

/** Once the newest assignment is in force, the instances own what that says and nothing else. */
export function giveBack(draft: Draft, task: Task): void {
  if (!inForce(task)) return
  for (const { seat } of draft.seated(task)) {
    const { told, shares, instance, epoch } = seat.document
    const isTold = task.assigned?.instances.some((one) => one.id === instance && one.epoch === epoch)
    if (isTold && told.length !== shares.length) draft.updateSeat(seat, { shares: told })
  }
}

/** The newest assignment is what the runner goes by. */
export function inForce(task: Readonly<Task>): boolean {
  return task.assigned !== undefined && task.beat?.generation === task.assigned.generation
}

function isAsBefore(task: Task, seat: Seat, mine: readonly number[], partitions: Partitions): boolean {
  const before = task.assigned?.instances.find(({ id }) => id === seat.document.instance)?.partitions
  if (before !== undefined) return JSON.stringify(partitions) === JSON.stringify(before)
  return JSON.stringify(mine) === JSON.stringify(seat.document.told)
}

/**
 * The instance is to own other partitions than before: at a higher epoch, and written down before it is told. What it is
 * to give up it may own until its runner reports otherwise.
 */
function move(draft: Draft, seat: Seat, mine: readonly number[]): void {
  const shares = [...new Set([...seat.document.shares, ...mine])].sort((a, b) => a - b)
  draft.updateSeat(seat, { shares, told: mine, epoch: draft.nextEpoch(seat.document.function) })
}

/** Tells a task that was heard what it should be doing, if that is not what it was told last. */
export function tell(draft: Draft, task: Task): void {
  if (task.beat === undefined || task.killedAtMs !== undefined) return
  const seen = task.beat.generation
  const before = task.assigned
  const assignment = assignmentOf(draft, task, before?.generation ?? 0)
  if (assignment === undefined) return
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

/** Undefined as long as the version of one of its instances is not known: then nothing is said. */
function assignmentOf(draft: Draft, task: Task, generation: number): Assignment | undefined {
  const functions: Record<string, FunctionAssignment> = {}
  const instances: InstanceAssignment[] = []
  for (const { slot, seat } of draft.seated(task)) {
    if (slot.phase === 'draining') continue
    const { function: name, instance: id, index, epoch, told } = seat.document
    const version = draft.wantedVersion(name)
    if (version === undefined || version.version !== seat.document.version) return undefined
    functions[name] ??= functionOf(draft, version)
    instances.push({
      id,
      function: name,
      index,
      epoch,
      partitions: partitionsOf(draft, version.manifest, told),
    })
  }
  const { taskId, group } = task.document
  return { schema: 2, taskId, generation, packed: group !== undefined, functions, instances }
}

function functionOf(draft: Draft, version: VersionDocument): FunctionAssignment {
  const { manifest } = version
  const descriptors = streamsOf(manifest).flatMap((name) => draft.state.topology.get(name) ?? [])
  return {
    function: manifest.name,
    version: version.version,
    bundleSha256: version.bundleSha256,
    ...(version.sourceMapSha256 === undefined ? {} : { sourceMapSha256: version.sourceMapSha256 }),
    manifest,
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
