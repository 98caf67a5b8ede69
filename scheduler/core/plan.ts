/**
 * Plan: compares what is wanted with what is and moves one step closer. It is level-triggered: run twice, it does
 * nothing the second time; whatever was missed, the next run sees.
 * @module
 */
import type { VersionDocument } from '../../infra/store/index.ts'
import type { Resources } from '../engine.ts'
import { addAccounts } from './accounts.ts'
import { assignShares, awaitedOf, inForce, isAtWork, takeOver, tell } from './assignments.ts'
import { canaryOf, watchCanary } from './canary.ts'
import { Census } from './census.ts'
import type { Draft } from './draft.ts'
import { endReleased, endTask } from './endings.ts'
import { joinRunners } from './joining.ts'
import { launchWaiting, type Party, residentsOf } from './launching.ts'
import { type Ground, makeRoom } from './preemption.ts'
import { hasFailedForGood, settleRollout, swap } from './rollout.ts'
import { finish, readersOf, settleSlots } from './slots.ts'
import type { FunctionState, Slot, Task } from './state.ts'
import { saveStatus } from './status.ts'
import { timings } from './timings.ts'
import { describeStreams } from './topology.ts'
import { warmTasks } from './warm.ts'

export function plan(draft: Draft): void {
  draft.state.wakeAtMs = Number.POSITIVE_INFINITY
  const names = [...new Set([...draft.functions.keys(), ...draft.state.wanted.functions.keys()])].sort()
  dropOrphanedCommands(draft, new Set(names))
  dropFollowers(draft)
  for (const taskId of [...draft.tasks.keys()]) watch(draft, draft.task(taskId) as Task)
  if (draft.state.emptying) return empty(draft, names)
  const active = new Map<string, readonly number[]>()
  for (const name of names) {
    const fn = draft.fn(name)
    closeAccounts(draft, fn)
    for (const slot of fn.slots) endBackoff(draft, slot)
    active.set(name, settleSlots(draft, fn))
    for (const slot of fn.slots) direct(draft, fn, slot, active.get(name) ?? [])
  }
  draft.state.topology = describe(draft, active)
  joinRunners(draft, active)
  for (const name of names) {
    const version = draft.wantedVersion(name)
    if (version !== undefined) assignShares(draft, draft.fn(name), version, active.get(name) ?? [])
  }
  const warm = warmTasks(draft)
  for (const task of draft.tasks.values()) {
    tell(draft, task)
    if (task.seats.length === 0 && task.killedAtMs === undefined && !warm.has(task.document.taskId))
      kill(draft, task)
  }
  draft.state.active = active
  makeWay(draft, launchWaiting(draft, active))
  for (const name of names) {
    settleRollout(draft, draft.fn(name), active.get(name) ?? [])
    watchCanary(draft, draft.fn(name), active.get(name) ?? [])
    conclude(draft, draft.fn(name))
  }
}

/** Everything ends: all drain at once, and nothing takes their place. */
function empty(draft: Draft, names: readonly string[]): void {
  for (const taskId of [...draft.tasks.keys()]) {
    const task = draft.task(taskId) as Task
    if (task.killedAtMs !== undefined) continue
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

/** Offers have come, and time has not yet come to anything else: only what waits for them has to be looked at. */
export function planOffers(draft: Draft): void {
  if (draft.nowMs >= draft.state.wakeAtMs || draft.state.emptying) return plan(draft)
  const names = new Set([...draft.state.revivedFor].map((id) => id.slice(0, id.lastIndexOf('-'))))
  const active = new Map([...names].map((name) => [name, draft.state.active.get(name) ?? []]))
  makeWay(draft, launchWaiting(draft, active))
  for (const fn of draft.touched()) saveStatus(draft, fn, false)
}

/** Who has waited long enough has those go that are less important, on one agent. */
function makeWay(draft: Draft, waiting: readonly Party[]): void {
  for (const party of [...waiting].sort((a, b) => b.priority - a.priority)) {
    if (party.priority === 0) return
    const slots = party.members.map(({ slot }) => slot)
    // From when offers were asked for: there may be room that was not offered yet.
    const askedMs = Math.max(draft.state.revivedAtMs, ...slots.map((slot) => slot.sinceMs))
    const roomMs = Math.max(0, ...slots.map((slot) => slot.roomUntilMs ?? 0))
    if (!due(draft, Math.max(askedMs + timings.makeRoomMs, roomMs))) continue
    const room = makeRoom(party, groundsOf(draft), new Census(residentsOf(draft)))
    if (room === undefined) continue
    const { hostname } = room.place
    for (const slot of slots) {
      slot.roomUntilMs = draft.nowMs + timings.roomComesMs
      slot.why = `room is made for it on ${hostname}; ${slot.why ?? ''}`
    }
    draft.wakeAt(draft.nowMs + timings.roomComesMs)
    const why = `it makes room for ${party.id}, which is more important`
    for (const { taskId } of room.goes) {
      const task = draft.task(taskId) as Task
      for (const { slot } of draft.seated(task)) drain(draft, slot, task, why)
      // A packed one goes as a whole too: else those that have left it would come back to it.
      if (task.killedAtMs === undefined) kill(draft, task)
    }
  }
}

/** The agents on which somebody might make room; none where somebody is on the way out already. */
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

function endBackoff(draft: Draft, slot: Slot): void {
  if (slot.phase !== 'backingOff' || !due(draft, slot.untilMs ?? 0)) return
  delete slot.untilMs
  draft.enter(slot, 'waiting')
}

/** What a task has let go of, and time's part: what has been silent, unseen or unkillable for too long. */
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
    if (due(draft, heardMs + timings.unsureMs)) {
      kill(draft, task)
      const message = `the cluster lost sight of it and it was silent for ${timings.unsureMs / 1000} s`
      endTask(draft, task, { taskId, condition: 'lost', message })
      return
    }
  }
  const seated = draft.seated(task)
  const phases = new Set(seated.map(({ slot }) => slot.phase))
  if (phases.has('launching') && due(draft, (task.askedAtMs ?? task.sinceMs) + timings.launchingSilenceMs)) {
    task.askedAtMs = draft.nowMs
    draft.wakeAt(draft.nowMs + timings.launchingSilenceMs)
    draft.act({ kind: 'reconcile', taskId, agentId })
  }
  if (
    phases.has('starting') &&
    !phases.has('running') &&
    task.killedAtMs === undefined &&
    draft.state.busUp
  ) {
    const startedMs = Math.max(...seated.map(({ slot }) => slot.sinceMs))
    if (due(draft, Math.max(startedMs, task.beatAtMs ?? 0) + timings.startingSilenceMs))
      blame(draft, task, `it was started and not heard of for ${timings.startingSilenceMs / 1000} s`)
  }
  if (task.killedAtMs !== undefined && due(draft, task.killedAtMs + timings.killAgainMs)) kill(draft, task)
}

/** Instances of a packed task that were to go: gone, or at it for too long. */
function release(draft: Draft, task: Task): void {
  if (task.document.group === undefined || task.killedAtMs !== undefined) return
  for (const seated of draft.seated(task)) {
    const { slot, seat } = seated
    if (slot.phase !== 'draining') continue
    const { instance, firstEpoch } = seat.document
    const isTold = task.assigned?.instances.some(({ id, epoch }) => id === instance && epoch >= firstEpoch)
    if (inForce(task) && isTold === false) endReleased(draft, task, seated)
    else if (draft.state.busUp && due(draft, slot.sinceMs + timings.releaseMs)) {
      task.culprit = instance
      return blame(draft, task, `${instance} did not let go within ${timings.releaseMs / 1000} s`)
    }
  }
}

/** Want's part: who has to go. */
function direct(draft: Draft, fn: FunctionState, slot: Slot, active: readonly number[]): void {
  const version = draft.wantedVersion(fn.name)
  const { seat } = slot
  if (seat === undefined) {
    if (version !== undefined && slot.restartsVersion !== version.version)
      startAfresh(draft, slot, version.version)
    return
  }
  if (slot.phase === 'draining') return
  if (active.includes(slot.index)) delete slot.retiringSinceMs
  // A function whose version document is not there yet is left as it is, unless it is to go.
  const gone = version === undefined && isUnwanted(draft, fn.name)
  const because = gone
    ? 'the function is deleted'
    : slot.command !== undefined
      ? 'it was asked to restart'
      : version !== undefined && !active.includes(slot.index) && mayRetire(draft, fn, version, slot, active)
        ? 'fewer instances are wanted'
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

/** One too many goes when others have taken its partitions; or none of them can, or has. */
function mayRetire(
  draft: Draft,
  fn: FunctionState,
  version: VersionDocument,
  slot: Slot,
  active: readonly number[],
): boolean {
  const { seat } = slot
  if (seat === undefined || (seat.document.shares.length === 0 && awaitedOf(seat).length === 0)) return true
  const others = fn.slots.filter((other) => active.includes(other.index))
  if (!others.some((other) => isAtWork(draft, version, other))) return true
  slot.retiringSinceMs ??= draft.nowMs
  return due(draft, slot.retiringSinceMs + timings.retireMs)
}

function isUnwanted(draft: Draft, name: string): boolean {
  const wanted = draft.state.wanted.functions.get(name)
  return wanted === undefined || wanted.document.deleted === true
}

/** Another version owes nothing to the failures of the one before. */
function startAfresh(draft: Draft, slot: Slot, version: number): void {
  slot.restarts = 0
  slot.restartsVersion = version
  delete slot.untilMs
  if (slot.phase !== 'waiting') draft.enter(slot, 'waiting')
}

/** An instance is stopped by the cluster's kill, which the runner takes as the wish to drain; a packed one by an assignment without it. */
function drain(draft: Draft, slot: Slot, task: Task, why: string): void {
  draft.enter(slot, 'draining', why)
  draft.act({
    kind: 'log',
    level: 'info',
    message: `${slot.seat?.document.instance} is stopped: ${why}`,
    task: task.document.taskId,
  })
  if (task.document.group === undefined) kill(draft, task)
  else draft.wakeAt(draft.nowMs + timings.releaseMs)
}

/** A task that does not do what it should is killed, and that counts as its failure. */
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
  draft.wakeAt(draft.nowMs + timings.killAgainMs)
  draft.act({ kind: 'kill', taskId: task.document.taskId, agentId: task.document.agentId })
}

/** True if that time has come; else it is remembered. */
function due(draft: Draft, atMs: number): boolean {
  if (draft.nowMs >= atMs) return true
  draft.wakeAt(atMs)
  return false
}

function describe(draft: Draft, active: ReadonlyMap<string, readonly number[]>) {
  const manifests = [...draft.functions.values()].flatMap((fn) => {
    const versions = draft.state.wanted.functions.get(fn.name)?.versions
    const wanted = draft.wantedVersion(fn.name)
    const others = new Set(fn.slots.flatMap((slot) => slot.seat?.document.version ?? []))
    if (wanted !== undefined) others.delete(wanted.version)
    const canary = canaryOf(draft.state.wanted.functions.get(fn.name))?.version
    return [wanted, canary, ...[...others].map((version) => versions?.get(version))].flatMap(
      (version) => version?.manifest ?? [],
    )
  })
  const followers = new Map(
    [...draft.state.wanted.followers].map(([stream, byId]) => [
      stream,
      [...byId.keys()].filter((id) => draft.state.followersSeen.has(`${stream}/${id}`)),
    ]),
  )
  const readers = new Map(
    [...draft.functions.values()].map((fn) => [fn.name, readersOf(fn, active.get(fn.name))]),
  )
  return describeStreams({ manifests, readers, streams: draft.state.wanted.streams, followers })
}

/** They go with their documents: a store that was away, or we, may have missed that they live, and who removes one looks once more. */
function dropFollowers(draft: Draft): void {
  const seen = new Map(draft.state.followersSeen)
  for (const [stream, byId] of draft.state.wanted.followers) {
    for (const follower of byId.keys()) {
      const key = `${stream}/${follower}`
      const at = seen.get(key)
      if (at === undefined || !due(draft, at.seenAtMs + timings.followerMs)) continue
      seen.set(key, { ...at, seenAtMs: draft.nowMs })
      draft.act({ kind: 'removeFollower', stream, follower, renewedAtMs: at.renewedAtMs })
    }
  }
  draft.state.followersSeen = seen
}

function dropOrphanedCommands(draft: Draft, known: ReadonlySet<string>): void {
  for (const [id, command] of draft.state.wanted.commands) if (!known.has(command.function)) finish(draft, id)
}

function closeAccounts(draft: Draft, fn: FunctionState): void {
  const open = fn.closing.filter((closing) => !due(draft, closing.endedAtMs + timings.closingMs))
  if (open.length === fn.closing.length) return
  const closed = fn.closing.filter((closing) => !open.includes(closing))
  fn.ended = closed.reduce((sum, closing) => addAccounts(sum, closing.report), fn.ended)
  fn.closing = open
}

/** Writes the status; of a function that is deleted and empty, removes all that is left. */
function conclude(draft: Draft, fn: FunctionState): void {
  const wanted = draft.state.wanted.functions.get(fn.name)
  if (!isUnwanted(draft, fn.name)) {
    fn.removing = false
    saveStatus(draft, fn, false)
  } else if (fn.slots.some((slot) => slot.seat !== undefined)) saveStatus(draft, fn, false)
  else if (wanted === undefined && fn.removing) draft.functions.delete(fn.name)
  else if (!fn.removing) {
    fn.removing = true
    for (const [id, command] of draft.state.wanted.commands)
      if (command.function === fn.name) finish(draft, id)
    draft.act({ kind: 'removeFunction', function: fn.name, versions: [...(wanted?.versions.keys() ?? [])] })
  }
}
