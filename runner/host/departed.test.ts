import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../infra/clock.ts'
import { Departed, neverRan } from './departed.ts'

const report = (index: number) =>
  neverRan({ id: `f-${index}`, function: 'f', index, epoch: 1, partitions: {} }, 1)
const exit = { code: 10, reason: 'functionFailed', message: 'boom' }

test('Departed keeps a last report for some seconds, and a failure until it is heard (DP1)', () => {
  const clock = new ManualClock()
  const departed = new Departed(clock)
  departed.add({ ...report(0), state: 'stopped' })
  departed.add({ ...report(1), exit })
  clock.advance(5_000)
  assert.deepEqual(
    departed.reports().map(({ id }) => id),
    ['f-1'],
  )
  assert.deepEqual([departed.hasFailed('f-0'), departed.hasFailed('f-1')], [false, true])
  departed.forget((id) => id === 'f-1')
  assert.equal(departed.hasFailed('f-1'), false, 'it may start again')
  assert.equal(departed.reports().length, 1, 'its account is still told')
  clock.advance(5_000)
  assert.deepEqual(departed.reports(), [])
})

test('Departed reports an instance that left as gone when it is assigned again at the same epoch (DP2)', () => {
  const clock = new ManualClock()
  const departed = new Departed(clock)
  const instance = { id: 'f-0', function: 'f', index: 0, epoch: 1, partitions: {} }
  assert.equal(departed.refuses(instance, 1), false, 'it was never here')
  departed.add({ ...report(0), state: 'stopped', recordsIn: 7 })
  assert.equal(departed.refuses({ ...instance, epoch: 2 }, 1), false, 'at a higher epoch it is another one')
  assert.equal(departed.refuses(instance, 1), true)
  clock.advance(60_000)
  const [said] = departed.reports()
  assert.deepEqual([said?.epoch, said?.recordsIn, said?.exit?.reason], [1, 7, 'drained'], 'until it is heard')
  departed.forget(() => true)
  clock.advance(5_000)
  assert.deepEqual(departed.reports(), [])
})
