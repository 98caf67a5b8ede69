import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testKit } from 'concord/testkit'
import count from './count.ts'

test('count sends the new count of the word with each record', () => {
  const kit = testKit(count)
  for (const word of ['to', 'be', 'or', 'not', 'to', 'be']) kit.send('words', word, '')
  assert.deepEqual(
    kit.outputs('counts').map((record) => `${record.key}=${record.text()}`),
    ['to=1', 'be=1', 'or=1', 'not=1', 'to=2', 'be=2'],
  )
})
