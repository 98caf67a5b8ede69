import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Heartbeat } from '../../../infra/control/messages/heartbeat.ts'
import { processedAll, type Reporter } from './progress.ts'

/** A runner whose heartbeats say so: records processed, dropped and sent on. The last is said for ever. */
function runner(...beats: readonly (readonly [processed: number, dropped: number, out: number])[]) {
  let at = 0
  const beat = async () => {
    const [processed, dropped, recordsOut] = beats[Math.min(at++, beats.length - 1)]!
    const inputs = [{ processed, dropped: { deadLettered: dropped } }]
    return { instances: [{ inputs, recordsOut }] } as unknown as Heartbeat
  }
  return { runner: { pids: [], beat } satisfies Reporter, beats: () => at }
}

test('processedAll waits until each has processed what the one before sent it', async () => {
  const first = runner([10, 0, 30], [100, 0, 300])
  const second = runner([250, 0, 0], [300, 0, 7])
  assert.deepEqual(await processedAll([first.runner, second.runner], 100), {
    ...{ lost: 0, repeated: 0, reordered: 0 },
  })
  assert.deepEqual([first.beats(), second.beats()], [2, 2])
})

test('processedAll counts what was dropped as lost, and what came twice as repeated', async () => {
  const dropping = runner([97, 3, 97])
  const repeating = runner([99, 0, 0])
  assert.deepEqual(await processedAll([dropping.runner, repeating.runner], 100), {
    ...{ lost: 3, repeated: 2, reordered: 0 },
  })
})

test('processedAll gives up on what does not move any more', async () => {
  const stuck = runner([10, 0, 0], [60, 0, 0])
  assert.equal((await processedAll([stuck.runner], 100)).lost, 40)
  assert.ok(stuck.beats() > 10)
})
