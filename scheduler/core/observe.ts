/**
 * Observe: takes what has happened into the state. It decides nothing but what has ended; `plan` does the rest.
 * @module
 */

import type { Heartbeat } from '../../infra/control/messages.ts'
import type { InstanceStatus, TaskDocument } from '../../infra/store/index.ts'
import { assertNever } from '../../sdk/errors.ts'
import type { TaskUpdate } from '../engine.ts'
import { sendAssignment } from './assignments.ts'
import { type Draft, newSlot } from './draft.ts'
import { endTask } from './endings.ts'
import type { Event } from './protocol.ts'
import type { Slot, Task, Wanted } from './state.ts'
import { saveStatus } from './status.ts'
import { timings } from './timings.ts'

/** @returns Whether there may be something to do about it. */
export function observe(draft: Draft, event: Event): boolean {
  switch (event.kind) {
    case 'restored':
      restore(draft, event)
      return true
    case 'wanted':
      want(draft, event.wanted)
      return true
    case 'heartbeat':
      return hear(draft, event.heartbeat)
    case 'bus':
      draft.state.busUp = event.up
      if (event.up) forgiveSilence(draft)
      return true
    case 'connected':
      draft.state.engineUp = true
      draft.state.offersWanted = undefined
      return true
    case 'disconnected':
      draft.state.engineUp = false
      draft.state.offers = new Map()
      return true
    case 'offers':
      draft.state.offers = new Map([
        ...draft.state.offers,
        ...event.offers.map((offer) => [offer.id, offer] as const),
      ])
      return true
    case 'rescinded':
      draft.state.offers = new Map([...draft.state.offers].filter(([id]) => id !== event.offerId))
      return true
    case 'task':
      update(draft, event.update)
      return true
    case 'tick':
      return true
    default:
      return assertNever(event)
  }
}

/** Seats the tasks that an earlier leader has left: they run on, and their heartbeats will tell the rest. */
function restore(draft: Draft, left: Extract<Event, { kind: 'restored' }>): void {
  for (const [name, epoch] of left.epochs) draft.epochs.set(name, epoch)
  for (const status of left.statuses) {
    const fn = draft.fn(status.function)
    fn.ended = status.ended
    // A seat that merely waits has nothing to remember; it may even have been given up since.
    const seats = status.instances.filter((instance) => instance.state !== 'waiting' || instance.restarts > 0)
    fn.slots = seats.map((instance) => restoredSlot(instance, draft.nowMs))
  }
  const statuses = new Map(left.statuses.map((status) => [status.function, status]))
  for (const document of left.tasks) {
    const before = statuses
      .get(document.function)
      ?.instances.find((instance) => instance.index === document.index)
    adopt(draft, document, before)
  }
  want(draft, left.wanted)
  for (const fn of draft.functions.values()) fn.slots.sort((a, b) => a.index - b.index)
}

function restoredSlot(instance: InstanceStatus, nowMs: number): Slot {
  const slot = newSlot(instance.index, nowMs, instance.version)
  slot.restarts = instance.restarts
  if (instance.lastExit !== undefined) slot.lastExit = instance.lastExit
  if (instance.state === 'crashLooping' || instance.state === 'backingOff') {
    slot.phase = instance.state
    slot.sinceMs = instance.since
    if (instance.why !== undefined) slot.why = instance.why
    // When it was to end is not known: the longest that it can have been is over by then.
    if (instance.state === 'backingOff') slot.untilMs = nowMs + timings.backoffBaseMs
  }
  return slot
}

function adopt(draft: Draft, document: TaskDocument, before: InstanceStatus | undefined): void {
  const fn = draft.fn(document.function)
  let slot = fn.slots.find((candidate) => candidate.index === document.index)
  if (slot === undefined) {
    slot = newSlot(document.index, draft.nowMs, document.version)
    fn.slots.push(slot)
  }
  // One that has been running is left alone, however long it is silent; of the others the cluster is asked.
  const ran =
    before?.taskId === document.taskId && (before.state === 'running' || before.state === 'draining')
  slot.task = { document, ...(ran ? { runningSinceMs: document.launchedAtMs } : {}) }
  slot.phase = ran ? 'running' : 'launching'
  slot.sinceMs = ran && before.state === 'running' ? before.since : draft.nowMs
  delete slot.untilMs
  delete slot.why
}

function want(draft: Draft, wanted: Wanted): void {
  draft.state.wanted = wanted
  draft.state.finished = new Set([...draft.state.finished].filter((id) => wanted.commands.has(id)))
  const seen = new Map<string, { readonly renewedAtMs: number; readonly seenAtMs: number }>()
  for (const [stream, followers] of wanted.followers) {
    for (const [id, { renewedAtMs }] of followers) {
      const key = `${stream}/${id}`
      const before = draft.state.followersSeen.get(key)
      seen.set(key, before?.renewedAtMs === renewedAtMs ? before : { renewedAtMs, seenAtMs: draft.nowMs })
    }
  }
  draft.state.followersSeen = seen
}

function hear(draft: Draft, beat: Heartbeat): boolean {
  if (beat.kind !== 'runner') return false
  const found = draft.findTask(beat.id)
  if (found === undefined) return hearLast(draft, beat)
  const { fn, slot, task } = found
  const news =
    task.beat === undefined || task.beat.generation !== beat.generation || slot.phase === 'launching'
  task.beat = beat
  task.beatAtMs = draft.nowMs
  task.runningSinceMs ??= draft.nowMs
  delete task.unsureSinceMs
  if (slot.phase === 'launching') draft.enter(slot, 'starting')
  if (slot.phase === 'starting' && beat.generation > 0 && beat.generation === task.assigned?.generation) {
    draft.enter(slot, 'running')
  }
  // An answer may have been lost: say it again at each beat that shows an older generation.
  if (!news && task.assigned !== undefined && beat.generation < task.assigned.generation)
    sendAssignment(draft, task)
  if (news) saveStatus(draft, fn, false)
  return news
}

/** The heartbeat of a task that has no seat: one that has just ended, or a stranger, which is told to go. */
function hearLast(draft: Draft, beat: Heartbeat): boolean {
  for (const [name, fn] of draft.functions) {
    const at = fn.closing.findIndex((closing) => closing.taskId === beat.id)
    if (at < 0) continue
    const own = draft.fn(name)
    const closing = own.closing[at]
    if (closing === undefined) return false
    closing.beat = beat
    const slot = own.slots.find((candidate) => candidate.index === closing.index)
    if (beat.exit !== undefined && slot?.lastExit !== undefined && slot.lastExit.atMs === closing.endedAtMs) {
      slot.lastExit = { ...slot.lastExit, message: beat.exit.message }
    }
    return true
  }
  if (beat.state !== 'stopped' && beat.exit === undefined) {
    draft.act({ kind: 'log', level: 'warn', message: 'a runner that nobody placed is killed', task: beat.id })
    draft.act({ kind: 'kill', taskId: beat.id })
  }
  return false
}

/** While NATS was away nobody could be heard: silence counts from now. */
function forgiveSilence(draft: Draft): void {
  for (const name of [...draft.functions.keys()]) {
    for (const slot of draft.fn(name).slots) {
      if (slot.phase === 'starting') slot.sinceMs = draft.nowMs
      if (slot.task?.unsureSinceMs !== undefined) slot.task.unsureSinceMs = draft.nowMs
    }
  }
}

function update(draft: Draft, update: TaskUpdate): void {
  const found = draft.findTask(update.taskId)
  if (found !== undefined)
    updateTask(draft, found.slot, found.task, update, () =>
      endTask(draft, found.fn, found.slot, found.task, update),
    )
  else if (update.condition === 'pending' || update.condition === 'running') {
    draft.act({
      kind: 'log',
      level: 'warn',
      message: 'a task that nobody placed is killed',
      task: update.taskId,
    })
    draft.act({
      kind: 'kill',
      taskId: update.taskId,
      ...(update.agentId === undefined ? {} : { agentId: update.agentId }),
    })
  }
  if (update.receipt !== undefined) draft.act({ kind: 'acknowledge', update })
}

function updateTask(draft: Draft, slot: Slot, task: Task, update: TaskUpdate, end: () => void): void {
  switch (update.condition) {
    case 'pending':
      delete task.unsureSinceMs
      return
    case 'running':
      delete task.unsureSinceMs
      task.runningSinceMs ??= draft.nowMs
      if (slot.phase === 'launching') draft.enter(slot, 'starting')
      return
    case 'unsure':
      task.unsureSinceMs ??= draft.nowMs
      return
    case 'exited':
    case 'dropped':
    case 'refused':
    case 'lost':
      end()
      return
    default:
      assertNever(update.condition)
  }
}
