import assert from 'node:assert/strict'
import { test } from 'node:test'
import { callbackWaitMs, killGraceMs, leavingMs, neighboursWaitMs } from './stop-times.ts'

test('a stop, and the wait for neighbours, end a second before the kill (ST1)', () => {
  const stopMs = callbackWaitMs + leavingMs
  for (const ms of [stopMs, neighboursWaitMs]) assert.ok(ms <= killGraceMs - 1_000, `${ms}`)
})
