/**
 * Accounts: what ended instances have sent and processed, added up, so that the ledger (I7) outlives them.
 * @module
 */
import type { InstanceReport, OutputLedger } from '../../infra/control/messages.ts'
import type { Accounts } from './state.ts'

/**
 * Adds the last report of an instance that has ended. It will hear of no acknowledgement any more, so what it had in
 * flight is unaccounted for: it may have been processed, and nobody will ever say so. But for what lies on disk.
 */
export function addAccounts(to: Accounts, report: InstanceReport | undefined): Accounts {
  if (report === undefined) return to
  const outputs = new Map(to.outputs.map((row) => [rowKey(row), row]))
  for (const row of report.outputs) {
    const { spilled = 0, spilledBytes: _bytes, spiller: _id, ...said } = row
    const sent = row.sent - spilled // whoever adopts what is on disk counts it as sent
    const settled = { ...said, sent, unaccounted: sent - row.acked }
    outputs.set(rowKey(row), addRow(outputs.get(rowKey(row)), settled))
  }
  return {
    recordsIn: to.recordsIn + report.recordsIn,
    recordsOut: to.recordsOut + report.recordsOut,
    errors: to.errors + report.errors,
    outputs: [...outputs.values()],
  }
}

function rowKey(row: OutputLedger): string {
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
