/**
 * Plan: compares what is wanted with what is, and moves one step closer. It is level-triggered: a second run does
 * nothing, and a missed event is made up for by the next run. `plan` is the order of one step, top to bottom; each part
 * of it has a file of its own.
 *
 *   PL1. A plan looks at what has changed, at what has become due, and at what the last plan changed. The result is
 *        the same as if it had looked at everything. So its cost grows with the number of functions that something
 *        happened to, not with the cluster.
 * Design: docs/design/0034-incremental-plan.md
 * @module
 */
import type { FunctionAssignment } from '../../infra/control/messages/assignment.ts'
import { assign } from './assigning.ts'
import { describeAgain } from './describing.ts'
import { dropFollowers } from './followers.ts'
import { closeAccounts } from './gone.ts'
import { direct, endBackoff } from './instances/directing.ts'
import { settleSlots } from './instances/slots.ts'
import { assignShares } from './partitions/ownership.ts'
import { joinRunners } from './placement/joining.ts'
import { launchWaiting } from './placement/launching.ts'
import { preempt } from './placement/preemption.ts'
import { warmTasks } from './placement/warm.ts'
import { dropOrphanedCommands, publishOrRemove } from './removal.ts'
import { watchCanary } from './rollout/canary.ts'
import { watchRolling } from './rollout/rolling.ts'
import { settleRollout } from './rollout/rollout.ts'
import { watchShadow } from './rollout/shadow.ts'
import { everything, type Scope, whatChanged } from './scope.ts'
import type { Draft } from './state/draft.ts'
import type { Action } from './state/protocol.ts'
import type { Task } from './state/state.ts'
import { kill } from './state/stopping.ts'
import { watch } from './watching.ts'

/**
 * @param isAll Look at everything.
 * @param decided Functions whose slots this step has decided already. If it decided again, after instances have begun to
 *   drain, the result could differ from that of a plan that looked at everything from the start.
 */
export function plan(draft: Draft, isAll: boolean, decided: ReadonlySet<string> = new Set()): void {
  const all = isAll || draft.nowMs >= draft.state.commonAtMs
  const scope = all ? everything(draft) : whatChanged(draft)
  const { names } = scope
  draft.state.unsettled = new Set()
  for (const name of names) if (!decided.has(name)) draft.agenda.delete(name)
  if (all) {
    draft.agenda = new Map([...draft.agenda].filter(([name]) => decided.has(name)))
    draft.state.commonAtMs = Number.POSITIVE_INFINITY
    dropFollowers(draft)
  }
  dropOrphanedCommands(draft)
  for (const taskId of scope.taskIds) watch(draft, draft.task(taskId) as Task)
  if (draft.state.emptying) return empty(draft, scope)
  decideSlots(draft, names, decided)
  if (describeAgain(draft, names, all) && !all) return plan(draft, true, new Set(names))
  joinRunners(draft, names)
  for (const name of names) {
    if (draft.wantedVersion(name) !== undefined) assignShares(draft, draft.fn(name))
  }
  assignAll(draft, scope)
  preempt(draft, launchWaiting(draft, whoWaits(draft, names, all)))
  // Besides the functions in scope: those for which this plan launched something, or made room.
  for (const name of new Set([...names, ...draft.touched().map((fn) => fn.name)].sort())) {
    const fn = draft.fn(name)
    settleRollout(draft, fn)
    watchCanary(draft, fn)
    watchShadow(draft, fn)
    watchRolling(draft, fn)
    publishOrRemove(draft, fn)
  }
}

/** Decides which slots each function has, and which of them have to go. */
function decideSlots(draft: Draft, names: readonly string[], decided: ReadonlySet<string>): void {
  for (const name of names) {
    if (decided.has(name)) continue
    const fn = draft.fn(name)
    closeAccounts(draft, fn)
    for (const slot of fn.slots) endBackoff(draft, fn, slot)
    settleSlots(draft, fn)
    for (const slot of fn.slots) direct(draft, fn, slot)
  }
}

/** Tells each runner what it is to run; one that is to run nothing ends, unless it is kept warm. */
function assignAll(draft: Draft, scope: Scope): void {
  const warm = warmTasks(draft, scope)
  const memo = new Map<string, FunctionAssignment>()
  for (const taskId of scope.taskIds) {
    const task = draft.task(taskId)
    if (task === undefined) continue // it has ended in this plan
    assign(draft, task, memo)
    if (task.seats.length === 0 && task.killedAtMs === undefined && !warm.has(taskId)) kill(draft, task)
  }
}

const changesRoom: ReadonlySet<string> = new Set<Action['kind']>([
  ...(['createTask', 'removeTask', 'createSeat', 'removeSeat', 'kill'] as const),
])

/** The functions to search for waiting instances: all of them if room may have become free. */
function whoWaits(draft: Draft, names: readonly string[], all: boolean): readonly string[] {
  const isNews = all || draft.state.offers.size > 0 || draft.actions.some(({ kind }) => changesRoom.has(kind))
  return isNews ? [...new Set([...names, ...draft.state.revivedFor.keys()])].sort() : names
}

/** Ends everything: all instances drain at once, and nothing replaces them. */
function empty(draft: Draft, { names, taskIds }: Scope): void {
  for (const taskId of taskIds) {
    const task = draft.task(taskId)
    if (task === undefined || task.killedAtMs !== undefined) continue
    for (const { slot } of draft.seated(task))
      if (slot.phase !== 'draining') draft.enter(slot, 'draining', 'the platform is stopped')
    kill(draft, task)
  }
  const offerIds = [...draft.state.offers.keys()]
  if (offerIds.length > 0) draft.act({ kind: 'decline', offerIds })
  draft.state.offers = new Map()
  for (const name of names) {
    closeAccounts(draft, draft.fn(name))
    publishOrRemove(draft, draft.fn(name))
  }
}
