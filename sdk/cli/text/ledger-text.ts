/**
 * LedgerText: accounts of readers as a table.
 * @module
 */
import type { Ledger } from '../../api/index.ts'
import { bytesText, table } from '../terminal.ts'
import { lagText } from './lag-text.ts'

export interface LedgerRow {
  /** The cells of the first columns. */
  readonly cells: readonly (string | number)[]
  readonly row: Ledger
}

/** @param columns The headings of the first columns. */
export function ledgerTable(columns: readonly string[], rows: readonly LedgerRow[]): string {
  const isLost = rows.some(({ row: { stateLost = 0 } }) => stateLost > 0)
  const isSpilled = rows.some(({ row: { spilled = 0 } }) => spilled > 0)
  const shown = rows.map(({ cells, row: { stateLost = 0, spilled = 0, spilledBytes = 0, ...row } }) => [
    ...cells,
    row.unaccountedIsAtMost ? `≤ ${row.sent}` : row.sent, // it contains them
    row.processed,
    Object.entries(row.dropped)
      .map(([reason, records]) => `${records} ${reason}`)
      .join(', ') || 0,
    row.inFlight,
    lagText(row.lagMs),
    row.unaccountedIsAtMost ? `≤ ${row.unaccounted}` : row.unaccounted,
    ...(isSpilled ? [`${spilled} (${bytesText(spilledBytes)})`] : []),
    ...(isLost ? [stateLost] : []),
  ])
  const accounts = ['SENT', 'PROCESSED', 'DROPPED', 'IN FLIGHT', 'LAG', 'UNACCOUNTED']
  const more = [...(isSpilled ? ['ON DISK'] : []), ...(isLost ? ['STATE LOST'] : [])]
  return table([[...columns, ...accounts, ...more], ...shown])
}
