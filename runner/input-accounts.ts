/**
 * InputAccounts: what the consumers of an instance, one after the other, have counted.
 * @module
 */
import { addCounts } from '../infra/bus/index.ts'
import type { InputLedger } from '../infra/control/messages.ts'

/** Adds up accounts of the same stream. */
export function addInputs(rows: readonly InputLedger[]): InputLedger[] {
  const sums = new Map<string, InputLedger>()
  for (const row of rows) {
    const sum = sums.get(row.stream)
    sums.set(
      row.stream,
      sum === undefined
        ? row
        : {
            stream: row.stream,
            received: sum.received + row.received,
            processed: sum.processed + row.processed,
            dropped: addCounts(sum.dropped, row.dropped),
            repeats: sum.repeats + row.repeats,
            gaps: sum.gaps + row.gaps,
            stateLost: sum.stateLost + row.stateLost,
            refused: addCounts(sum.refused, row.refused),
          },
    )
  }
  return [...sums.values()]
}
