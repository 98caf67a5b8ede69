/** Who is offered what and when. Time moves by hand. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endTasks } from '../index.ts'
import { amount, task } from '../test-framework.ts'
import { decline, start, without } from './test-master.ts'

test('offers contain all resources of the agent, its attributes, and the role that they are for', async (t) => {
  const { subscribe } = await start(t, { attributes: 'rack:r1;zone:z-a', hostname: 'here' })
  const framework = await subscribe()
  const offer = await framework.offer()
  assert.deepEqual(
    { ...offer, id: 0, framework_id: 0, agent_id: 0, url: 0 },
    {
      id: 0,
      framework_id: 0,
      agent_id: 0,
      hostname: 'here',
      url: 0,
      resources: [
        {
          name: 'ports',
          type: 'RANGES',
          ranges: { range: [{ begin: 31_000, end: 32_000 }] },
          allocation_info: { role: 'web' },
        },
        { name: 'cpus', type: 'SCALAR', scalar: { value: 4 }, allocation_info: { role: 'web' } },
        { name: 'mem', type: 'SCALAR', scalar: { value: 4096 }, allocation_info: { role: 'web' } },
        { name: 'disk', type: 'SCALAR', scalar: { value: 8192 }, allocation_info: { role: 'web' } },
      ],
      attributes: [
        { name: 'rack', type: 'TEXT', text: { value: 'r1' } },
        { name: 'zone', type: 'TEXT', text: { value: 'z-a' } },
      ],
      allocation_info: { role: 'web' },
    },
  )
  await framework.call('TEARDOWN')
  const plain = await subscribe({ info: { roles: [], capabilities: [] } })
  const { resources } = await plain.offer()
  assert.ok(resources.every((r) => r.role === '*' && r.allocation_info.role === '*'))
})

test('DECLINE filters for refuse_seconds: 5 by default and if negative, at least half a second', async (t) => {
  const { subscribe, clock } = await start(t)
  const framework = await subscribe()
  for (const [refuseSeconds, durationMs] of [
    [2, 2_000],
    [undefined, 5_000],
    [-5, 5_000],
    [0, 500],
  ] as const) {
    await decline(framework, await framework.offer(), refuseSeconds)
    clock.advance(durationMs - 1)
    assert.ok(await without(framework, 'OFFERS'), `none before ${durationMs} ms`)
    clock.advance(1)
  }
  await decline(framework, await framework.offer(), 1e12)
  clock.advance(3_600_000)
  assert.ok(await without(framework, 'OFFERS'))
})

test('REVIVE clears filters at once, and SUPPRESS stops offers but rescinds none', async (t) => {
  const { subscribe } = await start(t)
  const framework = await subscribe()
  await decline(framework, await framework.offer(), 3600)
  await framework.call('REVIVE')
  const offer = await framework.offer() // the clock stands still: nothing else than REVIVE can have made it
  await framework.call('SUPPRESS', { suppress: {} })
  assert.ok(await without(framework, 'OFFERS'))
  await decline(framework, offer, 0)
  await framework.call('REVIVE', { revive: { roles: ['other'] } })
  assert.ok(await without(framework, 'OFFERS'), 'another role is another role')
  await framework.call('REVIVE', { revive: { roles: ['web'] } })
  await framework.offer()
})

test('ACCEPT filters the resources that it leaves, and a larger offer passes the filter', async (t) => {
  const { subscribe, stateDir } = await start(t)
  const framework = await subscribe()
  const offer = await framework.offer()
  await framework.launch(offer, [task('f1', offer, 'while [ ! -e end ]; do sleep 0.02; done')], {
    filters: { refuse_seconds: 3600 },
  })
  await framework.updatesUntil('f1', 'TASK_RUNNING')
  assert.ok(await without(framework, 'OFFERS'))
  await endTasks(stateDir, 5_000)
  await framework.update('f1', 'TASK_KILLED')
  assert.equal(
    amount(framework.events.findLast((e) => e.offers !== undefined)!.offers!.offers[0]!, 'cpus'),
    4,
  )
})

test('ACCEPT with refuse_seconds of 0 offers the rest at once', async (t) => {
  const { subscribe } = await start(t)
  const framework = await subscribe()
  const offer = await framework.offer()
  await framework.launch(offer, [task('a', offer, 'sleep 60')])
  const rest = await framework.offer()
  assert.deepEqual([amount(rest, 'cpus'), amount(rest, 'mem')], [3.9, 4064])
})

test('offers not answered in time are rescinded and made anew', async (t) => {
  const { subscribe, clock } = await start(t, { offerTimeoutMs: 3_000 })
  const framework = await subscribe()
  const offer = await framework.offer()
  clock.advance(2_999)
  assert.ok(await without(framework, 'OFFERS'))
  clock.advance(1)
  const rescind = await framework.next('rescind', (e) => e.type === 'RESCIND')
  assert.deepEqual(rescind.rescind!.offer_id, offer.id)
  assert.notDeepEqual((await framework.offer()).id, offer.id)
})

test('offers go to the framework that holds less, and declined ones to the other', async (t) => {
  const { subscribe } = await start(t)
  const [rich, poor] = [await subscribe(), await subscribe({ info: { roles: ['api'] } })]
  const offer = await rich.offer()
  await rich.launch(offer, [task('a', offer, 'sleep 60')])
  const rest = await poor.offer()
  assert.equal(amount(rest, 'cpus'), 3.9)
  await decline(poor, rest, 3600)
  assert.equal(amount(await rich.offer(), 'cpus'), 3.9)
})
