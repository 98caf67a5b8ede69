import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { deadLetter } from './dead-letter.ts'
import { readEnvironment } from './environment.ts'

const origin = { function: 'f', version: 3, stream: 's', partition: 1, producer: '00', sequence: 17 }
const error = {
  name: 'TypeError',
  message: 'no',
  stack: 'TypeError: no\n    at score.ts:41:9',
  at: 'score.ts:41:9',
  timeMs: 5,
}

test('deadLetter keeps key, value and time of any record', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), fc.nat(), (key, value, timeMs) => {
      const letter = deadLetter({ key, value, timeMs }, origin, error, 2)
      const parsed = JSON.parse(new TextDecoder().decode(letter.value)) as Record<string, string>
      const bytes = (name: string): Uint8Array =>
        Uint8Array.from(
          parsed[name] === undefined
            ? Buffer.from(parsed[`${name}Base64`]!, 'base64')
            : Buffer.from(parsed[name], 'utf8'),
        )
      assert.deepEqual(bytes('key'), key)
      assert.deepEqual(bytes('value'), value)
      assert.deepEqual(letter.key, key)
      assert.equal(letter.timeMs, timeMs)
    }),
  )
})

test('deadLetter names the error, its place in the source, the position and the attempts', () => {
  const letter = deadLetter({ key: new Uint8Array(0), value: new Uint8Array(0), timeMs: 0 }, origin, error, 2)
  const parsed = JSON.parse(new TextDecoder().decode(letter.value)) as Record<string, unknown>
  assert.deepEqual(parsed['error'], {
    name: 'TypeError',
    message: 'no',
    stack: error.stack,
    at: 'score.ts:41:9',
  })
  assert.deepEqual([parsed['sequence'], parsed['version'], parsed['attempts']], [17, 3, 2])
})

test('readEnvironment names what is missing', () => {
  assert.throws(
    () => readEnvironment({ CONCORD_TASK_ID: 't' }),
    /CONCORD_NAMESPACE, CONCORD_FUNCTION, CONCORD_NATS_URL, CONCORD_MEM_MIB/,
  )
})
