import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../infra/clock.ts'
import { paced } from './body.ts'

test('paced ends a body that arrives too slowly, but not one whose chunks take long to process', async () => {
  const clock = new ManualClock()
  const run = async (chunks: readonly (readonly [bytes: number, afterMs: number])[], workMs = 0) => {
    let isSlow = false
    async function* body(): AsyncGenerator<Uint8Array> {
      for (const [bytes, afterMs] of chunks) {
        clock.advance(afterMs)
        if (isSlow) throw new Error('hung up')
        yield new Uint8Array(bytes)
      }
    }
    let came = 0
    const pace = { clock, bytes: 100, ms: 30, onSlow: () => (isSlow = true) }
    for await (const chunk of paced(body(), pace)) {
      came += chunk.length
      clock.advance(workMs)
    }
    clock.advance(1000)
    assert.equal(isSlow, false, 'nothing is left that could end it')
    return came
  }
  assert.equal(await run(Array.from({ length: 20 }, () => [100, 29])), 2000)
  assert.equal(await run(Array.from({ length: 20 }, () => [50, 14])), 1000)
  assert.equal(
    await run(
      Array.from({ length: 20 }, () => [100, 1]),
      1000,
    ),
    2000,
  )
  assert.equal(await run([]), 0)
  const drop = Array.from({ length: 50 }, () => [1, 20] as const)
  await assert.rejects(run(drop), /hung up/)
  await assert.rejects(
    run([
      [100, 0],
      [99, 29],
      [1, 2],
    ]),
    /hung up/,
  )
})
