import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Heartbeat } from '../../infra/control/messages/heartbeat.ts'
import { manifestSchema } from '../../sdk/manifest/manifest.ts'
import type { CatalogView, LiveFunction } from './catalog.ts'
import { StateLost } from './state-lost.ts'

/** A function whose tasks say how many records their state lacks. */
function setUp(grouping: 'groupBy' | 'broadcast' = 'groupBy') {
  const manifest = manifestSchema.parse({ name: 'f', istreams: { lines: { grouping } } })
  let live: LiveFunction | undefined
  const view = (): CatalogView => ({ functions: new Map(live && [['f', live]]), streams: new Map() })
  const stateLost = new StateLost(view)
  /** @param tasks Undefined: the function is removed. */
  const become = (tasks: readonly string[] | undefined, createdAtMs = 1): void => {
    const instances = tasks?.map((taskId, index) => ({ id: `f-${index}`, index, taskId }))
    live =
      instances &&
      ({ name: 'f', document: { createdAtMs }, version: { manifest }, status: { instances } } as never)
  }
  const told = (task: string, id: string, row: object): number | undefined => {
    const instances = [{ id, function: 'f', inputs: [{ stream: 'lines', ...row }] }]
    stateLost.hear({ id: task, instances } as never as Heartbeat)
    return live && stateLost.of(live).get('lines')
  }
  /** @returns The sum, when the task has said so. */
  const says = (task: string, id: string, lost: Record<string, number>): number | undefined =>
    told(task, id, { lost, stateLost: Object.values(lost).reduce((sum, n) => sum + n, 0) })
  return { become, told, says }
}

test('StateLost stays as it is while shares move, whoever of their owners speaks first, and when one has gone (SL1)', () => {
  const { become, says } = setUp()
  become(['a', 'b'])
  says('a', 'f-0', { 0: 5, 1: 7 })
  const seen = [
    says('b', 'f-1', { 2: 3 }),
    says('a', 'f-0', { 0: 5 }), // it has given partition 1, and nobody has told of it yet
    says('b', 'f-1', { 1: 7, 2: 3 }),
    says('b', 'f-1', { 0: 5, 1: 7, 2: 3 }), // it has taken partition 0, of which both tell
    says('a', 'f-0', {}),
  ]
  become(['b'])
  seen.push(says('b', 'f-1', { 0: 5, 1: 7, 2: 3 }))
  assert.deepEqual(seen, [15, 15, 15, 15, 15, 15])
})

test('StateLost does not fall while an owner that follows a killed one has not heard its senders (SL1)', () => {
  const { become, says } = setUp()
  become(['a'])
  assert.equal(says('a', 'f-0', { 0: 21 }), 21)
  become(['b'])
  const seen = [says('b', 'f-0', {}), says('b', 'f-0', { 0: 13 }), says('b', 'f-0', { 0: 34 })]
  assert.deepEqual(seen, [21, 21, 34])
})

test('StateLost adds up what instances have of their own', () => {
  const { become, says } = setUp('broadcast')
  become(['a', 'b'])
  says('a', 'f-0', { 0: 2, 1: 1 })
  assert.equal(says('b', 'f-1', { 0: 4 }), 7)
})

test('StateLost believes no task that the status does not name, and a new function begins with nothing (SL2)', () => {
  const { become, says } = setUp()
  become(['a'])
  says('a', 'f-0', { 0: 5 })
  become(['b'], 2)
  assert.equal(says('a', 'f-0', { 0: 5 }) ?? 0, 0, 'cut off, it works on for the one before')
  assert.equal(says('b', 'f-0', { 0: 1 }), 1)
  become(undefined)
  says('b', 'f-0', { 0: 1 })
  become(['b'], 2)
  assert.equal(says('b', 'f-0', {}) ?? 0, 0, 'nothing is kept of what is removed')
})

test('StateLost takes the sum of an earlier build, until that instance tells more', () => {
  const { become, told, says } = setUp()
  become(['a', 'b'])
  told('a', 'f-0', { stateLost: 12 })
  assert.equal(says('b', 'f-1', { 2: 3 }), 15)
  assert.equal(says('a', 'f-0', { 0: 5, 1: 7 }), 15)
})
