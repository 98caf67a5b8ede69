/**
 * Plan: compares what is wanted with what is, and moves one step closer. It is level-triggered: a second run does
 * nothing, and a missed event is made up for by the next run.
 *
 *   PL1. A plan looks at what has changed, at what has become due, and at what the last plan changed. The result is
 *        the same as if it had looked at everything. So its cost grows with the number of functions that something
 *        happened to, not with the cluster.
 * Design: docs/design/0034-incremental-plan.md
 * @module
 */
import type { FunctionAssignment } from '../../infra/control/messages.ts'
import type { VersionDocument } from '../../infra/store/index.ts'
import type { Resources } from '../engine.ts'
import { addAccounts } from './accounts.ts'
import { endReleased, endTask } from './endings.ts'
import { dropFollowers } from './followers.ts'
import { bequeath, isAwaited } from './former.ts'
import { isOpen, whoIsGone } from './gone.ts'
import { finish, readersOf, settleSlots } from './instances/slots.ts'
import { assignShares, awaitedOf, inForce, isAtWork, takeOver } from './partitions/ownership.ts'
import { describeStreams } from './partitions/topology.ts'
import { Census } from './placement/census.ts'
import { joinRunners } from './placement/joining.ts'
import { launchWaiting, type Party, residentsOf } from './placement/launching.ts'
import { type Ground, makeRoom } from './placement/preemption.ts'
import { warmTasks } from './placement/warm.ts'
import { watchCanary } from './rollout/canary.ts'
import { watchRolling } from './rollout/rolling.ts'
import { hasFailedForGood, settleRollout, swap } from './rollout/rollout.ts'
import { watchShadow } from './rollout/shadow.ts'
import { everything, type Scope, whatChanged } from './scope.ts'
import { type Draft, ownerOf } from './state/draft.ts'
import { isEqual } from './state/equality.ts'
import { versionsInForce } from './state/in-force.ts'
import type { Action } from './state/protocol.ts'
import type { FunctionState, Slot, Task } from './state/state.ts'
import { timings } from './state/timings.ts'
import { canaryOf } from './state/wanted-canary.ts'
import { saveStatus } from './status.ts'
import { tell } from './telling.ts'

/**
 * @param isAll Look at everything.
 * @param settled Functions that this step has settled already. Settled again, after instances have begun to drain, they could come to
 *   something else than a plan that has looked at everything from the beginning.
 */
export function plan(draft: Draft, isAll: boolean, settled: ReadonlySet<string> = new Set()): void {
  const all = isAll || draft.nowMs >= draft.state.commonAtMs
  const scope = all ? everything(draft) : whatChanged(draft)
  const { names } = scope
  draft.state.unsettled = new Set()
  for (const name of names) if (!settled.has(name)) draft.agenda.delete(name)
  if (all) {
    draft.agenda = only(draft.agenda, settled)
    draft.state.commonAtMs = Number.POSITIVE_INFINITY
    dropFollowers(draft, (atMs) => due(draft, undefined, atMs))
  }
  dropOrphanedCommands(draft)
  for (const taskId of scope.taskIds) watch(draft, draft.task(taskId) as Task)
  if (draft.state.emptying) return empty(draft, scope)
  settle(draft, names, all, settled)
  if (describeAgain(draft, names, all) && !all) return plan(draft, true, new Set(names))
  joinRunners(draft, names)
  for (const name of names) {
    if (draft.wantedVersion(name) !== undefined)
      assignShares(draft, draft.fn(name), draft.state.active.get(name) ?? [])
  }
  tellAll(draft, scope)
  makeWay(draft, launchWaiting(draft, whoWaits(draft, names, all)))
  // Besides the functions in scope: those for which this plan launched something, or made room.
  for (const name of new Set([...names, ...draft.touched().map((fn) => fn.name)].sort())) {
    const active = draft.state.active.get(name) ?? []
    settleRollout(draft, draft.fn(name), active)
    watchCanary(draft, draft.fn(name), active)
    watchShadow(draft, draft.fn(name), active)
    watchRolling(draft, draft.fn(name), active)
    conclude(draft, draft.fn(name))
  }
}

/** Decides which slots each function has, and which of them have to go. */
function settle(draft: Draft, names: readonly string[], all: boolean, settled: ReadonlySet<string>): void {
  const active = all ? only(draft.state.active, settled) : new Map(draft.state.active)
  for (const name of names) {
    if (settled.has(name)) continue
    const fn = draft.fn(name)
    closeAccounts(draft, fn)
    for (const slot of fn.slots) endBackoff(draft, fn, slot)
    const indexes = settleSlots(draft, fn)
    active.set(name, indexes)
    for (const slot of fn.slots) direct(draft, fn, slot, indexes)
  }
  draft.state.active = active
}

function tellAll(draft: Draft, scope: Scope): void {
  const warm = warmTasks(draft, scope)
  const said = new Map<string, FunctionAssignment>()
  for (const taskId of scope.taskIds) {
    const task = draft.task(taskId)
    if (task === undefined) continue // it has ended in this plan
    tell(draft, task, said)
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
    conclude(draft, draft.fn(name))
  }
}

/** Drains less important runners for a request that has waited long enough. */
function makeWay(draft: Draft, waiting: readonly Party[]): void {
  for (const party of [...waiting].sort((a, b) => b.priority - a.priority)) {
    if (party.priority === 0) return
    const slots = party.members.map(({ slot }) => slot)
    if (slots.every(({ isDouble }) => isDouble)) continue // the instances that they are to replace still work
    // Counted from the request for offers: there may be room that was not offered yet.
    const askedMs = Math.max(draft.state.revivedAtMs, ...slots.map((slot) => slot.sinceMs))
    const roomMs = Math.max(0, ...slots.map((slot) => slot.roomUntilMs ?? 0))
    const owner = party.members[0]!.fn.name
    if (!due(draft, owner, Math.max(askedMs + timings.makeRoomMs, roomMs))) continue
    const room = makeRoom(party, groundsOf(draft), new Census(residentsOf(draft)))
    if (room === undefined) continue
    const { hostname } = room.place
    for (const slot of slots) {
      slot.roomUntilMs = draft.nowMs + timings.roomComesMs
      slot.why = `room is made for it on ${hostname}; ${slot.why ?? ''}`
    }
    draft.wakeAt(owner, draft.nowMs + timings.roomComesMs)
    const why = `it makes room for ${party.id}, which is more important`
    for (const { taskId } of room.goes) {
      const task = draft.task(taskId) as Task
      for (const { slot } of draft.seated(task)) drain(draft, slot, task, why)
      // A packed runner ends as a whole too: otherwise its instances would join it again.
      if (task.killedAtMs === undefined) kill(draft, task)
    }
  }
}

/** The agents on which a runner could give way; not those where one is ending already. */
function groundsOf(draft: Draft): Ground[] {
  const tasks = Map.groupBy(draft.tasks.values(), (task) => task.document.agentId)
  const nothing: Resources = { cpus: 0, memMib: 0, diskMib: 0 }
  const empty = [...draft.state.agents.values()]
    .filter(({ agentId, seenAtMs }) => !tasks.has(agentId) && draft.nowMs - seenAtMs < timings.agentSeenMs)
    .map((seen) => ({ ...seen, tenants: [] }))
  const lived = [...tasks].flatMap(([agentId, here]) => {
    if (here.some((task) => isLeaving(draft, task))) return []
    const { hostname, attributes = {} } = here[0]!.document
    const seen = draft.state.agents.get(agentId)
    const free = seen !== undefined && draft.nowMs - seen.seenAtMs < timings.agentSeenMs ? seen.free : nothing
    const tenants = here.map((task) => ({
      taskId: task.document.taskId,
      priority: Math.max(0, ...task.seats.map((seat) => priorityOf(draft, seat.function))),
      resources: task.document.resources,
    }))
    return [{ agentId, hostname, attributes, free, tenants }]
  })
  return [...lived, ...empty]
}

function isLeaving(draft: Draft, task: Readonly<Task>): boolean {
  return task.killedAtMs !== undefined || draft.seated(task).some(({ slot }) => slot.phase === 'draining')
}

function priorityOf(draft: Draft, name: string): number {
  return draft.wantedVersion(name)?.manifest.placement?.priority ?? 0
}

function endBackoff(draft: Draft, fn: FunctionState, slot: Slot): void {
  if (slot.phase !== 'backingOff' || !due(draft, fn.name, slot.untilMs ?? 0)) return
  delete slot.untilMs
  draft.enter(slot, 'waiting')
}

/**
 * Applies what a task reports as released or taken, and its time limits: tasks that are silent, lost to the cluster,
 * or do not die when killed.
 */
function watch(draft: Draft, task: Task): void {
  const { taskId, agentId } = task.document
  if (inForce(task)) {
    task.isKnown = true
    task.leaving = task.leaving.filter((left) => task.assigned?.instances.some(({ id }) => id === left))
  }
  takeOver(draft, task)
  release(draft, task)
  if (task.unsureSinceMs !== undefined && draft.state.busUp) {
    const heardMs = Math.max(task.unsureSinceMs, task.beatAtMs ?? 0)
    if (due(draft, ownerOf(task), heardMs + timings.unsureMs)) {
      kill(draft, task)
      const message = `the cluster lost sight of it and it was silent for ${timings.unsureMs / 1000} s`
      endTask(draft, task, { taskId, condition: 'lost', message })
      return
    }
  }
  const seated = draft.seated(task)
  const phases = new Set(seated.map(({ slot }) => slot.phase))
  if (
    phases.has('launching') &&
    due(draft, ownerOf(task), (task.askedAtMs ?? task.sinceMs) + timings.launchingSilenceMs)
  ) {
    task.askedAtMs = draft.nowMs
    draft.wakeAt(ownerOf(task), draft.nowMs + timings.launchingSilenceMs)
    draft.act({ kind: 'reconcile', taskId, agentId })
  }
  if (
    phases.has('starting') &&
    !phases.has('running') &&
    task.killedAtMs === undefined &&
    draft.state.busUp
  ) {
    const startedMs = Math.max(...seated.map(({ slot }) => slot.sinceMs))
    if (due(draft, ownerOf(task), Math.max(startedMs, task.beatAtMs ?? 0) + timings.startingSilenceMs))
      blame(draft, task, `it was started and not heard of for ${timings.startingSilenceMs / 1000} s`)
  }
  if (task.killedAtMs !== undefined && due(draft, ownerOf(task), task.killedAtMs + timings.killAgainMs))
    kill(draft, task)
}

/** Follows up the draining instances of a packed task: they have been released, or take too long. */
function release(draft: Draft, task: Task): void {
  if (task.document.group === undefined || task.killedAtMs !== undefined) return
  for (const seated of draft.seated(task)) {
    const { slot, seat } = seated
    if (slot.phase !== 'draining') continue
    const { instance, firstEpoch } = seat.document
    const isTold = task.assigned?.instances.some(({ id, epoch }) => id === instance && epoch >= firstEpoch)
    if (inForce(task) && isTold === false) endReleased(draft, task, seated)
    else if (draft.state.busUp && due(draft, ownerOf(task), slot.sinceMs + timings.releaseMs)) {
      task.culprit = instance
      return blame(draft, task, `${instance} did not let go within ${timings.releaseMs / 1000} s`)
    }
  }
}

/** Drains or swaps an instance that should not run, or not this version. */
function direct(draft: Draft, fn: FunctionState, slot: Slot, active: readonly number[]): void {
  const version = draft.versionAt(fn.name, slot.index)
  const { seat } = slot
  if (seat === undefined) {
    if (version !== undefined && slot.restartsVersion !== version.version)
      startAfresh(draft, slot, version.version)
    return
  }
  if (slot.phase === 'draining') return
  const isWanted = active.includes(slot.index) || slot.isDouble === true
  if (isWanted) delete slot.retiringSinceMs
  // If the version's document has not been read yet, the instance stays, unless the function was deleted.
  const gone = version === undefined && isUnwanted(draft, fn.name)
  const because = gone
    ? 'the function is deleted'
    : slot.command !== undefined
      ? 'it was asked to restart'
      : version !== undefined && !isWanted && mayRetire(draft, fn, slot, active)
        ? slot.keeps === undefined
          ? 'fewer instances are wanted'
          : 'another one has taken its place'
        : version !== undefined && seat.document.version !== version.version
          ? `version ${version.version} replaces ${seat.document.version}`
          : version !== undefined && hasFailedForGood(draft, slot, version)
            ? `version ${version.version} could not take over: ${slot.failed?.reason}`
            : undefined
  if (because === undefined) return
  if (slot.command === undefined && version !== undefined && active.includes(slot.index)) {
    if (swap(draft, fn, slot, version)) return
  }
  drain(draft, slot, draft.taskOf(seat), because)
}

/**
 * Whether a superfluous instance may end: once others have taken its partitions, or if nobody can, or nobody did in
 * time.
 */
function mayRetire(draft: Draft, fn: FunctionState, slot: Slot, active: readonly number[]): boolean {
  const { seat } = slot
  if (seat === undefined || (seat.document.shares.length === 0 && awaitedOf(seat).length === 0)) return true
  const others = fn.slots.filter((other) => active.includes(other.index))
  // An instance that this leader has not heard yet may still be able to take them.
  const isUnheard = ({ seat }: Slot): boolean => seat !== undefined && draft.taskOf(seat).beat === undefined
  if (!others.some((other) => isAtWork(draft, fn, other) || isUnheard(other))) return true
  slot.retiringSinceMs ??= draft.nowMs
  return due(draft, fn.name, slot.retiringSinceMs + timings.retireMs)
}

function isUnwanted(draft: Draft, name: string): boolean {
  const wanted = draft.state.wanted.functions.get(name)
  return wanted === undefined || wanted.document.deleted === true
}

/** A new version starts without the failures of the one before. */
function startAfresh(draft: Draft, slot: Slot, version: number): void {
  slot.restarts = 0
  slot.restartsVersion = version
  delete slot.untilMs
  if (slot.phase !== 'waiting') draft.enter(slot, 'waiting')
}

/**
 * Stops an instance. A runner of its own gets the cluster's kill, which it takes as a request to drain. A packed
 * instance is left out of its runner's next assignment.
 */
function drain(draft: Draft, slot: Slot, task: Task, why: string): void {
  draft.enter(slot, 'draining', why)
  draft.act({
    kind: 'log',
    level: 'info',
    message: `${slot.seat?.document.instance} is stopped: ${why}`,
    task: task.document.taskId,
  })
  if (task.document.group === undefined) kill(draft, task)
  else draft.wakeAt(ownerOf(task), draft.nowMs + timings.releaseMs)
}

/** Kills a task that misbehaves; this counts as its failure. */
function blame(draft: Draft, task: Task, fault: string): void {
  task.fault = fault
  draft.act({
    kind: 'log',
    level: 'warn',
    message: `a runner is killed: ${fault}`,
    task: task.document.taskId,
  })
  for (const { slot } of draft.seated(task))
    if (slot.phase !== 'draining') draft.enter(slot, 'draining', fault)
  kill(draft, task)
}

function kill(draft: Draft, task: Task): void {
  task.killedAtMs = draft.nowMs
  draft.wakeAt(ownerOf(task), draft.nowMs + timings.killAgainMs)
  const { taskId, agentId } = task.document
  // This leader launched the task and never heard it: it never got an assignment, so there is nothing to drain.
  const isEmpty = task.isKnown && task.beat === undefined
  draft.act({ kind: 'kill', taskId, agentId, ...(isEmpty && { atOnce: true as const }) })
}

function only<T>(entries: ReadonlyMap<string, T>, names: ReadonlySet<string>): Map<string, T> {
  return new Map([...entries].filter(([name]) => names.has(name)))
}

/** Whether a time has come. If not, it schedules another look at the owner then. */
function due(draft: Draft, owner: string | undefined, atMs: number): boolean {
  if (draft.nowMs >= atMs) return true
  draft.wakeAt(owner, atMs)
  return false
}

/**
 * Recomputes the topology if a function's contribution to it has changed.
 * @returns Whether the topology is another.
 */
function describeAgain(draft: Draft, names: readonly string[], all: boolean): boolean {
  let isNews = all
  for (const name of names) {
    const fn = draft.fn(name)
    const described = JSON.stringify([
      manifestsOf(draft, fn).map(({ version, deployedAtMs }) => [version, deployedAtMs]),
      readersOf(fn, draft.state.active.get(name)),
    ])
    if (fn.described !== described) isNews = true
    fn.described = described
  }
  if (!isNews) return false
  const topology = describe(draft)
  if (isEqual(topology, draft.state.topology)) return false
  draft.state.topology = topology
  return true
}

/** The versions that count for the description of a function's streams, the wanted one first. */
function manifestsOf(draft: Draft, fn: FunctionState): VersionDocument[] {
  const found = draft.state.wanted.functions.get(fn.name)
  const inForce = versionsInForce(found)
  const others = new Set(fn.slots.flatMap((slot) => slot.seat?.document.version ?? []))
  for (const { version } of inForce) others.delete(version)
  const seated = [...others].map((version) => found?.versions.get(version))
  return [...inForce, canaryOf(found)?.version, ...seated].filter((version) => version !== undefined)
}

function describe(draft: Draft) {
  const all = [...draft.functions.values()]
  const manifests = all.flatMap((fn) => manifestsOf(draft, fn)).map(({ manifest }) => manifest)
  const followers = new Map(
    [...draft.state.wanted.followers].map(([stream, byId]) => [
      stream,
      new Map([...byId].filter(([id]) => draft.state.followersSeen.has(`${stream}/${id}`))),
    ]),
  )
  const readers = new Map(all.map((fn) => [fn.name, readersOf(fn, draft.state.active.get(fn.name))]))
  return describeStreams({ manifests, readers, streams: draft.state.wanted.streams, followers })
}

function dropOrphanedCommands(draft: Draft): void {
  const { commands, functions } = draft.state.wanted
  for (const [id, { function: name }] of commands)
    if (!draft.functions.has(name) && !functions.has(name)) finish(draft, id)
}

function closeAccounts(draft: Draft, fn: FunctionState): void {
  const open = fn.closing.filter((last) => isOpen(fn, last, draft.nowMs))
  const ground = { topology: draft.state.topology, isOver: true }
  for (const last of fn.closing) if (!open.includes(last)) fn.ended = addAccounts(fn.ended, last, ground)
  fn.closing = open
  if (open.length === 0) return
  for (const { endedAtMs } of open) due(draft, fn.name, endedAtMs + timings.closingMs)
  const gone = whoIsGone(fn)
  if (
    gone.length === 0 ||
    !due(draft, fn.name, (fn.askedMs ?? Number.NEGATIVE_INFINITY) + timings.askAgainMs)
  )
    return
  fn.askedMs = draft.nowMs
  draft.act({ kind: 'askReceivers', gone })
  draft.wakeAt(fn.name, draft.nowMs + timings.askAgainMs)
}

/** Writes the status. If the function is deleted and nothing of it runs, removes its documents. */
function conclude(draft: Draft, fn: FunctionState): void {
  const wanted = draft.state.wanted.functions.get(fn.name)
  if (!isUnwanted(draft, fn.name)) {
    fn.removing = false
    saveStatus(draft, fn, false)
  } else if (fn.slots.some((slot) => slot.seat !== undefined) || isAwaited(fn, draft.nowMs))
    saveStatus(draft, fn, false)
  else if (wanted === undefined && fn.removing) forget(draft, fn.name)
  else if (!fn.removing) {
    fn.removing = true
    for (const [id, command] of draft.state.wanted.commands)
      if (command.function === fn.name) finish(draft, id)
    bequeath(draft, fn)
    draft.act({ kind: 'removeFunction', function: fn.name, versions: [...(wanted?.versions.keys() ?? [])] })
  }
}

function forget(draft: Draft, name: string): void {
  draft.functions.delete(name)
  draft.agenda.delete(name)
  draft.state.active = new Map([...draft.state.active].filter(([other]) => other !== name))
}
