/**
 * Joining: seats waiting packed instances in living runners of their group that have room. The fullest runner comes
 * first, so that others can become empty and end.
 * @module
 */
import type { VersionDocument } from '../../../infra/store/index.ts'
import type { Resources } from '../../engine.ts'
import { freeShares } from '../partitions/ownership.ts'
import { type Draft, nameOf } from '../state/draft.ts'
import { isWanted } from '../state/roles.ts'
import type { FunctionState, Slot, Task } from '../state/state.ts'
import { Census } from './census.ts'
import { residentsOf, wantOf } from './launching.ts'
import { seatDocument } from './new-seat.ts'
import { resourcesOf, type Sharing, sharingOf } from './packs.ts'
import { forbidden } from './placement.ts'
import { fits, minus } from './resources.ts'

/** @param names The functions to look at. */
export function joinRunners(draft: Draft, names: readonly string[]): void {
  if (draft.groups.size === 0) return
  for (const name of names) {
    const fn = draft.fn(name)
    for (const slot of fn.slots) {
      if (slot.phase !== 'waiting' || !isWanted(slot)) continue
      const version = draft.versionAt(name, slot.index)
      if (version === undefined) continue
      const sharing = sharingOf(version, slot)
      if (sharing === undefined) continue
      const open = (draft.groups.get(sharing.group) ?? []).filter(
        (id) => mayJoin(draft, id, nameOf(fn, slot)) && mayBeOn(draft, id, version),
      )
      const task = fullest(draft, open, sharing, version.manifest.resources)
      if (task !== undefined) join(draft, fn, slot, version, task)
    }
  }
}

/**
 * Whether an instance may join a runner. Not if an earlier incarnation failed there and the runner has not been told
 * to forget it yet.
 */
function mayJoin(draft: Draft, taskId: string, instance: string): boolean {
  const task = draft.tasks.get(taskId)
  return (
    task?.isKnown === true &&
    task.killedAtMs === undefined &&
    task.unsureSinceMs === undefined &&
    !task.leaving.includes(instance)
  )
}

/** Whether a function's constraints allow the agent of a runner. */
function mayBeOn(draft: Draft, taskId: string, { manifest }: VersionDocument): boolean {
  const want = wantOf(manifest, 1, [])
  const task = draft.tasks.get(taskId)
  if (want.constraints.length === 0 || task === undefined) return true
  const { agentId, hostname, attributes = {} } = task.document
  const place = { agentId, hostname, attributes }
  return forbidden({ wants: [want] }, place, new Census(residentsOf(draft))) === undefined
}

/** The runner with the least free room that still fits an instance of this size. */
function fullest(
  draft: Draft,
  taskIds: readonly string[],
  { failures }: Sharing,
  need: Resources,
): Task | undefined {
  let best: Task | undefined
  for (const taskId of taskIds) {
    const task = draft.task(taskId)
    if (task === undefined) continue
    const { room, failures: ofTask } = task.document
    if (ofTask !== failures || task.seats.length >= room || !fits(need, freeIn(draft, task))) continue
    if (best === undefined || room - task.seats.length < best.document.room - best.seats.length) best = task
  }
  return best
}

function freeIn(draft: Draft, task: Task): Resources {
  const taken = draft.seated(task).map(({ seat }) => seat.document.resources)
  return minus(task.document.resources, resourcesOf(taken))
}

function join(draft: Draft, fn: FunctionState, slot: Slot, version: VersionDocument, task: Task): void {
  const { taskId, name, hostname } = task.document
  const shares = freeShares(draft, fn, version.manifest, slot)
  draft.sit(
    slot,
    task,
    seatDocument(draft, { fn, slot, version, shares, taskId, epoch: draft.nextEpoch(fn.name) }),
  )
  draft.enter(slot, task.runningSinceMs === undefined ? 'launching' : 'starting')
  const message = `${nameOf(fn, slot)} v${version.version} joins the runner of ${name} on ${hostname}`
  draft.act({ kind: 'log', level: 'info', message, task: taskId })
}
