import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bugs } from './real-worker/bugs.ts'
import { histories, live } from './real-worker/histories.ts'

const runs = Number(process.env['CONCORD_WORKER_HISTORIES'] ?? 40)
/** Of the histories in which bugs are looked for. */
const seed = 7

test('a worker accounts for each record, whatever is swapped, stopped, killed, moved and not answered meanwhile (I7, LV3)', {
  timeout: 3_600_000,
}, async () => {
  await fc.assert(fc.asyncProperty(histories, live), { numRuns: runs, endOnFailure: true })
})

for (const { what, plant } of bugs)
  test(`the model finds that ${what}`, { timeout: 600_000 }, async (t) => {
    const mend = plant()
    const found = await fc
      .check(fc.asyncProperty(histories, live), { numRuns: 300, endOnFailure: true, seed })
      .finally(mend)
    assert.ok(found.failed, `not found in ${found.numRuns} histories`)
    t.diagnostic(`found in history ${found.numRuns}`)
  })
