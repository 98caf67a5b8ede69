import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CodedError } from '../../sdk/errors.ts'
import { problemOf } from '../http/problem.ts'
import { makeMetrics } from '../metrics.ts'
import { Places } from './places.ts'

test('Places refuses readers beyond the limit with 503 and Retry-After, until one has left', async () => {
  const { followers } = makeMetrics('test')
  const places = new Places(followers, { plain: 2 })
  const leave = places.take('plain')
  places.take('plain')
  places.take('hold')
  assert.throws(
    () => places.take('plain'),
    (error: CodedError) => {
      const { problem, retryAfterSeconds } = problemOf(error)
      assert.deepEqual([problem.status, problem.code, retryAfterSeconds], [503, 'ERR_BUSY', 10])
      return true
    },
  )
  leave()
  places.take('plain')
  const { values } = await followers.get()
  assert.deepEqual(
    values.map(({ labels, value }) => [labels.kind, value]),
    [
      ['plain', 2],
      ['hold', 1],
    ],
  )
})
