import assert from 'node:assert/strict'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { type Bug, bugs } from './bugs.ts'
import { play, playSoundly, type Seen, type Step, steps } from './histories.ts'
import { metOnce } from './met-once.ts'
import { mustFind } from './must-find.ts'

const histories = Number(process.env['CONCORD_HISTORIES'] ?? 100_000)
/**
 * The seeds of the histories in which bugs are looked for: one that finds most of them soon, and others for rare
 * bugs.
 */
const seed = 7
const seeds: Partial<Record<Bug, number>> = {
  'acknowledges-sent': 2,
  'takes-what-was-taken-back': 1034,
  'tells-nobody': 12,
}

async function inThread(count: number): Promise<Seen> {
  const worker = new Worker(new URL('./histories-worker.ts', import.meta.url), {
    workerData: { histories: count },
  })
  const [seen] = await once(worker, 'message') // an error of the thread is thrown here, with seed and history
  return seen as Seen
}

test('shares move with nothing lost, twice, out of order or by an owner whose time has passed (I2, I5, I7, I8)', {
  timeout: 3_600_000,
}, async (t) => {
  const threads = availableParallelism()
  const all = await Promise.all(
    Array.from({ length: threads }, () => inThread(Math.ceil(histories / threads))),
  )
  const sum = (of: keyof Seen): number => all.reduce((total, seen) => total + seen[of], 0)
  t.diagnostic(
    `${sum('histories')} histories, ${sum('moves')} moves, ${sum('crashes')} crashes, ${sum('records')} records`,
  )
  assert.ok(sum('histories') >= histories)
  assert.ok(sum('moves') > histories / 2, 'shares have moved')
})

test('histories that were not sound once are', async () => {
  for (const history of metOnce) {
    await playSoundly(history)
  }
})

for (const [bug, { what, found }] of Object.entries(bugs)) {
  test(`the model finds that ${what} (${found})`, { timeout: 600_000 }, async (t) => {
    const faultsOf = async (actions: readonly Step[]) => (await play(actions, [bug as Bug])).faults
    const search = { histories: steps, faultsOf, runs: 20_000, seed: seeds[bug as Bug] ?? seed }
    await mustFind(t, found, search)
  })
}
