/**
 * Observe: applies an event to the state. It decides nothing except which seats and tasks have ended; `plan` does the
 * rest.
 * @module
 */

import type { AllowanceNotice } from '../../infra/control/messages/accounts.ts'
import type { Heartbeat } from '../../infra/control/messages/heartbeat.ts'
import type { InstanceStatus, SeatDocument } from '../../infra/store/index.ts'
import { assertNever } from '../../sdk/errors.ts'
import type { TaskUpdate } from '../engine.ts'
import { closed, toExisting } from './accounts.ts'
import { sendAssignment } from './assigning.ts'
import { endFailed, endTask, logReturn } from './endings.ts'
import { forgiveGateways, observeGateway, seeFollowers } from './followers.ts'
import { withoutBequeathed } from './former.ts'
import { observeGone } from './gone.ts'
import { forgetAgents, heardOfAgents, heardOfTask } from './known-agents.ts'
import { awaitedOf } from './partitions/ownership.ts'
import { observeVersion } from './rollout/rollout.ts'
import { type Draft, newSlot, newTask, type Seated } from './state/draft.ts'
import { isEqual } from './state/equality.ts'
import { noteStarted } from './state/failed-agents.ts'
import type { Event } from './state/protocol.ts'
import { isOf, isUnheard, reportIn, reportOf, worksAsTold } from './state/reports.ts'
import { noteServing } from './state/starts.ts'
import { type Closing, instanceId, type Slot, type Task, type Wanted } from './state/state.ts'
import { timings } from './state/timings.ts'
import { saveStatus } from './status.ts'

/** What the next plan has to look at: nothing, the functions that the event was about, or everything. */
export type Concern = 'nothing' | 'some' | 'all'

export function observe(draft: Draft, event: Event): Concern {
  switch (event.kind) {
    case 'restored':
      restore(draft, event)
      return 'all'
    case 'wanted':
      return want(draft, event.wanted)
    case 'heartbeat':
      return observeHeartbeat(draft, event.heartbeat) ? 'some' : 'nothing'
    case 'allowance':
      return allow(draft, event.notice) ? 'some' : 'nothing'
    case 'bus':
      draft.state.busUp = event.up
      if (event.up) {
        draft.state.busSinceMs = draft.nowMs
        forgiveSilence(draft)
        forgiveGateways(draft)
      }
      return 'all'
    case 'empty':
      draft.state.emptying = true
      return 'all'
    case 'connected':
      draft.state.engineUp = true
      draft.state.engineSinceMs = draft.nowMs
      draft.state.offersWanted = undefined
      forgetAgents(draft)
      return 'all'
    case 'disconnected':
      draft.state.engineUp = false
      draft.state.offers = new Map()
      return 'all'
    case 'offers':
      draft.state.offers = new Map([
        ...draft.state.offers,
        ...event.offers.map((offer) => [offer.id, offer] as const),
      ])
      heardOfAgents(
        draft,
        event.offers.map(({ agentId }) => agentId),
      )
      return 'some'
    case 'rescinded':
      draft.state.offers = new Map([...draft.state.offers].filter(([id]) => id !== event.offerId))
      return 'some'
    case 'task':
      update(draft, event.update)
      return 'some'
    case 'tick':
      return 'some'
    default:
      return assertNever(event)
  }
}

/**
 * Takes over the tasks and seats that an earlier leader has left. They continue to run; their heartbeats supply the
 * rest.
 */
function restore(draft: Draft, left: Extract<Event, { kind: 'restored' }>): void {
  for (const [name, epoch] of left.epochs) draft.epochs.set(name, epoch)
  for (const status of left.statuses) {
    const fn = draft.fn(status.function)
    // an earlier leader's open accounts are closed, not waited for
    fn.ended = closed(toExisting(withoutBequeathed(status, left.statuses, left.wanted), left.wanted))
    fn.former = status.former
    fn.fences = status.fences ?? []
    // A slot that only waits carries no history, and may have been given up since its status was written.
    const slots = status.instances.filter((instance) => instance.state !== 'waiting' || instance.restarts > 0)
    fn.slots = slots.map((instance) => restoredSlot(instance, draft.nowMs))
  }
  for (const document of left.tasks) draft.addTask(newTask(document, draft.nowMs, false))
  const statuses = new Map(left.statuses.map((status) => [status.function, status]))
  for (const document of left.seats) {
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
    slot.sinceMs = Math.min(instance.since, nowMs)
    if (instance.why !== undefined) slot.why = instance.why
    // The end of the back-off was not stored. One base delay from now is late enough.
    if (instance.state === 'backingOff') slot.untilMs = nowMs + timings.backoffBaseMs
  }
  return slot
}

function adopt(draft: Draft, document: SeatDocument, before: InstanceStatus | undefined): void {
  const task = draft.task(document.taskId)
  // The task has ended. Its seats are removed after it, so an earlier leader may have left some.
  if (task === undefined) return draft.act({ kind: 'removeSeat', instance: document.instance })
  const fn = draft.fn(document.function)
  let slot = fn.slots.find((candidate) => candidate.index === document.index)
  if (slot === undefined) {
    slot = newSlot(document.index, draft.nowMs, document.version)
    fn.slots.push(slot)
  }
  // An instance that was running is trusted, however long it is silent. For all others the cluster is asked.
  const known = before?.taskId === document.taskId ? before : undefined
  const ran = known !== undefined && ['running', 'swapping', 'draining'].includes(known.state)
  // The earlier leader's clock may have been ahead of ours: no start may lie in the future.
  const launchedAtMs = Math.min(task.document.launchedAtMs, draft.nowMs)
  const knownSinceMs = Math.min(known?.since ?? draft.nowMs, draft.nowMs)
  if (ran) task.runningSinceMs = launchedAtMs
  task.seats = [...task.seats, { function: document.function, index: document.index }]
  slot.seat = { document, ...(ran ? { runningSinceMs: Math.max(launchedAtMs, knownSinceMs) } : {}) }
  slot.phase = ran ? 'running' : 'launching'
  slot.sinceMs = known?.state === 'running' ? knownSinceMs : draft.nowMs
  delete slot.untilMs
  delete slot.why
}

/** Takes a new reading of the store. Most functions are the same as in the one before. */
function want(draft: Draft, wanted: Wanted): Concern {
  const before = draft.state.wanted
  draft.state.wanted = wanted
  for (const name of new Set([...before.functions.keys(), ...wanted.functions.keys()]))
    if (!isEqual(before.functions.get(name), wanted.functions.get(name))) draft.fn(name)
  for (const [id, command] of [...before.commands, ...wanted.commands])
    if (before.commands.has(id) !== wanted.commands.has(id) && draft.functions.has(command.function))
      draft.fn(command.function)
  draft.state.finished = new Set([...draft.state.finished].filter((id) => wanted.commands.has(id)))
  const isAsBefore = seeFollowers(draft, wanted)
  return isAsBefore && isEqual(before.streams, wanted.streams) ? 'some' : 'all'
}

function observeHeartbeat(draft: Draft, beat: Heartbeat): boolean {
  observeGateway(draft, beat)
  if (beat.kind !== 'runner') return false
  const last = observeLastBeat(draft, beat)
  const isOfGone = observeGone(draft, beat)
  const task = draft.task(beat.id)
  if (task === undefined) {
    if (!last) killStranger(draft, beat)
    return last || isOfGone
  }
  if (isUnheard(task)) noteStarted(draft, task)
  let news = last || task.beat === undefined || task.beat.generation !== beat.generation
  task.beat = beat
  task.beatAtMs = draft.nowMs
  task.runningSinceMs ??= draft.nowMs
  delete task.unsureSinceMs
  for (const seated of draft.seated(task)) if (observeSeat(draft, task, seated)) news = true
  // The assignment may have been lost: send it again at each heartbeat that shows an older generation.
  if (!news && task.assigned !== undefined && beat.generation < task.assigned.generation)
    sendAssignment(draft, task)
  // Reports of a canary or a shadow are always judged, but they do not show that the runner has read its assignment.
  return (
    news ||
    isOfGone ||
    beat.instances.some(({ canary, shadow }) => canary !== undefined || shadow !== undefined)
  )
}

/** Applies a heartbeat to one seat. @returns Whether it changed anything. */
function observeSeat(draft: Draft, task: Task, seated: Seated): boolean {
  const { fn, slot, seat } = seated
  const before = slot.phase
  if (slot.phase === 'launching') start(draft, slot)
  seat.runningSinceMs ??= draft.nowMs
  delete slot.failedLaunches
  const report = reportOf(task, seat)
  const took = awaitedOf(seat).some(({ share }) => report?.awaited?.includes(share) !== true)
  if (report?.exit !== undefined && task.document.group !== undefined) {
    endFailed(draft, task, seated, report.exit)
    return true
  }
  const works = worksAsTold(task) && report?.state === 'running' && report.epoch === seat.document.epoch
  if (slot.phase === 'starting' && works) {
    draft.enter(slot, 'running')
    noteServing(fn, seat, draft.nowMs)
    logReturn(draft, task, seated)
  }
  const news = works && observeVersion(draft, slot, seat, report)
  if (slot.phase === before) return news || (took && works)
  saveStatus(draft, fn, false)
  return true
}

/** Notes that the task of a slot lives. */
function start(draft: Draft, slot: Slot): void {
  draft.enter(slot, 'starting')
  if (slot.seat !== undefined) slot.seat.runningSinceMs ??= draft.nowMs
}

/**
 * Takes the last reports of instances that have left their seats, or whose task has just ended.
 * @returns Whether there were any.
 */
function observeLastBeat(draft: Draft, beat: Heartbeat): boolean {
  let any = false
  for (const [name, { closing }] of draft.functions) {
    if (!closing.some(({ taskId }) => taskId === beat.id)) continue
    any = true
    const fn = draft.fn(name)
    for (const last of fn.closing.filter(({ taskId }) => taskId === beat.id)) {
      last.report = reportIn(beat, instanceId(name, last.index), last) ?? last.report
      const slot = fn.slots.find((candidate) => candidate.index === last.index)
      if (beat.exit !== undefined && slot?.lastExit?.atMs === last.endedAtMs)
        slot.lastExit = { ...slot.lastExit, message: beat.exit.message }
    }
  }
  return any
}

/**
 * Takes an allowance notice: how much an instance may have sent before its next report.
 * @returns Whether the instance had ended already.
 */
function allow(draft: Draft, notice: AllowanceNotice): boolean {
  const task = draft.task(notice.taskId)
  const isAtWork = ({ seat: { document } }: Seated): boolean =>
    document.instance === notice.instance && isOf(notice, document)
  if (task !== undefined && draft.seated(task).some(isAtWork))
    task.notices = new Map(task.notices).set(notice.instance, notice)
  const name = notice.instance.slice(0, notice.instance.lastIndexOf('-'))
  const isOfIt = (last: Readonly<Closing>): boolean =>
    last.taskId === notice.taskId && instanceId(name, last.index) === notice.instance && isOf(notice, last)
  if (draft.functions.get(name)?.closing.some(isOfIt) !== true) return false
  for (const last of draft.fn(name).closing) if (isOfIt(last)) last.notice = notice
  return true
}

/** Kills a runner whose task is unknown, unless it is ending anyway. */
function killStranger(draft: Draft, beat: Heartbeat): void {
  if (beat.state === 'stopped' || beat.exit !== undefined) return
  draft.act({ kind: 'log', level: 'warn', message: 'a runner that nobody placed is killed', task: beat.id })
  draft.act({ kind: 'kill', taskId: beat.id })
}

/**
 * Restarts the silence of every task, and gives up measuring the starts under way (ST2 of starts.ts): while NATS was away,
 * no runner could be heard.
 */
function forgiveSilence(draft: Draft): void {
  for (const name of [...draft.functions.keys()]) {
    for (const slot of draft.fn(name).slots) {
      if (slot.phase === 'starting') slot.sinceMs = draft.nowMs
      delete slot.seat?.placedAtMs
    }
  }
  for (const taskId of [...draft.tasks.keys()]) {
    const task = draft.task(taskId)
    if (task?.unsureSinceMs !== undefined) task.unsureSinceMs = draft.nowMs
  }
}

function update(draft: Draft, update: TaskUpdate): void {
  const task = draft.task(update.taskId)
  if (task !== undefined) updateTask(draft, task, update)
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
  heardOfTask(draft, update.agentId ?? task?.document.agentId, update.condition)
  if (update.receipt !== undefined) draft.act({ kind: 'acknowledge', update })
}

function updateTask(draft: Draft, task: Task, update: TaskUpdate): void {
  switch (update.condition) {
    case 'pending':
      delete task.unsureSinceMs
      return
    case 'running':
      delete task.unsureSinceMs
      task.runningSinceMs ??= draft.nowMs
      for (const { slot } of draft.seated(task)) if (slot.phase === 'launching') start(draft, slot)
      return
    case 'unsure':
      task.unsureSinceMs ??= draft.nowMs
      return
    case 'exited':
    case 'dropped':
    case 'notStarted':
    case 'refused':
    case 'lost':
      endTask(draft, task, update)
      return
    default:
      assertNever(update.condition)
  }
}
