/**
 * Gone: instances that were killed, and what their receivers know of them. Each second all runners are asked; who owns a partition
 * answers in its heartbeats how far the channel has come. The numbers only grow, so they may come late, twice, or from two owners of
 * a partition.
 *
 *   GO1. An account is open for `closingMs`, and while a receiver that answers has some of it in hand.
 *   GO2. Of a function the accounts of `openMax` are open at most: of older ones nothing more is waited for.
 * Design: docs/design/0002-channels.md, "The account of a producer that is killed"
 * @module
 */
import { type Received, withRow } from '../../infra/control/index.ts'
import type { GoneProducer, Heartbeat, ReceivedRow } from '../../infra/control/messages.ts'
import { lastRows } from './accounts.ts'
import type { Draft } from './state/draft.ts'
import type { Closing, FunctionState } from './state/state.ts'
import { timings } from './state/timings.ts'

const openMax = 32

/** True while more may be heard of an instance that has ended. */
export function isOpen(
  { closing }: Readonly<FunctionState>,
  last: Readonly<Closing>,
  nowMs: number,
): boolean {
  if (nowMs < last.endedAtMs + timings.closingMs) return true
  if (closing.length - closing.indexOf(last as Closing) > openMax) return false
  const isInHand = ({ isOpen, heardAtMs }: Received): boolean =>
    isOpen && nowMs < heardAtMs + timings.receiverSilenceMs
  return [...(last.received?.values() ?? [])].some(isInHand)
}

/** Those that were killed: who ended in order has said all. */
export function whoIsGone({ name, closing }: Readonly<FunctionState>): GoneProducer[] {
  return closing
    .filter((last) => lastRows(last).some(({ allowance }) => allowance !== undefined))
    .map(({ index, firstEpoch, epoch }) => ({ name, index, firstEpoch, epoch }))
}

/** What a heartbeat says of those. @returns Whether anything. */
export function hearOfGone(draft: Draft, beat: Heartbeat): boolean {
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
