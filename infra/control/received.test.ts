import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { sumOfCounts } from './counts.ts'
import type { OutputLedger, ReceivedRow } from './messages/accounts.ts'
import { type ReceivedRows, settle, withRow } from './received.ts'

const said = (row: Partial<ReceivedRow>): ReceivedRow => ({
  ...{ name: 'f', index: 0, epoch: 1, stream: 'out', consumer: 'g', partition: 0 },
  ...{ sent: 0, acked: 0, dropped: {}, ...row },
})
const heard = (rows: readonly ReceivedRow[]) =>
  rows.reduce<ReceivedRows | undefined>((known, row) => withRow(known, row, 0), undefined)
const row: OutputLedger = {
  ...{ stream: 'out', consumer: 'g', sent: 20, acked: 10, dropped: {}, unaccounted: 0 },
  ...{ allowance: 12, parts: 1 },
}
const over = { topology: new Map(), isOver: true }

test('settle adds what each owner of a partition has dropped once, whichever is heard last', () => {
  const first = said({ sent: 30, acked: 20, dropped: { late: 3 }, claimed: 4 })
  const next = said({ sent: 30, acked: 30, dropped: { late: 2, broken: 1 }, claimed: 5 })
  for (const rows of [
    [first, next],
    [next, first],
    [first, first, next, { ...first, dropped: { late: 1 } }],
  ])
    assert.deepEqual(settle(row, heard(rows), over), {
      ...{ stream: 'out', consumer: 'g', sent: 30, acked: 30 },
      ...{ dropped: { late: 5, broken: 1 }, unaccounted: 0 },
    })
})

test('settle never goes below what the producer has reported itself', () => {
  const counts = fc.record({ late: fc.nat(5) })
  const account = fc.record({
    acked: fc.nat(100),
    inFlight: fc.nat(20),
    unaccounted: fc.nat(9),
    dropped: counts,
  })
  const parts = fc.array(fc.record({ sent: fc.nat(100), acked: fc.nat(100), dropped: counts }), {
    minLength: 1,
    maxLength: 3,
  })
  fc.assert(
    fc.property(account, parts, fc.boolean(), ({ acked, inFlight, unaccounted, dropped }, rows, isOver) => {
      const sent = acked + inFlight + unaccounted
      const killed = {
        ...row,
        sent,
        acked,
        unaccounted,
        dropped,
        allowance: sent - acked,
        parts: rows.length,
      }
      const received = heard(
        rows.map((one, partition) => said({ ...one, acked: Math.min(one.acked, one.sent), partition })),
      )
      const settled = settle(killed, received, { topology: new Map(), isOver })
      assert.ok(settled.acked >= acked)
      assert.ok(settled.unaccounted >= unaccounted)
      assert.ok(settled.sent >= settled.acked + settled.unaccounted)
      assert.ok(sumOfCounts(settled.dropped) >= sumOfCounts(dropped))
      if (isOver) assert.equal(settled.sent, settled.acked + settled.unaccounted, 'nothing is in flight')
    }),
  )
})
