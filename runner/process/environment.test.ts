import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readEnvironment } from './environment.ts'

test('readEnvironment names what is missing', () => {
  assert.throws(
    () => readEnvironment({ CONCORD_TASK_ID: 't' }),
    /CONCORD_NAMESPACE, CONCORD_FUNCTION, CONCORD_NATS_URL, CONCORD_MEM_MIB/,
  )
})
