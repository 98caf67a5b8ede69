/**
 * Assignments: which instance owns which partitions, and what each runner is told.
 *
 * Shares belong to the wanted instances (homes.ts). A change of their number moves shares between living instances
 * (docs/design/0011-handover.md): once both are at work the share is promised to the taker, at a higher epoch, and both are
 * told in one step; the taker asks the giver, and reports when it has it.
 *
 *   A1. A share is promised to one seat at a time, and a promise ends with the share taken, or with one of the two seats.
 *   A2. A promise whose giver has ended becomes a share like any other; one whose taker has ended goes back to the giver,
 *       at a higher epoch: it may have given it already.
 * A holder that is ending keeps its shares until it has ended. While a version comes to some instances after others, shares
 * move between those of one version only (rolling.ts, RL2), but for those that are replaced (beside.ts).
 * @module
 */
import {
  type Assignment,
  type Awaited,
  type FunctionAssignment,
  type Giving,
  type InstanceAssignment,
  otherKey,
} from '../../../infra/control/messages.ts'
import type { VersionDocument } from '../../../infra/store/index.ts'
import type { Manifest } from '../../../sdk/manifest.ts'
import { canaryAssignmentOf, formatOf, goodOf } from '../rollout/canary.ts'
import { trialOf } from '../rollout/rollout.ts'
import { shadowAssignmentOf } from '../rollout/shadow.ts'
import type { Draft } from '../state/draft.ts'
import { isEqual } from '../state/equality.ts'
import { reportOf } from '../state/reports.ts'
import type { FunctionState, Seat, Slot, Task } from '../state/state.ts'
import { type Homes, homesOf, sharesOf } from './homes.ts'
import { streamsOf } from './topology.ts'

/** By input stream. */
type Partitions = InstanceAssignment['partitions']

/**
 * Each leader numbers assignments from its own epoch on. Otherwise a late message of the leader before could have the
 * very number of one of ours, and a heartbeat with that number would not say which of the two is in force.
 */
const generationsPerLeader = 1_000_000

/** Brings every living seat of the version that it is to have, once its task was heard, towards its share of the partitions. */
export function assignShares(draft: Draft, fn: FunctionState, active: readonly number[]): void {
  fn.fences = fn.fences.filter(
    ({ index }) => !fn.slots.some((slot) => slot.index === index && slot.phase === 'running'),
  )
  const heard = fn.slots.flatMap((slot) => {
    const { seat } = slot
    const version = draft.versionAt(fn.name, slot.index)
    if (seat === undefined || slot.phase === 'draining' || seat.document.version !== version?.version)
      return []
    const task = draft.taskOf(seat)
    return task.beat === undefined ? [] : [{ slot, seat, task, manifest: version.manifest }]
  })
  const homeOf = homesOf(draft, fn, active)
  for (const { slot, seat } of heard) {
    const kept = awaitedOf(seat).filter((promise) => giverOf(fn, promise) !== undefined)
    const orphaned = awaitedOf(seat).filter((promise) => !kept.includes(promise)) // A2
    const added = newPromises(draft, fn, homeOf, slot)
    if (orphaned.length + added.length === 0) continue
    const mine = sorted([...seat.document.told, ...orphaned.map(({ share }) => share)])
    move(draft, seat, mine, [...kept, ...added])
  }
  const isGood = draft.wantedVersion(fn.name) === goodOf(draft.state.wanted.functions.get(fn.name))
  for (const { slot, seat, task, manifest } of heard) {
    const own = seat.document.shares.filter((share) => promiseOf(fn, share) === undefined) // A2
    const free = slot.keeps === undefined || !isGood ? freeShares(draft, fn, manifest, active, slot) : [] // BE2
    const mine = sorted([...own, ...free])
    const partitions = partitionsOf(draft, manifest, mine)
    if (!isAsBefore(task, seat, mine, partitions)) move(draft, seat, mine, awaitedOf(seat))
  }
}

/** What is promised to a seat. */
export function awaitedOf(seat: Readonly<Seat> | undefined): readonly Awaited[] {
  return seat?.document.awaited ?? []
}

function promiseOf(fn: FunctionState, share: number): Awaited | undefined {
  for (const { seat } of fn.slots)
    for (const promise of awaitedOf(seat)) if (promise.share === share) return promise
  return undefined
}

/** The seat that has what is promised, as long as it lives. */
function giverOf(fn: FunctionState, { share, task, instance }: Awaited): Seat | undefined {
  const seats = fn.slots.flatMap(({ seat }) => seat ?? [])
  return seats.find(
    ({ document }) =>
      document.taskId === task && document.instance === instance && document.shares.includes(share),
  )
}

/** Shares that are due to a slot at work, lie with another one at work with the same version, and are promised to nobody. */
function newPromises(draft: Draft, fn: FunctionState, homeOf: Homes, slot: Slot): Awaited[] {
  if (!isAtWork(draft, fn, slot)) return []
  const isEarly = fn.slots.some(({ isDouble }) => isDouble) // BE1
  return fn.slots.flatMap((other) => {
    const { seat } = other
    if (other === slot || seat === undefined || !isAtWork(draft, fn, other)) return []
    const isOther = seat.document.version !== slot.seat?.document.version
    if (isOther && (other.keeps === undefined || isEarly)) return []
    const { shares, told, taskId, instance } = seat.document
    const due = shares.filter(
      (share) => homeOf(share) === slot.index && told.includes(share) && promiseOf(fn, share) === undefined,
    )
    return due.map((share) => ({ share, epoch: newEpoch, task: taskId, instance }))
  })
}

/** Stands for the epoch that a promise gets when it is written down. */
const newEpoch = 0

/** Whether it runs the version that it is to have, and was heard. */
export function isAtWork(draft: Draft, fn: FunctionState, slot: Slot): boolean {
  if (slot.seat === undefined || slot.phase !== 'running') return false
  const version = draft.versionAt(fn.name, slot.index)?.version
  return slot.seat.document.version === version && draft.taskOf(slot.seat).beat !== undefined
}

/** The shares that a slot should have and that no other task may own. */
export function freeShares(
  draft: Draft,
  fn: FunctionState,
  manifest: Manifest,
  active: readonly number[],
  slot: Slot,
): number[] {
  const homeOf = homesOf(draft, fn, active)
  const others = fn.slots.filter((other) => other !== slot)
  const taken = new Set(
    others.flatMap(({ seat }) => [
      ...(seat?.document.shares ?? []),
      ...awaitedOf(seat).map(({ share }) => share),
    ]),
  )
  const shares: number[] = []
  for (let share = 0; share < sharesOf(draft, manifest); share++) {
    if (homeOf(share) === slot.index && !taken.has(share)) shares.push(share)
  }
  return shares
}

/** What instances of a task report as taken is theirs, and no longer the giver's: written down in this order (C2). */
export function takeOver(draft: Draft, task: Task): void {
  if (!inForce(task)) return
  for (const { fn, seat } of draft.seated(task)) {
    const report = reportOf(task, seat)
    if (report?.epoch !== seat.document.epoch || report.state !== 'running') continue
    const isOpen = ({ share }: Awaited): boolean => report.awaited?.includes(share) === true
    const taken = awaitedOf(seat).filter((promise) => !isOpen(promise))
    if (taken.length === 0) continue
    for (const promise of taken) {
      const giver = giverOf(fn, promise)
      const without = (list: readonly number[]): number[] => list.filter((share) => share !== promise.share)
      if (giver === undefined) continue
      draft.updateSeat(giver, { shares: without(giver.document.shares) })
      for (const slot of fn.slots) if (slot.seat === giver) delete slot.retiringSinceMs // it gets on
    }
    const shares = sorted([...seat.document.shares, ...taken.map(({ share }) => share)])
    draft.updateSeat(seat, { shares, awaited: awaitedOf(seat).filter(isOpen) })
  }
}

/** The newest assignment is what the runner goes by. */
export function inForce(task: Readonly<Task>): boolean {
  return task.assigned !== undefined && task.beat?.generation === task.assigned.generation
}

function isAsBefore(task: Task, seat: Seat, mine: readonly number[], partitions: Partitions): boolean {
  const { told, instance } = seat.document
  const before = task.assigned?.instances.find(({ id }) => id === instance)?.partitions
  return before === undefined ? isEqual(mine, told) : isEqual(partitions, before)
}

/** The instance is to own other partitions than before: at a higher epoch, and written down before it is told. */
function move(draft: Draft, seat: Seat, mine: readonly number[], awaited: readonly Awaited[]): void {
  const epoch = draft.nextEpoch(seat.document.function)
  draft.updateSeat(seat, {
    shares: sorted([...seat.document.shares, ...mine]),
    told: mine,
    awaited: awaited.map((promise) => (promise.epoch === newEpoch ? { ...promise, epoch } : promise)),
    epoch,
  })
}

function sorted(shares: readonly number[]): number[] {
  return [...new Set(shares)].sort((a, b) => a - b)
}

/** Tells a task that was heard what it should be doing, if that is not what it was told last. */
/** @param said What is said of each function, once it was said. */
export function tell(draft: Draft, task: Task, said: Map<string, FunctionAssignment>): void {
  if (task.beat === undefined || task.killedAtMs !== undefined) return
  const seen = task.beat.generation
  const before = task.assigned
  const assignment = assignmentOf(draft, task, before?.generation ?? 0, said)
  if (assignment === undefined) return
  if (before !== undefined && seen <= before.generation && isEqual(assignment, before)) return
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
function assignmentOf(
  draft: Draft,
  task: Task,
  generation: number,
  said: Map<string, FunctionAssignment>,
): Assignment | undefined {
  const functions: Record<string, FunctionAssignment> = {}
  const others: Record<string, FunctionAssignment> = {}
  const instances: InstanceAssignment[] = []
  for (const { fn, slot, seat } of draft.seated(task)) {
    if (slot.phase === 'draining') continue
    const { function: name, instance: id, index, epoch, told } = seat.document
    const version = draft.versionAt(name, index)
    if (version === undefined || version.version !== seat.document.version) return undefined
    const key = otherKey(name, version.version)
    const its = said.get(key) ?? functionOf(draft, version)
    said.set(key, its)
    functions[name] ??= its
    const isOther = functions[name] !== its
    if (isOther) others[key] = its
    instances.push({
      id,
      function: name,
      ...{ index, epoch },
      ...(isOther && { version: version.version }),
      partitions: partitionsOf(draft, version.manifest, told),
      ...movesOf(fn, seat),
    })
  }
  const { taskId, group } = task.document
  return {
    ...{ schema: 3, taskId, generation, packed: group !== undefined, functions, instances },
    ...(Object.keys(others).length > 0 && { others }),
  }
}

/** What of an instance's is on its way to another one, or to it; and what it has to fence off. */
function movesOf(fn: FunctionState, seat: Seat): Pick<InstanceAssignment, 'giving' | 'awaited' | 'fences'> {
  const giving = fn.slots.flatMap((taker): Giving[] =>
    awaitedOf(taker.seat).flatMap((promise) =>
      giverOf(fn, promise) === seat ? [{ share: promise.share, epoch: promise.epoch }] : [],
    ),
  )
  const awaited = awaitedOf(seat)
  const fences = fn.fences
    .filter(({ shares }) => shares?.some((share) => seat.document.told.includes(share)) !== false)
    .map(({ index, epoch }) => ({ index, epoch }))
  return {
    ...(giving.length === 0 ? {} : { giving }),
    ...(awaited.length === 0 ? {} : { awaited }),
    ...(fences.length === 0 ? {} : { fences }),
  }
}

function functionOf(draft: Draft, version: VersionDocument): FunctionAssignment {
  const { manifest } = version
  const trial = trialOf(draft, version)
  const canary = canaryAssignmentOf(draft.state.wanted.functions.get(manifest.name))
  const shadow = shadowAssignmentOf(draft.state.wanted.functions.get(manifest.name))
  const names = new Set([...streamsOf(manifest), ...(canary === undefined ? [] : streamsOf(canary.manifest))])
  const descriptors = [...names].flatMap((name) => draft.state.topology.get(name) ?? [])
  return {
    function: manifest.name,
    version: version.version,
    bundleSha256: version.bundleSha256,
    ...(version.sourceMapSha256 === undefined ? {} : { sourceMapSha256: version.sourceMapSha256 }),
    ...(version.assets === undefined ? {} : { assets: version.assets }),
    ...formatOf(version, goodOf(draft.state.wanted.functions.get(manifest.name))),
    manifest,
    ...(trial === undefined ? {} : { trial }),
    ...(canary === undefined ? {} : { canary }),
    ...(shadow === undefined ? {} : { shadow }),
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
