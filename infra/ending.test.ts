import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CodedError } from '../sdk/errors.ts'
import { exitCodeOf } from './ending.ts'

test('exitCodeOf is 2 where another start cannot help, and 1 for everything else (EN1)', () => {
  const codeOf = (code: string) => exitCodeOf(new CodedError(code, 'text'))
  for (const code of [
    'ERR_CONFIG_KEY',
    'ERR_NATS_REFUSED',
    'ERR_NATS_TLS',
    'ERR_STORE_REFUSED',
    'ERR_OTHER_NAMESPACE',
    'ERR_PORT_TAKEN',
  ])
    assert.equal(codeOf(code), 2, code)
  for (const code of [
    'ERR_NATS_UNREACHABLE',
    'ERR_STORE_UNAVAILABLE',
    'ERR_MESOS_REFUSED',
    'ERR_LEADERSHIP_LOST',
  ])
    assert.equal(codeOf(code), 1, code)
  assert.equal(exitCodeOf(new Error('ERR_CONFIG_KEY')), 1)
})
