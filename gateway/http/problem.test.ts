import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CodedError } from '../../sdk/errors.ts'
import { problemOf } from './problem.ts'

test('a store that cannot be written is told to the caller as such, and is no bug of the gateway', () => {
  const text = "Cannot use the store x.sqlite: database or disk is full. Look at the disk's space"
  for (const [code, status] of [
    ['ERR_STORE_FAILED', 507],
    ['ERR_STORE_BUSY', 503],
  ] as const) {
    const { problem, bug } = problemOf(new CodedError(code, text))
    assert.deepEqual(
      { status: problem.status, code: problem.code, detail: problem.detail, bug },
      { status, code, detail: text, bug: false },
    )
  }
})

test('an error that nobody expected is a bug, without details for the caller', () => {
  const { problem, bug } = problemOf(new Error('secret'))
  assert.deepEqual([problem.status, problem.code, bug], [500, 'ERR_INTERNAL', true])
  assert.doesNotMatch(problem.detail, /secret/)
})
