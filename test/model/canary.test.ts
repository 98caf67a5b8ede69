import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Bug, bugs, plant } from './canary/bugs.ts'
import { type History, histories, live } from './canary/histories.ts'
import { metOnce } from './canary/met-once.ts'
import { mustFind, violationOf } from './must-find.ts'

const runs = Number(process.env['CONCORD_CANARY_HISTORIES'] ?? 3_000)
const seed = 7

test('a canary and the old version do each record once between them, whoever ends, and whatever is told meanwhile', {
  timeout: 600_000,
}, async (t) => {
  const all: Record<string, number> = {}
  await fc.assert(
    fc.asyncProperty(histories, async (history) => {
      for (const [what, count] of Object.entries(await live(history))) all[what] = (all[what] ?? 0) + count
    }),
    { numRuns: runs },
  )
  t.diagnostic(JSON.stringify(all))
  for (const [what, count] of Object.entries(all)) assert.ok(count > 0, `${what}: never`)
})

for (const { what, history } of metOnce)
  test(`a history that was not sound once is: ${what}`, async () => void (await live(history)))

for (const [bug, { what, found }] of Object.entries(bugs)) {
  test(`the model finds that ${what} (${found})`, { timeout: 600_000 }, async (t) => {
    const mend = plant(bug as Bug)
    const faultsOf = (history: History) => violationOf(live(history))
    await mustFind(t, found, { histories, faultsOf, runs: 20_000, seed }).finally(mend)
  })
}
