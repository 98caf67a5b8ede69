import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { type TestContext, test } from 'node:test'
import type { HttpContext } from './body.ts'
import { streamResponse } from './stream.ts'

const asked = (method: string) => ({ req: { method } }) as HttpContext

/** Batches that say when they began and ended. */
function makeBatches() {
  const said = new EventEmitter()
  const state = { begun: false, ended: false, asked: 0 }
  async function* batches(): AsyncGenerator<readonly string[], void> {
    state.begun = true
    try {
      for (;;) {
        state.asked += 1
        yield ['a', 'b']
      }
    } finally {
      state.ended = true
      said.emit('ended')
    }
  }
  return { state, batches: batches(), ended: once(said, 'ended') }
}

test('streamResponse ends batches that nobody reads (S2)', async (t: TestContext) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { state, batches, ended } = makeBatches()
  const response = await streamResponse(asked('GET'), 'text/plain', batches)
  t.mock.timers.tick(4999)
  assert.deepEqual(state, { begun: true, ended: false, asked: 1 })
  t.mock.timers.tick(1)
  await ended
  assert.equal(await response.text(), 'ab')
})

test('streamResponse requests a batch when the previous one was read, and ends them when the reader leaves (S2)', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { state, batches, ended } = makeBatches()
  const response = await streamResponse(asked('GET'), 'text/plain', batches)
  const reader = response.body!.getReader()
  for (const expected of [1, 2, 3]) {
    assert.equal(Buffer.from((await reader.read()).value!).toString(), 'ab')
    assert.equal(state.asked, expected)
  }
  t.mock.timers.tick(60_000)
  assert.equal(state.ended, false)
  await Promise.all([reader.cancel(), ended])
})

test('streamResponse ends batches if the answer is discarded unread (S2)', async () => {
  const { batches, ended } = makeBatches()
  const response = await streamResponse(asked('GET'), 'text/plain', batches)
  await Promise.all([response.body!.cancel(), ended])
})

test('streamResponse answers HEAD without a batch, and refuses a stream that cannot begin with its error (S1)', async () => {
  const { state, batches } = makeBatches()
  const response = await streamResponse(asked('HEAD'), 'text/plain', batches)
  assert.deepEqual(
    [response.status, response.headers.get('content-type'), response.body],
    [200, 'text/plain', null],
  )
  assert.equal(state.begun, false)
  async function* broken(): AsyncGenerator<readonly string[], void> {
    yield await Promise.reject(new Error('cannot begin'))
  }
  await assert.rejects(streamResponse(asked('GET'), 'text/plain', broken()), /cannot begin/)
})
