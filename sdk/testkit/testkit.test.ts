import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineFunction, type ErrorPolicy, type FunctionDefinition, groupBy } from '../index.ts'
import { testKit } from './index.ts'

const count = defineFunction({
  metadata: { name: 'count', istreams: { words: groupBy }, ostreams: ['counts'] },
  processRecord(ctx, record) {
    const next = (ctx.getJson<number>(record.key) ?? 0) + 1
    ctx.setJson(record.key, next)
    ctx.produceRecord('counts', record.key, String(next))
    ctx.setTimer('flush', record.timeMs + 1000)
  },
  processTimer(ctx, key, timeMs) {
    ctx.produceRecord('counts', key, `at ${timeMs - start}`)
  },
})
const start = Date.UTC(2020, 0, 1)

test('testKit runs records and timers at once and shows what they did', () => {
  const kit = testKit(count)
  kit.send('words', 'a', '').send('words', 'b', '').send('words', 'a', '')
  assert.deepEqual(
    kit.outputs('counts').map((o) => [o.key, o.text()]),
    [
      ['a', '1'],
      ['b', '1'],
      ['a', '2'],
    ],
  )
  assert.equal(kit.state('a')?.json(), 2)
  assert.equal(kit.state('c'), undefined)
  assert.deepEqual(
    kit.timers().map((t) => [t.key, t.timeMs - start]),
    [
      ['flush', 1000],
      ['flush', 1000],
    ],
    'one in each of two partitions; set twice is set once',
  )
  kit.advance(999)
  assert.equal(kit.outputs().length, 3)
  kit.advance(1)
  assert.deepEqual(
    kit
      .outputs()
      .slice(3)
      .map((o) => [o.key, o.text(), o.timeMs - start]),
    [
      ['flush', 'at 1000', 1000],
      ['flush', 'at 1000', 1000],
    ],
  )
  assert.equal(kit.nowMs(), start + 1000)
})

test('testKit gives the function each asset as it is, also a small file from the memory that Node shares', () => {
  const file = Buffer.from('{"limit":7}') // a view of a pool, as `readFileSync` returns it
  assert.ok(file.buffer.byteLength > file.length)
  const kit = testKit(
    {
      metadata: { name: 'f', istreams: { in: groupBy }, ostreams: ['out'] },
      processRecord: (ctx) => ctx.produceRecord('out', '', ctx.asset('model.json').text()),
    },
    { assets: { 'model.json': file } },
  )
  kit.send('in', 'k', '')
  assert.deepEqual(
    kit.outputs('out').map((o) => o.text()),
    ['{"limit":7}'],
  )
})

test('testKit returns what was counted and observed, without callbacks that threw (I3)', () => {
  const kit = testKit({
    metadata: { name: 'f', istreams: { in: groupBy }, onError: 'skip' },
    processRecord({ metrics }, record) {
      metrics.count('records')
      metrics.count('bytes', record.value.length)
      metrics.observe('length', record.value.length)
      if (record.text() === 'bad') throw new Error('bad')
      metrics.observe('length', -1.5)
    },
  })
  for (const value of ['four', 'bad', 'sixsix']) kit.send('in', 'k', value)
  assert.equal(kit.counted('records'), 2)
  assert.equal(kit.counted('bytes'), 10)
  assert.deepEqual(kit.observed('length'), [4, -1.5, 6, -1.5])
  assert.equal(kit.counted('nothing'), 0)
})

test('testKit throws the error of the callback under `fail`, leaves no trace of the record, and refuses to continue', () => {
  const boom = new Error('boom')
  const kit = testKit({
    metadata: { name: 'f', istreams: { in: groupBy }, ostreams: ['out'] },
    processRecord(ctx, record) {
      ctx.setState(record.key, record.value)
      ctx.produceRecord('out', record.key, record.value)
      ctx.setTimer('t', 0)
      if (record.text() === 'bad') throw boom
    },
    processTimer() {},
  })
  kit.send('in', 'k', 'good').advance(0)
  assert.throws(() => kit.send('in', 'k', 'bad'), boom)
  assert.equal(kit.state('k')?.text(), 'good')
  assert.equal(kit.outputs().length, 1)
  assert.deepEqual(kit.timers(), [])
  assert.deepEqual(kit.errors(), [{ error: boom, reaction: 'fail', attempts: 1 }])
  assert.throws(() => kit.send('in', 'k', 'good'), /restart/)
  kit.restart().send('in', 'k', 'better')
  assert.equal(kit.state('k')?.text(), 'better')
})

test('testKit applies skip, deadLetter and retry as the platform does', () => {
  let calls = 0
  const failing = (onError: Parameters<typeof defineFunction>[0]['metadata']['onError'], times: number) =>
    testKit({
      metadata: { name: 'f', istreams: { in: groupBy }, ostreams: ['out'], ...(onError && { onError }) },
      processRecord(ctx, record) {
        ctx.produceRecord('out', record.key, 'x')
        if (++calls <= times) throw new Error(`call ${calls}`)
      },
    })
  const skip = failing('skip', 1).send('in', 'k', '1').send('in', 'k', '2')
  assert.equal(skip.outputs().length, 1)
  calls = 0
  const dead = failing('deadLetter', 1).send('in', 'k', '1').send('in', 'k', '2')
  assert.equal(dead.outputs().length, 1)
  assert.equal(dead.errors()[0]?.reaction, 'deadLetter')
  calls = 0
  // biome-ignore lint/suspicious/noThenProperty: so the policy is spelled -- it is data
  const retry = failing({ retry: 2, then: 'skip', waitMs: 0 }, 2).send('in', 'k', '1')
  assert.equal(retry.outputs().length, 1)
  assert.deepEqual(
    retry.errors().map((e) => [e.reaction, e.attempts]),
    [['retried', 3]],
  )
  calls = 0
  // biome-ignore lint/suspicious/noThenProperty: so the policy is spelled -- it is data
  const exhausted = failing({ retry: 2, then: 'skip', waitMs: 0 }, 3).send('in', 'k', '1')
  assert.equal(calls, 3)
  assert.deepEqual(
    exhausted.errors().map((e) => [e.reaction, e.attempts]),
    [['skip', 3]],
  )
})

/** Throws as often as its value says, then passes it on. */
function flaky(onError: ErrorPolicy) {
  const calls = new Map<string, number>()
  return testKit({
    metadata: { name: 'f', istreams: { in: groupBy }, ostreams: ['out'], onError },
    processRecord(ctx, record) {
      const call = (calls.get(record.text()) ?? 0) + 1
      calls.set(record.text(), call)
      ctx.produceRecord('out', record.key, `${record.text()} at ${ctx.nowMs() - start}`)
      if (call <= Number(record.text()[0])) throw new Error(`call ${call}`)
    },
  })
}
const outs = (kit: ReturnType<typeof testKit>): string[] => kit.outputs().map((output) => output.text())

test('testKit sets a failing record aside, and calls it again after waits that double', () => {
  // biome-ignore lint/suspicious/noThenProperty: so the policy is spelled -- it is data
  const kit = flaky({ retry: 3, then: 'deadLetter', waitMs: 100, waitMaxMs: 150 })
  kit.send('in', 'k', '2a').send('in', 'k', '0b').send('in', 'k', '9c')
  assert.deepEqual(outs(kit), ['0b at 0'], 'others of its key go on')
  kit.advance(100)
  assert.deepEqual(outs(kit), ['0b at 0'])
  kit.advance(149)
  assert.deepEqual(outs(kit), ['0b at 0'])
  kit.advance(1)
  assert.deepEqual(outs(kit), ['0b at 0', '2a at 250'])
  kit.advance(150)
  assert.deepEqual(
    kit.errors().map(({ reaction, attempts }) => [reaction, attempts]),
    [...[1, 1, 2, 2, 3].map((attempts) => ['setAside', attempts]), ['deadLetter', 4]],
  )
})

test('testKit keeps later records of a key behind one that is retried, with keepOrder', () => {
  // biome-ignore lint/suspicious/noThenProperty: so the policy is spelled -- it is data
  const kit = flaky({ retry: 2, then: 'skip', keepOrder: true })
  for (const [key, value] of ['k 1a', 'k 0b', 'other 0c', 'k 9d', 'k 0e'].map((pair) => pair.split(' ')))
    kit.send('in', key!, value!)
  assert.deepEqual(outs(kit), ['0c at 0'])
  kit.advance(100)
  assert.deepEqual(outs(kit), ['0c at 0', '1a at 100', '0b at 100'])
  kit.send('in', 'k', '0f')
  kit.advance(300)
  assert.deepEqual(outs(kit).slice(3), ['0e at 400', '0f at 400'])
})

test('testKit gives records set aside a last attempt when the instance ends', () => {
  // biome-ignore lint/suspicious/noThenProperty: so the policy is spelled -- it is data
  const kit = flaky({ retry: 5, then: 'skip' })
  kit.send('in', 'k', '1a').send('in', 'k', '9b').restart()
  assert.deepEqual(outs(kit), ['1a at 0'])
  assert.deepEqual(kit.errors().at(-1)?.reaction, 'skip')
  assert.deepEqual(kit.errors().at(-1)?.attempts, 2)
})

test('testKit queues records behind an asynchronous callback, in order, until it settles', async () => {
  const seen: string[] = []
  const kit = testKit({
    metadata: { name: 'f', istreams: { in: groupBy }, ostreams: ['out'] },
    async init() {
      await null
      seen.push('init')
    },
    async processRecord(ctx, record) {
      seen.push(`start ${record.text()}`)
      await new Promise((resolve) => setTimeout(resolve, 1))
      seen.push(`end ${record.text()}`)
      ctx.produceRecord('out', record.key, record.value)
    },
  })
  kit.send('in', 'k', '1').send('in', 'k', '2')
  assert.deepEqual(kit.outputs(), [])
  await kit.settled()
  assert.deepEqual(seen, ['init', 'start 1', 'end 1', 'start 2', 'end 2'])
  assert.deepEqual(
    kit.outputs('out').map((o) => o.text()),
    ['1', '2'],
  )
})

test('testKit.settled rejects with the error of an asynchronous callback', async () => {
  const kit = testKit({
    metadata: { name: 'f', istreams: { in: groupBy } },
    async processRecord(_ctx, record) {
      await null
      throw new Error(record.text())
    },
  })
  kit.send('in', 'k', 'boom')
  await assert.rejects(kit.settled(), /boom/)
  await kit.settled()
})

test('testKit throws the error of init, and settled rejects with a rejection of init', async () => {
  const failing = (init: () => void | Promise<void>) =>
    testKit({ metadata: { name: 'f', istreams: { in: groupBy } }, init, processRecord() {} })
  assert.throws(
    () =>
      failing(() => {
        throw new Error('no start')
      }),
    /no start/,
  )
  const kit = failing(async () => {
    await null
    throw new Error('no late start')
  })
  kit.send('in', 'k', 'v')
  await assert.rejects(kit.settled(), /no late start/)
})

test('testKit.advance ends with an error if timers set themselves again for ever', () => {
  const kit = testKit({
    metadata: { name: 'f', istreams: { in: groupBy } },
    processRecord: (ctx) => ctx.setTimer('t', ctx.nowMs()),
    processTimer: (ctx, key) => ctx.setTimer(key, ctx.nowMs()),
  })
  kit.send('in', 'k', '')
  assert.throws(() => kit.advance(1), /timers fell due at once/)
})

test('testKit.restart keeps state and timers, runs destroy and init, and accepts new code', () => {
  const seen: string[] = []
  const version = (name: string) =>
    defineFunction({
      metadata: { name: 'f', istreams: { in: groupBy } },
      init: () => void seen.push(`init ${name}`),
      destroy: () => void seen.push(`destroy ${name}`),
      processRecord(ctx, record) {
        ctx.setState('k', record.value)
        ctx.setTimer('t', ctx.nowMs() + 10)
      },
      processTimer: (ctx) => void seen.push(`timer ${name} ${new TextDecoder().decode(ctx.getState('k'))}`),
    })
  testKit(version('a')).send('in', 'k', 'v').restart(version('b')).advance(10).stop()
  assert.deepEqual(seen, ['init a', 'destroy a', 'init b', 'timer b v', 'destroy b'])
})

interface Tally {
  readonly n: number
}

/** Counts by key; the first version keeps a number, later ones an object. */
const counting = (format: 1 | 2, extra: Partial<FunctionDefinition> = {}): FunctionDefinition =>
  defineFunction({
    metadata: { name: 'count', istreams: { words: groupBy }, ostreams: ['counts'], onError: 'skip' },
    processRecord(ctx, record) {
      const key = record.keyText()
      const n = (format === 1 ? (ctx.getJson<number>(key) ?? 0) : (ctx.getJson<Tally>(key)?.n ?? 0)) + 1
      ctx.setJson(key, format === 1 ? n : { n })
      ctx.list<number | Tally>(key).push(format === 1 ? n : { n })
      ctx.counter(key).add()
      if (record.text() === 'bad') throw new Error('bad word')
      ctx.produceRecord('counts', key, String(n))
    },
    ...extra,
  })

const toObjects: FunctionDefinition['migrate'] = (ctx, fromVersion) => {
  assert.equal(fromVersion, 1)
  assert.ok(ctx.keyText() !== 'poison', 'poisoned')
  ctx.setJson({ n: ctx.json<number>() })
}

test('testKit: a version migrates what it touches, and the rest when it is promoted', () => {
  const kit = testKit(counting(1), { partitions: 1 })
  for (const key of ['a', 'b', 'b', 'c']) kit.send('words', key, '')
  kit.deploy(counting(2, { migrate: toObjects }), { onTrial: true })
  assert.equal(kit.state('b')?.text(), '2')
  kit.send('words', 'b', '').send('words', 'd', '')
  assert.equal(kit.state('b')?.text(), '{"n":3}')
  assert.equal(kit.state('a')?.text(), '1', 'nobody has touched it')
  kit.promote().advance(1000)
  assert.equal(kit.state('a')?.text(), '1', 'nothing has happened since')
  while (kit.state('a')?.text() === '1') kit.send('words', 'd', '')
  assert.equal(kit.state('c')?.text(), '{"n":1}')
  kit.deploy(counting(2)).send('words', 'c', '')
  assert.equal(kit.state('c')?.text(), '{"n":2}')
})

test('testKit: a rollback finds every entry as it was when the other version first touched it', () => {
  const kit = testKit(counting(1), { partitions: 1 })
  for (const key of ['a', 'b', 'b']) kit.send('words', key, '')
  kit.deploy(counting(2, { migrate: toObjects }), { onTrial: true })
  for (const key of ['b', 'b', 'new']) kit.send('words', key, '')
  assert.equal(kit.state('new')?.text(), '{"n":1}')
  kit.rollback()
  assert.equal(kit.state('b')?.text(), '2')
  assert.equal(kit.state('new'), undefined)
  kit.send('words', 'b', '').send('words', 'new', '')
  assert.deepEqual([kit.state('b')?.text(), kit.state('new')?.text()], ['3', '1'])
  assert.throws(() => kit.rollback(), /no version is on trial/)
})

test('testKit: an error of migrate fails the callback, and nothing is changed', () => {
  const kit = testKit(counting(1), { partitions: 1 })
  kit.send('words', 'poison', '').send('words', 'a', '')
  kit.deploy(counting(2, { migrate: toObjects }), { onTrial: true })
  kit.send('words', 'poison', '').send('words', 'a', 'bad')
  assert.match(String(kit.errors()[0]?.error), /poisoned/)
  assert.match(String(kit.errors()[1]?.error), /bad word/)
  assert.deepEqual([kit.state('poison')?.text(), kit.state('a')?.text()], ['1', '1'])
  const late = counting(2, {
    migrate: (async () => undefined) as unknown as NonNullable<FunctionDefinition['migrate']>,
  })
  kit.rollback().deploy(late).send('words', 'a', '')
  assert.match(String(kit.errors()[2]?.error), /migrate answers a promise/)
})

test('testKit: lists, counters and windows are migrated too, lists item by item', () => {
  const seen: string[] = []
  const reading = counting(2, {
    migrate: (ctx) => {
      seen.push(`${ctx.kind} ${ctx.keyText()} ${ctx.text()}`)
      ctx.setJson({ n: ctx.json<number>() })
    },
    processRecord(ctx, record) {
      const key = record.keyText()
      ctx.produceRecord('counts', key, JSON.stringify(ctx.list<Tally>(key).at(-1)))
      ctx.produceRecord('counts', key, String(ctx.list(key).length))
      ctx.produceRecord('counts', key, String(ctx.counter(key).add()))
      ctx.produceRecord('counts', key, JSON.stringify(ctx.list<Tally>(key).shift()))
    },
  })
  const kit = testKit(counting(1), { partitions: 1 })
  kit.send('words', 'a', '').send('words', 'a', '').send('words', 'a', '')
  kit.deploy(reading, { onTrial: true }).send('words', 'a', '')
  assert.deepEqual(seen, ['list a 3', 'list a 1'])
  assert.deepEqual(
    kit
      .outputs()
      .slice(3)
      .map((output) => output.text()),
    ['{"n":3}', '3', '4', '{"n":1}'],
  )
  kit.rollback().send('words', 'a', '')
  assert.equal(kit.outputs().at(-1)?.text(), '4')
})
