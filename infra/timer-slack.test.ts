import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { withTimerSlack } from './timer-slack.ts'

const slack = () => execFileSync('cat', ['/proc/self/timerslack_ns'], { encoding: 'utf8' }).trim()

test('withTimerSlack is for the children that are started in it', () => {
  const before = slack()
  assert.equal(withTimerSlack(777_000, slack), '777000')
  assert.equal(slack(), before)
})

test('withTimerSlack ends with what it does', () => {
  const before = slack()
  const fail = () => {
    throw new Error('no such command')
  }
  assert.throws(() => withTimerSlack(777_000, fail), /no such command/)
  assert.equal(slack(), before)
})
