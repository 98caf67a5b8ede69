import assert from 'node:assert/strict'
import { test } from 'node:test'
import { check } from '../../history/checker.ts'
import type { HistoryEvent } from '../../history/event.ts'
import { Claims } from './claims.ts'

const channel = { stream: 's', partition: 0, producer: 'p' }

/** What a sink would write down: in this order outputs of these owners have come, and claims (`OWNER EPOCH`) were heard. */
function judged(...came: readonly string[]) {
  const claims = new Claims('s')
  const outputs: string[] = []
  for (const each of came) {
    const [owner, epoch] = each.split(' ') as [string, string?]
    if (epoch === undefined) outputs.push(owner)
    else
      claims.hear(
        { schema: 1, consumer: 'f', owner, epoch: Number(epoch), partitions: { s: [0] } },
        outputs.length,
      )
  }
  const events = outputs.flatMap((owner, from): HistoryEvent[] => [
    ...claims
      .before(from)
      .map((claim): HistoryEvent => ({ event: 'heard', ...claim, partitions: { ...claim.partitions } })),
    {
      ...{ event: 'output', ...channel, from, count: 1, consumer: 'f', owner },
      epoch: claims.epochOf(owner, 0),
    },
  ])
  return check('output', [{ event: 'sent', ...channel, from: 0, count: outputs.length }, ...events]).records
}

test('Claims lets a partition move, and come back to an owner that claims it anew', () => {
  assert.deepEqual(judged('a 5', 'a', 'b 6', 'b', 'a 7', 'a', 'a'), {})
})

test('Claims takes what was missed from the answer of its owner', () => {
  assert.deepEqual(judged('a', 'a 5', 'a', 'b', 'b 6', 'b'), {})
})

test('Claims shows an owner that goes on behind the claim of another, whether that has put out anything or not', () => {
  assert.deepEqual(judged('a 5', 'a', 'b 6', 'b', 'a'), { 'wrong-owner': 1 })
  assert.deepEqual(judged('a 5', 'a', 'b 6', 'a', 'b'), { 'wrong-owner': 1 })
  assert.deepEqual(
    judged('a 5', 'a', 'b 6', 'a 5', 'a', 'b'),
    { 'wrong-owner': 1 },
    'and says again that it owns it',
  )
})

test('Claims shows an owner that has claimed nothing', () => {
  assert.deepEqual(judged('c', 'a 5', 'a'), { 'wrong-owner': 1 })
})
