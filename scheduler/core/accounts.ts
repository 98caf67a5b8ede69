/**
 * Accounts: what ended instances have sent and processed, added up, so that the ledger (I7) outlives them.
 * @module
 */
import type { AllowanceNotice, InstanceReport, OutputLedger } from '../../infra/control/messages.ts'
import type { Accounts } from './state.ts'

/**
 * Adds the last report of an instance that has ended. It will hear of no acknowledgement any more, so what it had out is
 * unaccounted for: it may have been processed, and nobody will ever say so. Where it was killed, that is at most what it was
 * allowed, by its report or by a notice that came later. But for what lies on disk.
 */
export function addAccounts(
  to: Accounts,
  report: InstanceReport | undefined,
  notice?: AllowanceNotice,
): Accounts {
  const outputs = new Map(to.outputs.map((row) => [rowKey(row), row]))
  for (const row of settled(report, notice)) outputs.set(rowKey(row), addRow(outputs.get(rowKey(row)), row))
  if (report === undefined) return notice === undefined ? to : { ...to, outputs: [...outputs.values()] }
  return {
    recordsIn: to.recordsIn + report.recordsIn,
    recordsOut: to.recordsOut + report.recordsOut,
    errors: to.errors + report.errors,
    outputs: [...outputs.values()],
  }
}

function settled(report: InstanceReport | undefined, notice: AllowanceNotice | undefined): OutputLedger[] {
  const rows = new Map((report?.outputs ?? []).map((row) => [rowKey(row), row]))
  if (notice !== undefined && notice.number > (report?.notice ?? 0)) {
    for (const { stream, consumer, allowance } of notice.rows) {
      const nothing = { stream, consumer, sent: 0, acked: 0, dropped: {}, unaccounted: 0 }
      const row = rows.get(rowKey(nothing)) ?? nothing // it has begun to send since
      rows.set(rowKey(row), { ...row, allowance })
    }
  }
  return [...rows.values()].map(settle)
}

/** Who adopts what is on disk counts it as sent. */
function settle({
  stream,
  consumer,
  sent,
  acked,
  dropped,
  allowance,
  spilled = 0,
}: OutputLedger): OutputLedger {
  const unaccounted = allowance ?? sent - spilled - acked
  return { stream, consumer, sent: acked + unaccounted, acked, dropped, unaccounted }
}

function rowKey(row: Pick<OutputLedger, 'stream' | 'consumer'>): string {
  return `${row.stream}/${row.consumer}`
}

function addRow(a: OutputLedger | undefined, b: OutputLedger): OutputLedger {
  if (a === undefined) return b
  const dropped = { ...a.dropped }
  for (const [reason, records] of Object.entries(b.dropped))
    dropped[reason] = (dropped[reason] ?? 0) + records
  return {
    stream: a.stream,
    consumer: a.consumer,
    sent: a.sent + b.sent,
    acked: a.acked + b.acked,
    dropped,
    unaccounted: a.unaccounted + b.unaccounted,
  }
}
