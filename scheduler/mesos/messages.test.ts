import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exitCodeOf, readEvent, updateOf } from './messages.ts'
import { transcript } from './scripted-master.ts'

const eventsOf = (name: string) =>
  transcript(name)
    .toString()
    .trim()
    .split('\n')
    .map((line) => readEvent(Buffer.from(line)))

test('updateOf reports lost when a master gives an agent up, and unsure when it only does not know the task', () => {
  const conditions = eventsOf('unreachable.events.jsonl').flatMap((event) => updateOf(event)?.condition ?? [])
  const back = ['running', 'running']
  const gone = ['lost', 'lost'] // the operator removed the agent
  const unreachable = ['lost', 'lost'] // the update, and the answer to a reconciliation with the agent's id
  assert.deepEqual(conditions, ['pending', 'running', ...unreachable, 'unsure', 'lost', ...back, ...gone])
})

test('updateOf tells a task that its agent failed to start from one that never reached an agent', () => {
  const dropped = { task_id: { value: 't' }, state: 'TASK_DROPPED' }
  const conditionOf = (status: object) =>
    updateOf({ ...readEvent(Buffer.from(JSON.stringify({ type: 'UPDATE', update: { status } }))) })?.condition
  const uuid = 'C/Ywm3VtRDyi5Wv+2ioASQ=='
  assert.equal(conditionOf({ ...dropped, uuid, reason: 'REASON_EXECUTOR_TERMINATED' }), 'notStarted')
  assert.equal(conditionOf({ ...dropped, uuid, reason: 'REASON_RECONCILIATION' }), 'dropped')
  assert.equal(conditionOf({ ...dropped, reason: 'REASON_INVALID_OFFERS' }), 'dropped')
})

test('updateOf says that a task ended because its agent is drained', () => {
  const status = { task_id: { value: 't' }, state: 'TASK_KILLED', reason: 'REASON_AGENT_DRAINING' }
  const message = 'Command terminated with signal Terminated'
  const update = {
    status: { ...status, message, agent_id: { value: 'S0' }, uuid: 'VFNdGmSxSxG6JTr8ci0rzQ==' },
  }
  const read = updateOf(readEvent(Buffer.from(JSON.stringify({ type: 'UPDATE', update }))))
  assert.deepEqual([read?.condition, read?.exitCode, read?.agentDrains], ['exited', 143, true])
})

test('updateOf says which limit a task exceeded', () => {
  const updates = eventsOf('limits.events.jsonl').flatMap((event) => updateOf(event) ?? [])
  assert.ok(updates.some((update) => update.exceeded === 'disk' && update.condition === 'exited'))
})

test('exitCodeOf reads the words of the command executor', () => {
  assert.equal(exitCodeOf('Command exited with status 11'), 11)
  assert.equal(exitCodeOf('Command exited with status 18: its last line'), 18) // minimesos adds the last line
  assert.equal(exitCodeOf('Command terminated with signal Killed'), 137)
  assert.equal(exitCodeOf('Command terminated with signal Segmentation fault (core dumped)'), 139)
  assert.equal(exitCodeOf('Disk usage (39072KB) exceeds quota (10MB)'), undefined)
})
