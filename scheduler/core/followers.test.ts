import assert from 'node:assert/strict'
import { test } from 'node:test'
import { World } from './testing/world.ts'

test('dropFollowers removes a follower whose gateway is silent for 5 s, but not while the bus is away (FO1)', () => {
  const world = new World()
  const removals = () => world.actions.filter(({ kind }) => kind === 'removeFollower').length
  world.streams.set('out', { schema: 1, partitions: 16, raw: false })
  world.followers.set('out', new Map([['x', { schema: 1, gateway: 'a', renewedAtMs: 1 }]]))
  world.publish()
  const beat = (state: 'running' | 'stopped' = 'running') =>
    world.feed({
      kind: 'heartbeat',
      heartbeat: {
        ...{ schema: 1, kind: 'gateway', id: 'a', incarnation: 'a', generation: 0, sentAtMs: 0, state },
        ...{ pid: 1, rssBytes: 0, cpuSeconds: 0, instances: [] },
      },
    })
  for (let i = 0; i < 4; i++) {
    beat()
    world.tick(1_000)
  }
  assert.equal(removals(), 0)
  world.feed({ kind: 'bus', up: false })
  world.tick(6_000)
  world.followers.set('out', new Map([['x', { schema: 1, gateway: 'a', renewedAtMs: 2 }]]))
  world.publish()
  world.feed({ kind: 'bus', up: true })
  world.tick(4_999)
  assert.equal(removals(), 0, 'overdue in 11 s, and silent for less than 5')
  world.tick(1)
  assert.equal(removals(), 1)
})
