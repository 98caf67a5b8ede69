/**
 * Plan: compares what is wanted with what is and moves one step closer. It is level-triggered: run twice, it does
 * nothing the second time; whatever was missed, the next run sees.
 * @module
 */
import { addAccounts } from './accounts.ts'
import { assignShares } from './assignments.ts'
import type { Draft } from './draft.ts'
import { endTask } from './endings.ts'
import { launchWaiting } from './launching.ts'
import { finish, seat } from './seats.ts'
import type { FunctionState, Slot, Task } from './state.ts'
import { saveStatus } from './status.ts'
import { timings } from './timings.ts'
import { describeStreams } from './topology.ts'

export function plan(draft: Draft): void {
  draft.state.wakeAtMs = Number.POSITIVE_INFINITY
  const names = [...new Set([...draft.functions.keys(), ...draft.state.wanted.functions.keys()])].sort()
  dropOrphanedCommands(draft, new Set(names))
  dropFollowers(draft)
  const active = new Map<string, readonly number[]>()
  for (const name of names) {
    const fn = draft.fn(name)
    closeAccounts(draft, fn)
    for (const slot of fn.slots) watch(draft, fn, slot)
    active.set(name, seat(draft, fn))
    for (const slot of fn.slots) direct(draft, fn, slot, active.get(name) ?? [])
  }
  draft.state.topology = describe(draft)
  for (const name of names) {
    const version = draft.wantedVersion(name)
    if (version !== undefined) assignShares(draft, draft.fn(name), version, active.get(name) ?? [])
  }
  launchWaiting(draft, active)
  for (const name of names) conclude(draft, draft.fn(name))
}

/** Time's part: what has been silent, unseen or unkillable for too long. */
function watch(draft: Draft, fn: FunctionState, slot: Slot): void {
  const task = slot.task
  if (task === undefined) {
    if (slot.phase === 'backingOff' && due(draft, slot.untilMs ?? 0)) {
      delete slot.untilMs
      draft.enter(slot, 'waiting')
    }
    return
  }
  if (task.unsureSinceMs !== undefined && draft.state.busUp) {
    const heardMs = Math.max(task.unsureSinceMs, task.beatAtMs ?? 0)
    if (due(draft, heardMs + timings.unsureMs)) {
      kill(draft, task)
      const message = `the cluster lost sight of it and it was silent for ${timings.unsureMs / 1000} s`
      endTask(draft, fn, slot, task, { taskId: task.document.taskId, condition: 'lost', message })
      return
    }
  }
  if (
    slot.phase === 'launching' &&
    due(draft, (task.askedAtMs ?? slot.sinceMs) + timings.launchingSilenceMs)
  ) {
    task.askedAtMs = draft.nowMs
    draft.wakeAt(draft.nowMs + timings.launchingSilenceMs)
    draft.act({ kind: 'reconcile', taskId: task.document.taskId, agentId: task.document.agentId })
  }
  if (slot.phase === 'starting' && draft.state.busUp) {
    const heardMs = Math.max(slot.sinceMs, task.beatAtMs ?? 0)
    if (due(draft, heardMs + timings.startingSilenceMs)) {
      task.fault = `it was started and not heard of for ${timings.startingSilenceMs / 1000} s`
      drain(draft, slot, task, task.fault)
    }
  }
  if (slot.phase === 'draining' && due(draft, (task.killedAtMs ?? 0) + timings.killAgainMs)) kill(draft, task)
}

/** Want's part: who has to go. */
function direct(draft: Draft, fn: FunctionState, slot: Slot, active: readonly number[]): void {
  const version = draft.wantedVersion(fn.name)
  const task = slot.task
  if (task === undefined) {
    if (version !== undefined && slot.restartsVersion !== version.version)
      startAfresh(draft, slot, version.version)
    return
  }
  if (slot.phase === 'draining') return
  // A function whose version document is not there yet is left as it is, unless it is to go.
  const gone = version === undefined && isUnwanted(draft, fn.name)
  const because = gone
    ? 'the function is deleted'
    : slot.command !== undefined
      ? 'it was asked to restart'
      : version !== undefined && !active.includes(slot.index)
        ? 'fewer instances are wanted'
        : version !== undefined && task.document.version !== version.version
          ? `version ${version.version} replaces ${task.document.version}`
          : undefined
  if (because !== undefined) drain(draft, slot, task, because)
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

/** One way to stop an instance: the cluster's kill, whose first signal the runner takes as the wish to drain. */
function drain(draft: Draft, slot: Slot, task: Task, why: string): void {
  draft.enter(slot, 'draining', why)
  draft.act({
    kind: 'log',
    level: 'info',
    message: `${task.document.instance} is stopped: ${why}`,
    task: task.document.taskId,
  })
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

function describe(draft: Draft) {
  const manifests = [...draft.functions.values()].flatMap((fn) => {
    const versions = draft.state.wanted.functions.get(fn.name)?.versions
    const wanted = draft.wantedVersion(fn.name)
    const others = new Set(fn.slots.flatMap((slot) => slot.task?.document.version ?? []))
    if (wanted !== undefined) others.delete(wanted.version)
    return [wanted, ...[...others].map((version) => versions?.get(version))].flatMap(
      (version) => version?.manifest ?? [],
    )
  })
  const followers = new Map(
    [...draft.state.wanted.followers].map(([stream, byId]) => [
      stream,
      [...byId.keys()].filter((id) => draft.state.followersSeen.has(`${stream}/${id}`)),
    ]),
  )
  return describeStreams({ manifests, streams: draft.state.wanted.streams, followers })
}

function dropFollowers(draft: Draft): void {
  const seen = new Map(draft.state.followersSeen)
  for (const [stream, byId] of draft.state.wanted.followers) {
    for (const follower of byId.keys()) {
      const at = seen.get(`${stream}/${follower}`)
      if (at === undefined || !due(draft, at.seenAtMs + timings.followerMs)) continue
      seen.delete(`${stream}/${follower}`)
      draft.act({ kind: 'removeFollower', stream, follower })
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
  fn.ended = closed.reduce((sum, closing) => addAccounts(sum, closing.beat), fn.ended)
  fn.closing = open
}

/** Writes the status; of a function that is deleted and empty, removes all that is left. */
function conclude(draft: Draft, fn: FunctionState): void {
  const wanted = draft.state.wanted.functions.get(fn.name)
  if (!isUnwanted(draft, fn.name)) {
    fn.removing = false
    saveStatus(draft, fn, false)
  } else if (fn.slots.some((slot) => slot.task !== undefined)) saveStatus(draft, fn, false)
  else if (wanted === undefined && fn.removing) draft.functions.delete(fn.name)
  else if (!fn.removing) {
    fn.removing = true
    for (const [id, command] of draft.state.wanted.commands)
      if (command.function === fn.name) finish(draft, id)
    draft.act({ kind: 'removeFunction', function: fn.name, versions: [...(wanted?.versions.keys() ?? [])] })
  }
}
