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

test('updateOf says in a sentence how much memory a task held that the kernel has ended', () => {
  const messageOf = (message: string) => {
    const update = {
      status: { ...{ task_id: { value: 't' }, state: 'TASK_FAILED', agent_id: { value: 'S0' }, message } },
    }
    return updateOf(readEvent(Buffer.from(JSON.stringify({ type: 'UPDATE', update }))))?.message
  }
  const v1 =
    'Memory limit exceeded: Requested: 96MB Maximum Used: 96MB\n\nMEMORY STATISTICS: \ncache 1048576\nrss 99135488\nrss_huge 0\nshmem 0\n\n'
  assert.equal(
    messageOf(v1),
    'The kernel ended it: its task held 96 MiB (95 anonymous, 1 of files), its bound is 96 MiB: raise resources.memMib or hold less',
  )
  const v2 =
    'Memory limit exceeded: Requested: 1GB Maximum Used: 1048572KB\n\nMEMORY STATISTICS: \nanon 1000000000\nfile 4194304\nkernel 9\n'
  assert.match(messageOf(v2)!, /held 1024 MiB \(954 anonymous, 4 of files\), its bound is 1024 MiB/)
  assert.match(messageOf(v2.split('\n')[0]!)!, /held 1024 MiB, its bound/)
  const disk = 'Disk usage (39072KB) exceeds quota (10MB)'
  assert.equal(messageOf(disk), disk)
})

test('exitCodeOf reads the words of the command executor', () => {
  assert.equal(exitCodeOf('Command exited with status 11'), 11)
  assert.equal(exitCodeOf('Command exited with status 18: its last line'), 18) // minimesos adds the last line
  assert.equal(exitCodeOf('Command terminated with signal Killed'), 137)
  assert.equal(exitCodeOf('Command terminated with signal Segmentation fault (core dumped)'), 139)
  assert.equal(exitCodeOf('Disk usage (39072KB) exceeds quota (10MB)'), undefined)
})
