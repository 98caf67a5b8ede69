import assert from 'node:assert/strict'
import { test } from 'node:test'
import { World } from './world.ts'

test('a status says of an instance that goes whether its count is lowered already, or only when it has gone', () => {
  const world = new World()
  world.deploy('f', { istreams: { in: { grouping: 'groupBy' } }, resources: { cpus: 0.5 }, instances: 3 })
  world.settle(8)
  world.functions.set('f', { ...world.functions.get('f')!, instances: 2 })
  const going = () =>
    (world.statuses.get('f')?.instances ?? []).map(({ retiring, leaving }) => [
      retiring === true,
      leaving === true,
    ])
  const untilOneGoes = (): void => {
    for (let i = 0; !going().flat().includes(true); i++) {
      assert.ok(i < 20)
      world.settle(1)
    }
  }
  untilOneGoes()
  assert.deepEqual(going(), [
    [false, false],
    [false, false],
    [true, false],
  ])
  world.functions.set('f', { ...world.functions.get('f')!, instances: 3 })
  world.publish()
  assert.equal(going().flat().includes(true), false, 'it has to stay after all')
  world.settle(8)

  world.commands.set('c', { schema: 1, kind: 'killInstance', function: 'f', instance: 'f-1', restart: false })
  world.publish()
  untilOneGoes()
  assert.deepEqual(going(), [
    [false, false],
    [true, true],
    [false, false],
  ])
  world.settle(8)
  assert.deepEqual([going().length, world.functions.get('f')?.instances], [2, 2])
})
