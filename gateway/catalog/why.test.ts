import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { InstanceStatus } from '../../infra/store/index.ts'
import { whySchema } from '../../sdk/api/index.ts'
import { manifestSchema } from '../../sdk/manifest/manifest.ts'
import type { LiveFunction } from './catalog.ts'
import type { Heartbeats } from './heartbeats.ts'
import { heldBackBy } from './held-back.ts'
import { functionWhy } from './why.ts'

const heartbeats = {
  of: () => undefined,
  confirms: () => true,
  silentMs: (id: string) => (id === 'mute' ? 12_345 : 0),
} as unknown as Heartbeats

function live(placement: object | undefined, ...instances: Partial<InstanceStatus>[]): LiveFunction {
  const manifest = manifestSchema.parse({
    name: 'f',
    instances: instances.length,
    ...(placement && { placement }),
  })
  const rest = { generation: 0, generationSeen: 0, restarts: 0, since: 0, version: 1, epoch: 1 }
  const statuses = instances.map((one, index) => ({
    id: `f-${index}`,
    index,
    state: 'running',
    ...rest,
    ...one,
  }))
  return {
    name: 'f',
    document: { schema: 1, version: 1, instances: instances.length, createdAtMs: 0 },
    version: { schema: 1, version: 1, bundleSha256: 'x', bundleBytes: 1, manifest, deployedAtMs: 0 },
    status: {
      ...{ schema: 1, function: 'f', version: 1, instances: statuses },
      ended: { recordsIn: 0, recordsOut: 0, errors: 0, outputs: [] },
    },
  } as unknown as LiveFunction
}

test('functionWhy gives for each instance the reason for its agent, or why it does not run', () => {
  const lastExit = { code: 10, reason: 'functionFailed', message: 'boom', atMs: 0 }
  const answer = functionWhy(
    live(
      { constraints: ['zone == a'] },
      { taskId: 'heard', hostname: 'web-1', agent: 'S0', placed: '1 offer seen, only web-1 suits' },
      { state: 'waiting', why: '3 offers seen; the best misses 0.5 cpus' },
      { state: 'waiting' },
      { state: 'backingOff', restarts: 2, lastExit },
    ),
    heartbeats,
  )
  assert.deepEqual(whySchema.parse(answer), answer)
  assert.deepEqual(answer.placement, { constraints: ['zone == a'], priority: 0 })
  assert.deepEqual([answer.instancesRunning, answer.live], [1, undefined])
  assert.deepEqual(
    answer.instances.map(({ why }) => why),
    [
      ['1 offer seen, only web-1 suits'],
      ['3 offers seen; the best misses 0.5 cpus'],
      ['it waits for an offer'],
      [
        'it has failed, and pauses before the next attempt',
        'it has failed 2 in a row, last: functionFailed: boom',
      ],
    ],
  )
})

test('functionWhy says that the count was set by hand, unless the function scales by itself', () => {
  const one = live(undefined, {}, {})
  assert.equal(functionWhy(one, heartbeats).byHand, undefined)
  const fewer = { ...one, document: { ...one.document, instances: 1 } }
  const said = functionWhy(fewer, heartbeats)
  assert.match(
    said.byHand!,
    /^the manifest says 2, and 1 was set by hand \('fn deploy --instances', .*'kill' without --restart\): `concord fn scale f 2`/,
  )
  assert.deepEqual(whySchema.parse(said), said)
  const manifest = manifestSchema.parse({ ...one.version.manifest, scale: { min: 1, max: 4 } })
  assert.equal(functionWhy({ ...fewer, version: { ...one.version, manifest } }, heartbeats).byHand, undefined)
})

test('functionWhy and fn inspect name who holds back a stream because it does not run, or is too slow', () => {
  const at = (name: string, manifest: object, ...instances: Partial<InstanceStatus>[]): LiveFunction => {
    const one = live(undefined, ...instances)
    const document = { ...one.document, instances: 1 }
    const version = { ...one.version, manifest: manifestSchema.parse({ name, ...manifest }) }
    return { ...one, name, document, version }
  }
  const absent = { state: 'backingOff' as const, shares: [0, 1] }
  const reads = { istreams: { s1: { grouping: 'groupBy' } } }
  const good = at('good', reads, { taskId: 'heard' })
  const functions = [
    good,
    at('writer', { ostreams: ['s1'] }, { taskId: 'heard' }),
    at('bad', reads, absent),
    at('idle', { istreams: { s2: { grouping: 'groupBy' } } }),
    at('queues', { istreams: { s1: { grouping: 'groupBy', backPressure: 'enqueue' } } }, absent),
  ]
  const view = { functions: new Map(functions.map((one) => [one.name, one])), streams: new Map() }
  const row = (consumer: string, sent: number, acked: number) => ({
    ...{ stream: 's1', consumer, sent, acked, dropped: {}, unaccounted: 0 },
  })
  const outputs = [row('good', 2, 1), row('bad', 2, 0), row('queues', 2, 0)]
  const by = [{ stream: 's1', function: 'bad', records: 2, instancesRunning: 0, instancesWanted: 1 }]
  for (const name of ['good', 'writer'])
    assert.deepEqual(heldBackBy(view.functions.get(name)!, view, heartbeats, outputs), by, name)
  assert.deepEqual(heldBackBy(view.functions.get('bad')!, view, heartbeats, outputs), [])
  assert.deepEqual(heldBackBy(good, view, heartbeats, [row('bad', 2, 2)]), [], 'nothing waits for it')
  const behind = (lagMs: number) => [{ ...row('good', 2, 1), lagMs }, row('queues', 2, 0)]
  assert.deepEqual(heldBackBy(good, view, heartbeats, behind(9_999)), [], 'it keeps up')
  const slow = { stream: 's1', function: 'good', records: 1, lagMs: 10_000, cause: 'slow' }
  for (const name of ['good', 'writer'])
    assert.deepEqual(
      heldBackBy(view.functions.get(name)!, view, heartbeats, behind(10_000)),
      [{ ...slow, instancesRunning: 1, instancesWanted: 1 }],
      name,
    )
  const first = at('first', { ostreams: ['s0'] }, { taskId: 'heard' })
  const split = at(
    'split',
    { istreams: { s0: { grouping: 'groupBy' } }, ostreams: ['s1'] },
    { taskId: 'heard' },
  )
  const chain = { ...view, functions: new Map([first, split, good].map((one) => [one.name, one])) }
  const both = [{ ...row('split', 5, 1), stream: 's0', lagMs: 11_000 }, ...behind(10_000)]
  const causes = (one: LiveFunction) =>
    heldBackBy(one, chain, heartbeats, both).map(({ function: by, cause }) => [by, cause])
  assert.deepEqual(causes(first), [['split', 'heldBack']])
  assert.deepEqual(causes(split), [['good', 'slow']], 'not itself: it cannot send on')
  assert.deepEqual(whySchema.parse(functionWhy(good, heartbeats, by)).heldBackBy, by)
  const next = { ...good, document: { ...good.document, good: 1 } }
  assert.equal(whySchema.parse(functionWhy(next, heartbeats)).live, 1)
})

test('functionWhy says which instances a canary waits for', () => {
  const fn = live(undefined, { taskId: 'heard' }, { state: 'waiting', why: 'no offer has 4 cpus' })
  const document = {
    ...fn.document,
    version: 2,
    good: 1,
    canary: { version: 2, step: 0, sinceMs: 0, passed: [] },
  }
  const { instances } = functionWhy({ ...fn, document }, heartbeats)
  assert.deepEqual(
    instances.map(({ why }) => why),
    [[], ['no offer has 4 cpus', 'the canary v2 waits for it before it goes on']],
  )
})

test('functionWhy names the instances that a wave waits for, and those whose wave has not come', () => {
  const fn = live(undefined, { version: 2 }, { state: 'swapping', version: 2 }, {}, { retiring: true })
  const rolling = { version: 2, wave: 1, indexes: [0, 1], sinceMs: 0 }
  const { instances } = functionWhy(
    { ...fn, document: { ...fn.document, version: 2, good: 1, rolling } },
    heartbeats,
  )
  assert.deepEqual(
    instances.map(({ why }) => why),
    [
      [],
      ['wave 1 of v2 waits for it before the next one begins'],
      ['it has v1 until the wave of v2 comes to it'],
      [],
    ],
  )
})

test('functionWhy handles statuses written before placement existed', () => {
  assert.deepEqual(functionWhy(live(undefined, {}), heartbeats).placement, { constraints: [], priority: 0 })
})

test('functionWhy says how long a supposedly running instance has been silent', () => {
  const { instances } = functionWhy(live(undefined, { taskId: 'mute', placed: 'the only offer' }), heartbeats)
  const said = 'nothing was heard of it for 12 s; the cluster has not said that it is gone'
  assert.deepEqual(instances[0]?.why, [said, 'the only offer'])
})
