import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../clock.ts'
import type { TaskState, TaskStatus } from '../wire/index.ts'
import { UpdateQueue } from './update-queue.ts'

const status = (uuid: string, state: TaskState): TaskStatus => ({
  task_id: { value: 't' },
  state,
  source: 'SOURCE_EXECUTOR',
  timestamp: 0,
  uuid,
})

function queue(pending: readonly TaskStatus[] = []) {
  const clock = new ManualClock()
  const sent: string[] = []
  const saved: string[][] = []
  const updates = new UpdateQueue({
    clock,
    pending,
    send: (s) => void sent.push(`${clock.nowMs()} ${s.uuid}`),
    save: (all) => void saved.push(all.map((s) => s.uuid!)),
  })
  return { clock, sent, saved, updates }
}

test('UpdateQueue holds a later update back until the one before is acknowledged', () => {
  const { updates, sent, saved } = queue()
  updates.push(status('a', 'TASK_STARTING'))
  updates.push(status('b', 'TASK_RUNNING'))
  assert.deepEqual(sent, ['0 a'])
  updates.acknowledge('b')
  assert.deepEqual(sent, ['0 a'], 'a stale acknowledgement is ignored')
  updates.acknowledge('a')
  updates.acknowledge('a')
  assert.deepEqual(sent, ['0 a', '0 b'])
  assert.deepEqual(saved, [['a'], ['a', 'b'], ['b']])
  assert.equal(updates.head?.state, 'TASK_RUNNING')
})

test('UpdateQueue sends again after 10 s, then 20 s more, doubling up to 10 minutes', () => {
  const { updates, sent, clock } = queue()
  updates.push(status('a', 'TASK_STARTING'))
  clock.advance(2_500_000)
  const timesMs = sent.map((line) => Number.parseInt(line, 10))
  assert.deepEqual(
    timesMs,
    [0, 10, 30, 70, 150, 310, 630, 1_230, 1_830, 2_430].map((s) => s * 1_000),
  )
})

test('UpdateQueue sends what was pending before when flushed, and nothing once closed', () => {
  const { updates, sent, clock } = queue([status('a', 'TASK_RUNNING')])
  clock.advance(60_000)
  assert.deepEqual(sent, [])
  updates.flush()
  clock.advance(10_000)
  updates.close()
  clock.advance(60_000)
  assert.deepEqual(sent, ['60000 a', '70000 a'])
})
