/**
 * Status: what the scheduler publishes about a function. Derived from the state, and written when it changes.
 * @module
 */
import type { InstanceStatus, StatusDocument } from '../../infra/store/index.ts'
import { addAccounts } from './accounts.ts'
import { besideText } from './instances/beside.ts'
import type { Draft } from './state/draft.ts'
import { isRetiring } from './state/roles.ts'
import { type FunctionState, instanceId, type Slot } from './state/state.ts'

const messageMax = 400

/**
 * Writes the status if it differs from the last one written.
 * @param urgent Write it before the actions that follow.
 */
export function saveStatus(draft: Draft, fn: FunctionState, urgent: boolean): void {
  const document = statusOf(draft, fn)
  const json = JSON.stringify(document)
  if (json === fn.statusJson && !urgent) return
  fn.statusJson = json
  draft.act({ kind: 'saveStatus', document, urgent })
}

function statusOf(draft: Draft, fn: Readonly<FunctionState>): StatusDocument {
  const version = draft.state.wanted.functions.get(fn.name)?.document.version
  const { topology } = draft.state
  return {
    schema: 1,
    function: fn.name,
    version: version ?? fn.slots[0]?.seat?.document.version ?? 0,
    instances: fn.slots.map((slot) => instanceStatus(draft, fn, slot)),
    ended: fn.closing.reduce((sum, last) => addAccounts(sum, last, { topology, isOver: false }), fn.ended),
    ...(fn.former === undefined ? {} : { former: fn.former }),
    ...(fn.fences.length === 0 ? {} : { fences: fn.fences }),
  }
}

function instanceStatus(draft: Draft, fn: Readonly<FunctionState>, slot: Readonly<Slot>): InstanceStatus {
  const seat = slot.seat?.document
  const task = seat === undefined ? undefined : draft.tasks.get(seat.taskId)
  const why = slot.why ?? besideText(draft, fn, slot)
  return {
    id: instanceId(fn.name, slot.index),
    index: slot.index,
    epoch: seat?.epoch ?? 0,
    version: seat?.version ?? draft.versionAt(fn.name, slot.index)?.version ?? 0,
    state: slot.phase,
    ...(isRetiring(slot) && { retiring: true as const }),
    ...(slot.command?.kind === 'remove' && { leaving: true as const }),
    ...(task === undefined
      ? {}
      : { taskId: task.document.taskId, agent: task.document.agentId, hostname: task.document.hostname }),
    generation: task?.assigned?.generation ?? 0,
    generationSeen: task?.beat?.generation ?? 0,
    restarts: slot.restarts,
    since: slot.sinceMs,
    ...(slot.lastExit === undefined
      ? {}
      : { lastExit: { ...slot.lastExit, message: cut(slot.lastExit.message) } }),
    ...(seat === undefined || seat.shares.length === 0 ? {} : { shares: seat.shares }),
    ...(why === undefined ? {} : { why: cut(why) }),
    ...(task?.document.placed === undefined ? {} : { placed: cut(task.document.placed) }),
  }
}

/** Shortens a long message, such as a stack trace: one document holds many messages. */
function cut(message: string): string {
  return message.length <= messageMax ? message : `${message.slice(0, messageMax)} …`
}
