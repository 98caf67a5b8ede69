/**
 * Gone: what receivers know about the instances that were killed. Every second all runners are asked about these; the
 * owner of a partition answers in its heartbeats how far the channel has come. The numbers only grow, so an answer
 * may be late, repeated, or come from two owners of one partition.
 *
 *   GO1. An account stays open for `closingMs`, and then as long as a receiver that still answers has records of it
 *        in hand.
 *   GO2. At most `openMax` accounts of a function stay open; older ones are no longer waited for.
 * Design: docs/design/0002-channels.md, "The account of a producer that is killed"
 * @module
 */
import { type Received, withRow } from '../../infra/control/index.ts'
import type { GoneProducer, ReceivedRow } from '../../infra/control/messages/accounts.ts'
import type { Heartbeat } from '../../infra/control/messages/heartbeat.ts'
import { addAccounts, lastRows, toExisting } from './accounts.ts'
import type { Draft } from './state/draft.ts'
import type { Closing, FunctionState } from './state/state.ts'
import { timings } from './state/timings.ts'

const openMax = 32

/** Whether more may be heard about an instance that has ended (GO1, GO2). */
function isOpen({ closing }: Readonly<FunctionState>, last: Readonly<Closing>, nowMs: number): boolean {
  if (nowMs < last.endedAtMs + timings.closingMs) return true
  if (closing.length - closing.indexOf(last as Closing) > openMax) return false
  const isInHand = ({ isOpen, heardAtMs }: Received): boolean =>
    isOpen && nowMs < heardAtMs + timings.receiverSilenceMs
  return [...(last.received?.values() ?? [])].some(isInHand)
}

/** Adds up the accounts that are over, and asks about those that are open (GO1). */
export function closeAccounts(draft: Draft, fn: FunctionState): void {
  const open = fn.closing.filter((last) => isOpen(fn, last, draft.nowMs))
  const ground = { topology: draft.state.topology, isOver: true }
  for (const last of fn.closing)
    if (!open.includes(last)) fn.ended = toExisting(addAccounts(fn.ended, last, ground), draft.state.wanted)
  fn.closing = open
  if (open.length === 0) return
  for (const { endedAtMs } of open) draft.isDue(fn.name, endedAtMs + timings.closingMs)
  const gone = whoIsGone(fn)
  if (
    gone.length === 0 ||
    !draft.isDue(fn.name, (fn.askedMs ?? Number.NEGATIVE_INFINITY) + timings.askAgainMs)
  )
    return
  fn.askedMs = draft.nowMs
  draft.act({ kind: 'askReceivers', gone })
  draft.wakeAt(fn.name, draft.nowMs + timings.askAgainMs)
}

/** Whether it was killed, so that its last word is missing. */
export function isGone(last: Readonly<Closing>): boolean {
  return lastRows(last).some(({ allowance }) => allowance !== undefined)
}

/** The ended instances to ask about: killed ones. The last report of an instance that drained is complete. */
export function whoIsGone({ name, closing }: Readonly<FunctionState>): GoneProducer[] {
  return closing.filter(isGone).map(({ index, firstEpoch, epoch }) => ({ name, index, firstEpoch, epoch }))
}

/** Takes a receiver's answers from its heartbeat. @returns Whether there were any. */
export function observeGone(draft: Draft, beat: Heartbeat): boolean {
  let any = false
  for (const { received = [] } of beat.instances) {
    for (const row of received) {
      if (draft.functions.get(row.name)?.closing.some((last) => isOf(row, last)) !== true) continue
      any = true
      for (const last of draft.fn(row.name).closing)
        if (isOf(row, last)) last.received = withRow(last.received, row, draft.nowMs)
    }
  }
  return any
}

function isOf({ index, epoch }: ReceivedRow, last: Readonly<Closing>): boolean {
  return index === last.index && epoch >= last.firstEpoch && epoch <= last.epoch
}
