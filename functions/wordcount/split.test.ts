import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testKit } from 'concord/testkit'
import split from './split.ts'

test('split sends each word of a line, in lower case, keyed by itself', () => {
  const kit = testKit(split).send('text', '', 'To be, or not to be: that is the question.')
  const words = kit.outputs('words').map((record) => record.key)
  assert.deepEqual(words, ['to', 'be', 'or', 'not', 'to', 'be', 'that', 'is', 'the', 'question'])
})

test('split takes letters of any alphabet and nothing from a line without any', () => {
  const kit = testKit(split)
    .send('text', '', 'Größe 42 – Ελλάδα')
    .send('text', '', '— 1984 —')
    .send('text', '', '')
  assert.deepEqual(
    kit.outputs('words').map((record) => record.key),
    ['größe', 'ελλάδα'],
  )
})
