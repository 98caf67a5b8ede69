/**
 * Assigning: the assignment of each runner.
 * @module
 */
import { codeOf } from '../../infra/control/index.ts'
import {
  type Assignment,
  type FunctionAssignment,
  type Giving,
  type InstanceAssignment,
  otherKey,
} from '../../infra/control/messages/assignment.ts'
import type { VersionDocument } from '../../infra/store/index.ts'
import { awaitedOf, giverOf, partitionsOf } from './partitions/ownership.ts'
import { streamsOf } from './partitions/topology.ts'
import { canaryAssignmentOf } from './rollout/canary.ts'
import { trialOf } from './rollout/rollout.ts'
import { shadowAssignmentOf } from './rollout/shadow.ts'
import { goodOf } from './state/candidate.ts'
import type { Draft } from './state/draft.ts'
import { isEqual } from './state/equality.ts'
import type { FunctionState, Seat, Task } from './state/state.ts'

/**
 * Each leader numbers its assignments from a range of its own epoch. Otherwise a late message of an earlier leader
 * could have the same number as one of ours, and a heartbeat with that number would not say which of the two is in
 * force.
 */
const generationsPerLeader = 1_000_000

/**
 * Sends a task that was heard its assignment, if that differs from the last one sent.
 * @param memo By function: its part of an assignment, over the tasks of one plan.
 */
export function assign(draft: Draft, task: Task, memo: Map<string, FunctionAssignment>): void {
  if (task.beat === undefined || task.killedAtMs !== undefined) return
  const seen = task.beat.generation
  const before = task.assigned
  const assignment = assignmentOf(draft, task, before?.generation ?? 0, memo)
  if (assignment === undefined) return
  if (before !== undefined && seen <= before.generation && isEqual(assignment, before)) return
  const floor = draft.state.leaderEpoch * generationsPerLeader
  task.assigned = { ...assignment, generation: Math.max(floor, before?.generation ?? 0, seen) + 1 }
  sendAssignment(draft, task)
}

/** Sends a runner its assignment, perhaps again. */
export function sendAssignment(draft: Draft, task: Task): void {
  if (task.assigned === undefined) return
  draft.act({ kind: 'assign', assignment: task.assigned, leaderEpoch: draft.state.leaderEpoch })
}

/** The assignment of a task. Undefined while the version of one of its instances is unknown: then nothing is sent. */
function assignmentOf(
  draft: Draft,
  task: Task,
  generation: number,
  memo: Map<string, FunctionAssignment>,
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
    const its = memo.get(key) ?? functionOf(draft, version)
    memo.set(key, its)
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

/** The shares that an instance is handing over or waiting for, and the lost instances that it has to fence off. */
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
  const wanted = draft.state.wanted.functions.get(manifest.name)
  const canary = canaryAssignmentOf(wanted)
  const shadow = shadowAssignmentOf(wanted)
  const names = new Set([...streamsOf(manifest), ...(canary === undefined ? [] : streamsOf(canary.manifest))])
  const descriptors = [...names].flatMap((name) => draft.state.topology.get(name) ?? [])
  return {
    function: manifest.name,
    ...codeOf(version, goodOf(wanted), wanted?.document.formatsBefore),
    ...(trial === undefined ? {} : { trial }),
    ...(canary === undefined ? {} : { canary }),
    ...(shadow === undefined ? {} : { shadow }),
    streams: Object.fromEntries(descriptors.map((descriptor) => [descriptor.name, descriptor])),
    groupings: Object.fromEntries(
      Object.entries(manifest.istreams).map(([stream, input]) => [stream, input.grouping]),
    ),
  }
}
