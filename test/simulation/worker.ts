/**
 * Worker: runs seeds until none are left, and reports the results.
 * @module
 */
import { parentPort, workerData } from 'node:worker_threads'
import { run } from './run.ts'
import { scriptOf } from './script.ts'
import type { Failed, Share, ShareReport } from './simulate.ts'

const { first, seeds, steps, bug, untilFailure, next } = workerData as Share
const bugs = new Set(bug === undefined ? [] : [bug])
const failed: Failed[] = []
const sums = { seeds: 0, steps: 0, accepted: 0, refused: 0, launched: 0 }
for (let nth = Atomics.add(next, 0, 1); nth < seeds; nth = Atomics.add(next, 0, 1)) {
  const outcome = run(scriptOf(first + nth), { steps, bugs })
  sums.seeds += 1
  sums.steps += outcome.steps
  sums.accepted += outcome.accepted
  sums.refused += outcome.refused
  sums.launched += outcome.launched
  if (outcome.failure === undefined) continue
  failed.push({ seed: first + nth, failure: outcome.failure })
  if (untilFailure === true) Atomics.store(next, 0, seeds)
}
parentPort?.postMessage({ ...sums, failed } satisfies ShareReport)
