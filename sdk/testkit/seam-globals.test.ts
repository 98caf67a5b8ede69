import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { defineFunction, groupBy } from '../index.ts'
import { testKit } from './index.ts'

const start = Date.UTC(2020, 0, 1)

function told(...seen: unknown[]): string {
  return JSON.stringify(seen)
}

/** A function that sends what `look` returns, for each record. */
function looking(look: () => unknown) {
  return defineFunction({
    metadata: { name: 'looking', istreams: { in: groupBy }, ostreams: ['out'] },
    async processRecord(ctx) {
      ctx.produceRecord('out', '', told(await look()))
    },
  })
}

async function seenBy(look: () => unknown, ...options: Parameters<typeof testKit>[1][]) {
  const kits = [...options, {}]
    .slice(0, Math.max(1, options.length))
    .map((each) => testKit(looking(look), each))
  for (const kit of kits) await kit.send('in', 'k', '').settled()
  return kits.map((kit) => JSON.parse(kit.outputs('out')[0]!.text())[0])
}

test('testKit gives a callback its clock as Date, performance and Intl do, also after an await', async () => {
  const look = async () => {
    const read = () => [
      Date.now(),
      new Date().toISOString(),
      new Date(5).getTime(),
      Date().slice(11, 15),
      performance.now(),
      performance.timeOrigin,
      new Intl.DateTimeFormat('en', { timeZone: 'UTC', year: 'numeric' }).format(),
    ]
    const before = read()
    await setTimeout(1)
    return [before, read()]
  }
  const real = Date.now()
  const origin = performance.timeOrigin
  const kit = testKit(looking(look))
  await kit.advance(40).send('in', 'k', '').settled()
  const expected = [start + 40, '2020-01-01T00:00:00.040Z', 5, '2020', 40, start, '2020']
  assert.deepEqual(JSON.parse(kit.outputs('out')[0]!.text()), [[expected, expected]])
  assert.ok(Date.now() >= real && new Date() instanceof Date, 'the test has its own')
  assert.equal(performance.timeOrigin, origin)
})

test('testKit leaves the test its clock while a callback waits', async () => {
  const kit = testKit(looking(() => setTimeout(1)))
  kit.send('in', 'k', '')
  assert.notEqual(Date.now(), kit.nowMs())
  await kit.settled()
  assert.notEqual(Date.now(), kit.nowMs())
})

test('testKit: a timer that a function sets by Date.now() falls due as the test moves the clock', () => {
  const kit = testKit(
    defineFunction({
      metadata: { name: 'timed', istreams: { in: groupBy }, ostreams: ['out'] },
      processRecord: (ctx, record) => ctx.setTimer(record.keyText(), Date.now() + 1000),
      processTimer: (ctx, key) => ctx.produceRecord('out', key, String(Date.now() - start)),
    }),
  )
  assert.deepEqual(
    kit
      .send('in', 'k', '')
      .advance(5000)
      .outputs('out')
      .map((output) => output.text()),
    ['1000'],
  )
})

test('testKit repeats random numbers, and has others for another seed or instance', async () => {
  const look = () => [Math.random(), crypto.randomUUID(), [...crypto.getRandomValues(new Uint8Array(4))]]
  const [one, again, seeded, other] = await seenBy(look, {}, {}, { seed: 7 }, { instance: 1 })
  assert.deepEqual(one, again)
  assert.equal(new Set([one, seeded, other].map((each) => told(each))).size, 3)
  assert.notEqual(Math.random(), one[0], 'the test has its own')
})

test('testKit lets a mock of the test replace what it gives', async (t) => {
  t.after(() => mock.restoreAll())
  mock.method(Math, 'random', () => 0.25)
  assert.deepEqual(await seenBy(() => Math.random(), {}), [0.25])
})

test('testKit: a function has the encodings that it has where functions run, and the test those of Node (KG2)', async () => {
  const decode = (label?: string) => () => {
    const decoder = new TextDecoder(label)
    assert.ok(decoder instanceof TextDecoder)
    return decoder.decode(new Uint8Array([0x61, 0]))
  }
  assert.deepEqual(await seenBy(decode(), {}), ['a\0'])
  assert.deepEqual(await seenBy(decode('UTF-16'), {}), ['a'])
  await assert.rejects(
    async () => await seenBy(decode('latin1'), {}),
    /^RangeError: Cannot decode 'latin1': the encodings here are utf-8 and utf-16le$/,
  )
  assert.equal(decode('latin1')(), 'a\0')
})
