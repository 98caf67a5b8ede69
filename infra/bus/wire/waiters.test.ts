import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { waitIn, wake } from './waiters.ts'

test('waitIn leaves no listener on a long-lived signal, and rejects with its reason', async () => {
  const waiters = new Set<() => void>()
  const life = new AbortController()
  for (let i = 0; i < 100; i++) {
    const waiting = waitIn(waiters, life.signal)
    wake(waiters)
    await waiting
  }
  assert.equal(getEventListeners(life.signal, 'abort').length, 0)
  const waiting = waitIn(waiters, life.signal)
  life.abort(new Error('enough'))
  await assert.rejects(waiting, /enough/)
  assert.equal(waiters.size, 0)
})
