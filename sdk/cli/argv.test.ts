import assert from 'node:assert/strict'
import { test } from 'node:test'
import { normalizeWords } from './argv.ts'

test('normalizeWords accepts -id of kill with one dash, and changes nothing else', () => {
  assert.deepEqual(normalizeWords(['kill', '-id', 'score-0', '--restart']), [
    'kill',
    '--id',
    'score-0',
    '--restart',
  ])
  assert.deepEqual(normalizeWords(['kill', '-id=score-0']), ['kill', '--id=score-0'])
  assert.deepEqual(normalizeWords(['produce', 's', '-id', 'x']), ['produce', 's', '-id', 'x'])
})
