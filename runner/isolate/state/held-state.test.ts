import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HeldState, type HeldStateOptions } from './held-state.ts'
import { StateStore } from './state-store.ts'

/** The state of an isolate that was ended. */
function endedOne(hasThreadEnded: boolean): HeldState {
  const store = new StateStore(64 * 2 ** 20)
  store.lend()
  return new HeldState(store, {
    guest: { endedWithin: async () => hasThreadEnded },
    regions: { published: 0, commitWord: 7 },
    format: { own: 1, kept: 1 },
  } as unknown as HeldStateOptions)
}

test('HeldState gives back the state of an ended isolate, unless its thread may still write', async () => {
  const held = endedOne(true)
  assert.equal(await held.ended(), true)
  assert.equal(held.store.commitWord, 7)
  held.store.lend() // to the next isolate

  const lost = endedOne(false)
  assert.equal(await lost.ended(), false)
  assert.throws(() => lost.store.lend(), { code: 'ERR_INSTANCE_STATE' })
})
