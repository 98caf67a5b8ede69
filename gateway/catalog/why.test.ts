import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OutputLedger } from '../../infra/control/messages/accounts.ts'
import type { FollowerDocument, InstanceStatus } from '../../infra/store/index.ts'
import { whySchema } from '../../sdk/api/index.ts'
import { manifestSchema } from '../../sdk/manifest/manifest.ts'
import type { CatalogView, LiveFunction } from './catalog.ts'
import type { Heartbeats, Rates } from './heartbeats.ts'
import { heldBackBy, streamHeldBackBy } from './held-back.ts'
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

function at(name: string, manifest: object, ...instances: Partial<InstanceStatus>[]): LiveFunction {
  const one = live(undefined, ...instances)
  const document = { ...one.document, instances: 1 }
  const version = { ...one.version, manifest: manifestSchema.parse({ name, ...manifest }) }
  return { ...one, name, document, version }
}

const row = (stream: string, consumer: string, sent: number, acked: number, lagMs?: number) => ({
  ...{ stream, consumer, sent, acked, dropped: {}, unaccounted: 0 },
  ...(lagMs !== undefined && { lagMs }),
})

/** What a gateway has heard: how instances spend their time, by task, and the rates of one reader. */
const hears = (
  times: Readonly<Record<string, { busy: number; blocked: number }>> = {},
  rates?: Rates,
  isSilent = false,
) => ({
  confirms: () => true,
  isSilent: () => isSilent,
  timeOf: (taskId: string | undefined) => times[taskId ?? ''],
  rates: (_: string, reader: string) => (reader === 'good' ? rates : undefined),
})

test('heldBackBy names who holds back a stream because it does not run, or is too slow, with figures', () => {
  const absent = { state: 'backingOff' as const, shares: [0, 1] }
  const reads = { istreams: { s1: { grouping: 'groupBy' } } }
  const good = at('good', reads, { taskId: 'heard' })
  const queues = { istreams: { s1: { grouping: 'groupBy', backPressure: 'enqueue' } } }
  const functions = [
    good,
    at('writer', { ostreams: ['s1'] }, { taskId: 'heard' }),
    at('bad', reads, absent),
    at('idle', { istreams: { s2: { grouping: 'groupBy' } } }),
    at('queues', queues, { taskId: 'heard' }),
  ]
  const view: CatalogView = {
    functions: new Map(functions.map((one) => [one.name, one])),
    streams: new Map(),
  }
  const of = (name: string, outputs: readonly OutputLedger[], heartbeats = hears()) =>
    heldBackBy(view.functions.get(name)!, { view, heartbeats, outputs })
  const outputs = [row('s1', 'good', 2, 1), row('s1', 'bad', 2, 0), row('s1', 'queues', 2, 0, 60_000)]
  const by = [{ stream: 's1', reader: 'bad', records: 2, instancesRunning: 0, instancesWanted: 1 }]
  for (const name of ['good', 'writer']) assert.deepEqual(of(name, outputs), by, name)
  assert.deepEqual(of('bad', outputs), [], 'its instances are the reason')
  assert.deepEqual(streamHeldBackBy('s1', { view, heartbeats: hears(), outputs }), by)
  assert.deepEqual(of('good', [row('s1', 'bad', 2, 2)]), [], 'nothing waits for it')

  const behind = (lagMs: number) => [row('s1', 'good', 2, 1, lagMs)]
  const isBusy = hears({ heard: { busy: 1, blocked: 0 } }, { sentPerSecond: 9, donePerSecond: 3 })
  assert.deepEqual(of('good', behind(9_999), isBusy), [], 'it keeps up')
  const slow = {
    ...{ stream: 's1', reader: 'good', records: 1, lagMs: 10_000, cause: 'slow' as const },
    ...{ instancesRunning: 1, instancesWanted: 1, instancesBusy: 1, sentPerSecond: 9, donePerSecond: 3 },
  }
  for (const name of ['good', 'writer']) assert.deepEqual(of(name, behind(10_000), isBusy), [slow], name)
  const { instancesBusy: _, sentPerSecond: __, donePerSecond: ___, ...lessKnown } = slow
  assert.deepEqual(of('good', behind(10_000)), [lessKnown], 'no gateway has heard of its time yet')
  const unheard = { ...lessKnown, instancesUnheard: 1 }
  assert.deepEqual(of('good', behind(10_000), hears({}, undefined, true)), [unheard], 'nor does any now')
  const isIdle = hears({ heard: { busy: 0.1, blocked: 0 } })
  assert.deepEqual(of('good', behind(10_000), isIdle), [{ ...lessKnown, cause: 'stuck' }])

  const late = [row('s1', 'queues', 9, 0, 60_000)]
  assert.deepEqual(of('writer', late, isBusy), [], 'nobody waits for a queue')
  assert.deepEqual(
    of('queues', late, isBusy).map(({ reader, queues, cause }) => [reader, queues, cause]),
    [['queues', true, 'slow']],
  )
  assert.deepEqual(whySchema.parse(functionWhy(good, heartbeats, [slow])).heldBackBy, [slow])
  const next = { ...good, document: { ...good.document, good: 1 } }
  assert.equal(whySchema.parse(functionWhy(next, heartbeats)).live, 1)
})

test('heldBackBy names the last one of a chain that does not keep up, also if it is a reader over HTTP', () => {
  const middle = (name: string, from: string, to: string) =>
    at(name, { istreams: { [from]: { grouping: 'groupBy' } }, ostreams: [to] }, { taskId: name })
  const functions = [middle('one', 's0', 's1'), middle('two', 's1', 's2'), middle('quick', 's2', 's3')]
  const followers = new Map([['a1', { schema: 1 } as unknown as FollowerDocument]])
  const stream = {
    ...{ name: 's2', document: { schema: 1 as const, partitions: 1, raw: false } },
    ...{ producers: ['two'], consumers: ['quick'], followers },
  }
  const view: CatalogView = {
    functions: new Map(functions.map((fn) => [fn.name, fn])),
    streams: new Map([['s2', stream]]),
  }
  const outputs = [
    row('s0', 'one', 9, 1, 30_000),
    row('s1', 'two', 9, 1, 25_000),
    row('s2', 'quick', 9, 6, 12_000), // the stream keeps them for the other reader
    row('s2', 'follower.a1', 9, 1, 20_000),
  ]
  const held = { busy: 0.2, blocked: 0.8 }
  const heard = hears({ one: held, two: held, quick: { busy: 0.2, blocked: 0 } })
  const named = (name: string) =>
    heldBackBy(view.functions.get(name)!, { view, heartbeats: heard, outputs }).map(
      ({ stream: of, via, input, reader, cause }) => [of, via, input, reader, cause],
    )
  assert.deepEqual(named('one'), [['s1', ['two'], 's2', 'follower.a1', 'slow']])
  assert.deepEqual(named('two'), [['s2', undefined, undefined, 'follower.a1', 'slow']])
  assert.deepEqual(named('quick'), [['s2', undefined, undefined, 'follower.a1', 'slow']], 'not itself')
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
  const said = 'this gateway has heard nothing of it for 12 s, and no scheduler has noted that it is gone'
  assert.deepEqual(instances[0]?.why, [said, 'the only offer'])
})
