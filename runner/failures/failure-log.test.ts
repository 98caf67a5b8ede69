import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../infra/clock.ts'
import { FailureLog } from './failure-log.ts'

const error = { name: 'RangeError', message: 'no', stack: '', timeMs: 1 }

test('FailureLog prints the first failures of a second and counts the others, each once (FL1)', () => {
  const clock = new ManualClock(5000)
  const lines: string[] = []
  let read = 0
  const log = new FailureLog({ clock, print: (instance, message) => lines.push(`${instance} ${message}`) })
  const read1 = (): typeof error => {
    read++
    return error
  }
  for (let i = 0; i < 1000; i++) log.take('f-0', 'skip', i % 2 === 0 ? read1 : undefined)
  assert.equal(lines.length, 20)
  assert.equal(read, 20)
  assert.equal(lines[0], 'f-0 callback failed (skip): RangeError: no')
  clock.advance(1000)
  assert.equal(lines[20], 'f-0 980 more callbacks failed (skip) and had no line of their own')
  log.take('f-0', 'deadLetter', () => error)
  log.take('f-0', 'deadLetter', undefined)
  log.flush()
  assert.equal(lines[21], 'f-0 callback failed (deadLetter): RangeError: no')
  assert.equal(lines[22], 'f-0 1 more callback failed (deadLetter) and had no line of their own')
  clock.advance(5000)
  assert.equal(lines.length, 23)
})
