import assert from 'node:assert/strict'
import { test } from 'node:test'
import { World } from './testing/world.ts'

test('a status says of a killed instance whether the count is lowered now or after its end', () => {
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

test('a status is written again when the reason to wait changes, but not for every unsuitable offer', () => {
  const world = new World(3)
  world.connect()
  world.deploy('f', { istreams: { in: { grouping: 'groupBy' } }, resources: { cpus: 64 } })
  world.settle(3)
  const [first] = [...world.agents.keys()]
  const offer = (cpus: number, times: number): void => {
    const resources = { cpus, memMib: 8_192, diskMib: 8_192 }
    const offers = Array.from({ length: times }, (_, i) => ({
      ...{ id: `${cpus} ${times} ${i}`, agentId: first!, hostname: first!, attributes: {}, resources },
    }))
    for (const each of offers) world.offers.set(each.id, each)
    world.feed({ kind: 'offers', offers })
  }
  const why = () => world.statuses.get('f')?.instances[0]?.why ?? ''
  offer(2, 1)
  assert.match(why(), /^1 offer seen; no machine has 64 cpus: the largest has 2/)
  world.actions.length = 0
  for (let i = 0; i < 10; i++) offer(2, 1)
  assert.equal(world.actions.filter(({ kind }) => kind === 'saveStatus').length, 0)
  offer(3, 1)
  assert.match(why(), /the largest has 3/)
})
