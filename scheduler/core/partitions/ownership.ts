/**
 * Ownership: which instance owns which partitions.
 *
 * Shares belong to the wanted instances (homes.ts). When their number changes, shares move between living instances
 * (docs/design/0011-handover.md): once both work, the share is promised to the taker at a higher epoch, and both are
 * told in the same step (assigning.ts). The taker asks the giver for it, and reports when it has it.
 *
 *   A1. A share is promised to one seat at a time. The promise ends when the share is taken, or when one of the two
 *       seats ends.
 *   A2. If the giver ends, the promised share becomes free. If the taker ends, it returns to the giver at a higher
 *       epoch: the giver may have handed it over already.
 * An instance that is ending keeps its shares until it has ended. During a rolling deploy, shares move only between
 * instances of the same version (rolling.ts, RL2), except from those that are being replaced (beside.ts).
 * @module
 */
import type { Awaited, InstanceAssignment } from '../../../infra/control/messages/assignment.ts'
import type { Manifest } from '../../../sdk/manifest/manifest.ts'
import { goodOf } from '../state/candidate.ts'
import type { Draft } from '../state/draft.ts'
import { isEqual } from '../state/equality.ts'
import { reportOf, worksAsTold } from '../state/reports.ts'
import { keptVersion } from '../state/roles.ts'
import type { FunctionState, Seat, Slot, Task } from '../state/state.ts'
import { type Homes, homesOf, sharesOf } from './homes.ts'

/** By input stream: the numbers of the partitions. */
type Partitions = InstanceAssignment['partitions']

/**
 * Moves each seat one step towards the shares that it should have: living seats that run their wanted version and
 * whose task was heard.
 */
export function assignShares(draft: Draft, fn: FunctionState): void {
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
  const homeOf = homesOf(draft, fn)
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
    const free = keptVersion(slot) === undefined || !isGood ? freeShares(draft, fn, manifest, slot) : [] // BE2
    const mine = sorted([...own, ...free])
    const partitions = partitionsOf(draft, manifest, mine)
    if (!isAsBefore(task, seat, mine, partitions)) move(draft, seat, mine, awaitedOf(seat))
  }
}

/** The shares that are promised to a seat. */
export function awaitedOf(seat: Readonly<Seat> | undefined): readonly Awaited[] {
  return seat?.document.awaited ?? []
}

function promiseOf(fn: FunctionState, share: number): Awaited | undefined {
  for (const { seat } of fn.slots)
    for (const promise of awaitedOf(seat)) if (promise.share === share) return promise
  return undefined
}

/** The seat that still has a promised share; undefined once it has ended. */
export function giverOf(fn: FunctionState, { share, task, instance }: Awaited): Seat | undefined {
  const seats = fn.slots.flatMap(({ seat }) => seat ?? [])
  return seats.find(
    ({ document }) =>
      document.taskId === task && document.instance === instance && document.shares.includes(share),
  )
}

/**
 * The shares to promise to a working slot: those that belong there, are promised to nobody, and are owned by another
 * working slot of the same version, or of an old one that is being replaced.
 */
function newPromises(draft: Draft, fn: FunctionState, homeOf: Homes, slot: Slot): Awaited[] {
  if (!isAtWork(draft, fn, slot)) return []
  const isEarly = fn.slots.some(({ role }) => role?.kind === 'replacement') // BE1
  return fn.slots.flatMap((other) => {
    const { seat } = other
    if (other === slot || seat === undefined || !isAtWork(draft, fn, other)) return []
    const isOther = seat.document.version !== slot.seat?.document.version
    if (isOther && (keptVersion(other) === undefined || isEarly)) return []
    const { shares, told, taskId, instance } = seat.document
    const due = shares.filter(
      (share) => homeOf(share) === slot.index && told.includes(share) && promiseOf(fn, share) === undefined,
    )
    return due.map((share) => ({ share, epoch: newEpoch, task: taskId, instance }))
  })
}

/** Epoch of a promise that is not written yet: the writer gives it one. */
const newEpoch = 0

/** Whether a slot runs the version that it should have, and its task was heard. */
export function isAtWork(draft: Draft, fn: FunctionState, slot: Slot): boolean {
  if (slot.seat === undefined || slot.phase !== 'running') return false
  const version = draft.versionAt(fn.name, slot.index)?.version
  return slot.seat.document.version === version && draft.taskOf(slot.seat).beat !== undefined
}

/** The shares that belong to a slot and that no other task may own. */
export function freeShares(draft: Draft, fn: FunctionState, manifest: Manifest, slot: Slot): number[] {
  const homeOf = homesOf(draft, fn)
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

/**
 * Makes the shares that a task reports as taken its own, and then removes them from the giver. Written in this order
 * (CC2), so that a crash in between leaves no share without an owner.
 */
export function recordTaken(draft: Draft, task: Task): void {
  if (!worksAsTold(task)) return
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
      // the giver makes progress, so its time limit starts again
      for (const slot of fn.slots) if (slot.seat === giver) delete slot.retiringSinceMs
    }
    const shares = sorted([...seat.document.shares, ...taken.map(({ share }) => share)])
    draft.updateSeat(seat, { shares, awaited: awaitedOf(seat).filter(isOpen) })
  }
}

function isAsBefore(task: Task, seat: Seat, mine: readonly number[], partitions: Partitions): boolean {
  const { told, instance } = seat.document
  const before = task.assigned?.instances.find(({ id }) => id === instance)?.partitions
  return before === undefined ? isEqual(mine, told) : isEqual(partitions, before)
}

/** Changes the partitions of an instance, at a higher epoch. Written down before the runner is told. */
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

/** By input stream: the partitions that an instance with these shares reads. */
export function partitionsOf(draft: Draft, manifest: Manifest, mine: readonly number[]): Partitions {
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
