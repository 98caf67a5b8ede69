import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../infra/clock.ts'
import { FailureLog } from './failure-log.ts'

const whose = { function: 'f', version: 2, instance: 'f-0' }
const error = { name: 'RangeError', message: 'no', stack: '', timeMs: 1 }

test('FailureLog prints the first failures of a second and counts the others, each once (FL1)', () => {
  const clock = new ManualClock(5000)
  const lines: string[] = []
  let read = 0
  const log = new FailureLog({
    clock,
    print: (who, message) => lines.push(`${who.instance} v${who.version} ${message}`),
  })
  const read1 = (): typeof error => {
    read++
    return error
  }
  for (let i = 0; i < 1000; i++) log.take(whose, 'skip', i % 2 === 0 ? read1 : undefined)
  assert.equal(lines.length, 20)
  assert.equal(read, 20)
  assert.equal(lines[0], 'f-0 v2 callback failed (skip): RangeError: no')
  clock.advance(1000)
  assert.equal(lines[20], 'f-0 v2 980 more callbacks failed (skip) and had no line of their own')
  log.take(whose, 'deadLetter', () => error)
  log.take(whose, 'deadLetter', undefined)
  log.take({ ...whose, version: 1 }, 'deadLetter', undefined)
  log.flush()
  assert.equal(lines[21], 'f-0 v2 callback failed (deadLetter): RangeError: no')
  assert.equal(lines[22], 'f-0 v2 1 more callback failed (deadLetter) and had no line of their own')
  assert.equal(lines[23], 'f-0 v1 1 more callback failed (deadLetter) and had no line of their own')
  clock.advance(5000)
  assert.equal(lines.length, 24)
})
