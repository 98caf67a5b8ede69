import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Heartbeat } from '../../infra/control/messages/heartbeat.ts'
import { manifestSchema } from '../../sdk/manifest/manifest.ts'
import type { LiveFunction } from './catalog.ts'
import { StateLost } from './state-lost.ts'

/** A function whose tasks say how many records their state lacks. */
function setUp(grouping: 'groupBy' | 'broadcast' = 'groupBy') {
  const manifest = manifestSchema.parse({ name: 'f', istreams: { lines: { grouping } } })
  const beats = new Map<string, Heartbeat>()
  const stateLost = new StateLost({ of: (id) => beats.get(id) })
  const sum = (): number => stateLost.of({ name: 'f' }).get('lines') ?? 0
  /** @param tasks Undefined: the function is removed. */
  const become = (tasks: readonly string[] | undefined, createdAtMs = 1): number => {
    const instances = tasks?.map((taskId, index) => ({ id: `f-${index}`, index, taskId, epoch: createdAtMs }))
    const live = {
      name: 'f',
      document: { createdAtMs },
      version: { manifest },
      status: { instances },
    } as never
    stateLost.adopt({ functions: new Map(instances && [['f', live]]), streams: new Map() })
    return sum()
  }
  const told = (task: string, id: string, row: object, report: object = {}): number => {
    const instances = [{ id, function: 'f', inputs: [{ stream: 'lines', ...row }], ...report }]
    const beat = { id: task, instances } as never as Heartbeat
    beats.set(task, beat)
    stateLost.hear(beat)
    return sum()
  }
  /** @returns The sum, when the task has said so. */
  const says = (task: string, id: string, lost: Record<string, number>): number =>
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
  seen.push(become(['c', 'b']), become(['c']))
  assert.deepEqual(seen, [15, 15, 15, 15, 15, 15, 15])
})

test('StateLost does not fall while an owner that follows a killed one has not heard its senders (SL1)', () => {
  const { become, says } = setUp()
  become(['a'])
  assert.equal(says('a', 'f-0', { 0: 21 }), 21)
  become(['b'])
  const seen = [says('b', 'f-0', {}), says('b', 'f-0', { 0: 13 }), says('b', 'f-0', { 0: 34 })]
  assert.deepEqual(seen, [21, 21, 34])
})

test('StateLost adds up what instances have of their own, as long as the status names them (SL3)', () => {
  const { become, says } = setUp('broadcast')
  become(['a', 'b'])
  says('a', 'f-0', { 0: 2, 1: 1 })
  assert.equal(says('b', 'f-1', { 0: 4 }), 7)
  assert.equal(become(['c', 'b']), 7, 'f-0 moves')
  assert.equal(become(['c']), 3, 'f-1 is scaled away')
  assert.equal(become(['c', 'd']), 3, 'and begins anew')
})

test('StateLost believes no task that the status does not name, and a new function begins with nothing (SL2)', () => {
  const { become, says } = setUp()
  become(['a'])
  says('a', 'f-0', { 0: 5 })
  become(['b'], 2)
  assert.equal(says('a', 'f-0', { 0: 5 }), 0, 'cut off, it works on for the one before')
  assert.equal(says('b', 'f-0', { 0: 1 }), 1)
  become(undefined)
  says('b', 'f-0', { 0: 1 })
  become(['c'], 2)
  assert.equal(says('c', 'f-0', {}), 0, 'nothing is kept of what is removed')
})

test('StateLost does not take the last report of a removed function for one of the next, on the same packed runner (SL2)', () => {
  const { become, told } = setUp()
  become(['packed'])
  const last = { lost: { 0: 5 }, stateLost: 5 }
  assert.equal(told('packed', 'f-0', last, { epoch: 1, state: 'stopped' }), 5)
  become(undefined)
  assert.equal(become(['packed'], 2), 0)
  assert.equal(told('packed', 'f-0', last, { epoch: 1, state: 'stopped' }), 0)
  assert.equal(told('packed', 'f-0', last, { epoch: 2, state: 'running' }), 5)
})

test('StateLost takes what was heard before the status named the task (SL2)', () => {
  const { become, says } = setUp()
  assert.equal(says('a', 'f-0', { 0: 5 }), 0, 'a gateway that has not read the store yet')
  assert.equal(become(['a']), 5)
  says('b', 'f-0', { 0: 5, 1: 2 })
  assert.equal(become(['b']), 7)
})

test('StateLost takes the last sum of an earlier build, until that instance tells more or has gone (SL3)', () => {
  const { become, told, says } = setUp()
  become(['a', 'b'])
  told('a', 'f-0', { stateLost: 12 })
  assert.equal(told('b', 'f-1', { stateLost: 3 }), 15)
  told('a', 'f-0', { stateLost: 5 }) // a share of 7 moves
  assert.equal(told('b', 'f-1', { stateLost: 10 }), 15)
  told('b', 'f-1', { stateLost: 3 }) // and back
  assert.equal(told('a', 'f-0', { stateLost: 12 }), 15)
  become(['c'])
  assert.equal(says('c', 'f-0', { 0: 5, 1: 7, 2: 3 }), 15, 'f-0 is upgraded, and f-1 scaled away')
})

test('StateLost looks at no function or status when it hears a heartbeat (SL4)', () => {
  const manifest = manifestSchema.parse({ name: 'f', istreams: { lines: { grouping: 'groupBy' } } })
  const names = Array.from({ length: 50 }, (_, n) => `f${n}`)
  let looks = 0
  class Counted extends Map<string, LiveFunction> {
    override has(name: string): boolean {
      looks++
      return super.has(name)
    }
  }
  const functions = new Counted()
  for (const name of names) {
    const live = {
      ...{ name, document: { createdAtMs: 1 }, version: { manifest } },
      get status() {
        looks++
        return { instances: [{ id: `${name}-0`, index: 0, taskId: 'packed' }] }
      },
    }
    functions.set(name, live as never)
  }
  const stateLost = new StateLost({ of: () => undefined })
  stateLost.adopt({ functions, streams: new Map() })
  looks = 0
  const inputs = [{ stream: 'lines', stateLost: 2, lost: { 0: 2 } }]
  const instances = names.map((name) => ({ id: `${name}-0`, function: name, inputs }))
  stateLost.hear({ id: 'packed', instances } as never as Heartbeat)
  assert.equal(looks, 0)
  assert.deepEqual([...stateLost.of({ name: 'f49' })], [['lines', 2]])
})
