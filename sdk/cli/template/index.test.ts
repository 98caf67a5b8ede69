import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testKit } from 'concord/testkit'
import definition from './index.ts'

test('each word is repeated, louder every time', () => {
  const kit = testKit(definition)
  kit.send('words', 'anna', 'hello').send('words', 'anna', 'hello').send('words', 'ben', 'hi')
  assert.deepEqual(
    kit.outputs('loud').map((record) => record.text()),
    ['HELLO!', 'HELLO!!', 'HI!'],
  )
})
