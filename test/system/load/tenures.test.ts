import assert from 'node:assert/strict'
import { test } from 'node:test'
import { check } from '../../history/checker.ts'
import type { HistoryEvent } from '../../history/event.ts'
import { Tenures } from './tenures.ts'

/** Outputs of one channel, by owner, slot and epoch. */
function judged(outputs: readonly (readonly [owner: string, slot: string, epoch: number])[]) {
  const tenures = new Tenures()
  const channel = { stream: 's', partition: 0, producer: 'p' }
  const events = outputs.map(
    ([owner, slot, epoch], from): HistoryEvent => ({
      ...{ event: 'output', ...channel, from, count: 1, consumer: 'f', owner },
      epoch: tenures.saw(0, owner, slot, epoch),
    }),
  )
  return check('output', [{ event: 'sent', ...channel, from: 0, count: outputs.length }, ...events]).records
}

test('Tenures lets partitions move, come back, and pass from isolate to isolate', () => {
  const moves = [
    ['a', '0', 5],
    ['b', '1', 6],
    ['a', '0', 5],
    ['a2', '0', 5],
    ['a', '0', 5],
    ['c', '0', 9],
    ['b', '1', 6],
    ['c', '0', 9],
  ] as const
  assert.deepEqual(judged(moves), {})
})

test('Tenures shows an owner that goes on behind the next one of its slot', () => {
  assert.deepEqual(
    judged([
      ['a', '0', 5],
      ['c', '0', 9],
      ['a', '0', 5],
      ['c', '0', 9],
    ]),
    { 'wrong-owner': 1 },
  )
  const between = [
    ['a', '0', 5],
    ['c', '0', 9],
    ['b', '1', 6],
    ['a', '0', 5],
  ] as const
  assert.deepEqual(judged(between), { 'wrong-owner': 1 })
})
