import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  asideEndMs,
  callbackWaitMs,
  checkpointWaitMs,
  killGraceMs,
  lastWordsMs,
  neighboursWaitMs,
  outputsWaitMs,
} from './stop-times.ts'

test('a stop, and the wait for neighbours, end a second before the kill (ST1)', () => {
  const stateMs = Math.max(checkpointWaitMs, outputsWaitMs)
  const stopMs = callbackWaitMs + asideEndMs + stateMs + lastWordsMs
  for (const ms of [stopMs, neighboursWaitMs]) assert.ok(ms <= killGraceMs - 1_000, `${ms}`)
})
