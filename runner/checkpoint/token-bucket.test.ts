import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../infra/clock.ts'
import { TokenBucket } from './token-bucket.ts'

/** Whether a promise has settled once all that is due has run. */
async function isDone(promise: Promise<void>): Promise<boolean> {
  let done = false
  void promise.then(() => {
    done = true
  })
  for (let i = 0; i < 5; i++) await Promise.resolve()
  return done
}

test('TokenBucket lets its bytes per second pass, and everything once it is opened', async () => {
  const clock = new ManualClock(1_000)
  const bucket = new TokenBucket(clock, 1_000)
  assert.equal(await isDone(bucket.take(100)), true) // the burst
  const next = bucket.take(500)
  assert.equal(await isDone(next), false)
  clock.advance(499)
  assert.equal(await isDone(next), false)
  clock.advance(1)
  assert.equal(await isDone(next), true)
  clock.advance(60_000) // what was not used is not saved up
  assert.equal(await isDone(bucket.take(100)), true)
  const late = bucket.take(10_000)
  assert.equal(await isDone(late), false)
  bucket.open()
  assert.equal(await isDone(late), true)
  assert.equal(await isDone(bucket.take(1_000_000)), true)
})
