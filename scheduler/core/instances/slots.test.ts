import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { World } from '../testing/world.ts'
import { wantedIndexes } from './indexes.ts'

test('wantedIndexes keeps the lowest indexes and fills up with the lowest free ones', () => {
  const none = new Set<number>()
  assert.deepEqual(wantedIndexes([], 3, none), [0, 1, 2])
  assert.deepEqual(wantedIndexes([0, 1, 2], 2, none), [0, 1])
  assert.deepEqual(wantedIndexes([1, 2], 2, none), [1, 2], 'nobody is renumbered')
  assert.deepEqual(wantedIndexes([1, 2], 3, none), [0, 1, 2])
  assert.deepEqual(wantedIndexes([1, 2], 3, new Set([0])), [1, 2, 3], 'not where one is still leaving')
})

test('wantedIndexes returns as many as are wanted, and keeps every index that may stay', () => {
  const indexes = fc.uniqueArray(fc.nat(20))
  fc.assert(
    fc.property(indexes, fc.nat(20), indexes, (given, count, barred) => {
      const existing = given.filter((index) => !barred.includes(index))
      const wanted = wantedIndexes(existing, count, new Set(barred))
      assert.equal(new Set(wanted).size, count)
      assert.equal(
        wanted.filter((index) => existing.includes(index)).length,
        Math.min(count, existing.length),
      )
      assert.ok(wanted.every((index) => !barred.includes(index)))
    }),
  )
})

test('settleSlots drops a restart command once its instance is being removed', () => {
  const world = new World()
  world.connect()
  world.deploy('fn', { istreams: { in: { grouping: 'groupBy' } }, instances: 2 })
  world.settle(10)
  for (const [id, restart] of [
    ['first', true],
    ['then', false],
  ] as const) {
    world.commands.set(id, { schema: 1, kind: 'killInstance', function: 'fn', instance: 'fn-0', restart })
    world.publish()
  }
  assert.deepEqual([...world.commands.keys()], ['then'])
  world.settle(20)
  assert.deepEqual([[...world.commands.keys()], [...world.seats.keys()]], [[], ['fn-1']])
})

test('direct says of an instance that is killed that it was asked to end, and of one that is to return, to restart', () => {
  for (const [restart, why] of [
    [false, 'it was asked to end'],
    [true, 'it was asked to restart'],
  ] as const) {
    const world = new World()
    world.connect()
    world.deploy('fn', { istreams: { in: { grouping: 'groupBy' } } })
    world.settle(10)
    world.commands.set('kill', { schema: 1, kind: 'killInstance', function: 'fn', instance: 'fn-0', restart })
    world.publish()
    assert.equal(world.statuses.get('fn')?.instances[0]?.why, why)
  }
})

test('settleSlots counts an instance off that was asked to end, whichever of its writes the leader dies after', () => {
  for (let writes = 0; writes < 10; writes++) {
    const world = new World()
    world.connect()
    world.deploy('fn', { istreams: { in: { grouping: 'groupBy' } }, instances: 3 })
    world.settle(10)
    const command = {
      schema: 1,
      kind: 'killInstance',
      function: 'fn',
      instance: 'fn-1',
      restart: false,
    } as const
    world.commands.set('end', command)
    world.publish()
    const [runner] = [...world.runners.values()].filter(({ instances }) => instances.has('fn-1'))
    world.exit(runner!.document.taskId, 0)
    world.diesAfter = writes
    world.deliverUpdate()
    world.diesAfter = Number.POSITIVE_INFINITY
    world.settle(20)
    const is = { wanted: world.functions.get('fn')?.instances, seats: [...world.seats.keys()].sort() }
    assert.deepEqual(is, { wanted: 2, seats: ['fn-0', 'fn-2'] }, `after ${writes} writes`)
  }
})
