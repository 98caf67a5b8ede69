import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { findCollector } from './garbage.ts'

test('findCollector collects old garbage too, also as a listener, which gets an argument', async () => {
  const collect: (...args: readonly unknown[]) => void = findCollector()
  const held = [{}]
  const seen = new WeakRef(held[0]!)
  for (let i = 0; i < 3; i++) collect() // now it is old
  held.length = 0
  await turn() // a turn keeps what a WeakRef was made of in it
  collect(0)
  assert.equal(seen.deref(), undefined)
})
