import { test } from 'node:test'
import fc from 'fast-check'
import { mustFind, violationOf } from './must-find.ts'
import { bugs } from './real-worker/bugs.ts'
import { type History, histories, live } from './real-worker/histories.ts'

const runs = Number(process.env['CONCORD_WORKER_HISTORIES'] ?? 40)
/** Of the histories in which bugs are looked for. */
const seed = 9

test('a worker accounts for each record, whatever is swapped, stopped, killed, moved and not answered meanwhile (I7, LV3)', {
  timeout: 3_600_000,
}, async () => {
  await fc.assert(fc.asyncProperty(histories, live), { numRuns: runs, endOnFailure: true })
})

for (const { what, found, plant, from = seed } of bugs)
  test(`the model finds that ${what} (${found})`, { timeout: 600_000 }, async (t) => {
    const mend = plant()
    const faultsOf = (history: History) => violationOf(live(history))
    await mustFind(t, found, { histories, faultsOf, runs: 300, seed: from }).finally(mend)
  })
