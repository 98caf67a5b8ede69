import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MetricSums } from '../../../sdk/wire/user-metrics.ts'
import { fn, frameOfTexts, nowMs, start, texts } from '../testing/harness.ts'

// biome-ignore lint/suspicious/noThenProperty: so the policy is spelled -- it is data
const onError = { retry: 1, then: 'skip', waitMs: 0 } as const

test('ctx.metrics counts with its record or not at all, across retries, batches and isolates (I3)', async (t) => {
  const metrics = new MetricSums()
  const source = fn(`
    ctx.metrics.count('calls')
    ctx.metrics.count('bytes', record.value.length)
    ctx.metrics.observe('length', record.value.length)
    if (record.text() === 'bad') throw new Error('bad')
    if (record.text() === 'once' && (globalThis.tries = (globalThis.tries ?? 0) + 1) === 1) throw new Error('once')`)
  for (const inputs of [['one', 'bad', 'once'], ['three']]) {
    const { instance } = await start(source, { metrics, manifest: { onError } })
    t.after(() => instance.destroy())
    assert.equal((await instance.run([frameOfTexts(...inputs)], nowMs)).fatal, undefined)
  }
  assert.deepEqual(metrics.reports(), [
    { name: 'bytes', kind: 'count', sum: 12 },
    { name: 'calls', kind: 'count', sum: 3 },
    {
      ...{ name: 'length', kind: 'observe', count: 3, sum: 12, min: 3, max: 5 },
      buckets: [[14, 3]],
    },
  ])
})

test('ctx.metrics refuses a wrong name or value with the reason, and counts nothing', async (t) => {
  const metrics = new MetricSums()
  const attempts = [
    `count('')`,
    `count('a b')`,
    `count('x'.repeat(63))`,
    `count('ok', -1)`,
    `count('ok', '1')`,
    `count('ok', NaN)`,
    `observe('ok2')`,
    `observe('ok2', Infinity)`,
    `count(Symbol.iterator)`,
  ]
  const body = attempts.map((call) => `() => ctx.metrics.${call}`).join(',')
  const source = fn(`
    for (const attempt of [${body}]) {
      try { attempt() } catch (error) { ctx.produceRecord('out', '', error.code) }
    }
    ctx.metrics.count('fine'); ctx.metrics.observe('seen', 1)
    for (const attempt of [() => ctx.metrics.observe('fine', 1), () => ctx.metrics.count('seen')]) {
      try { attempt() } catch (error) { ctx.produceRecord('out', '', error.message) }
    }
    for (let i = 0; ; i++) try { ctx.metrics.count('n' + i) } catch (error) { ctx.produceRecord('out', '', i + ' ' + error.message); break }`)
  const { instance } = await start(source, { metrics })
  t.after(() => instance.destroy())
  const result = await instance.run([frameOfTexts('x')], nowMs)
  assert.equal(result.fatal, undefined, result.fatal?.message)
  assert.deepEqual(texts(result), [
    ...['ERR_METRIC', 'ERR_METRIC', 'ERR_METRIC', 'ERR_ARGUMENT', 'ERR_ARGUMENT', 'ERR_ARGUMENT'],
    ...['ERR_ARGUMENT', 'ERR_ARGUMENT', 'ERR_METRIC'],
    `Cannot observe 'fine': it has been counted before; use another name`,
    `Cannot count 'seen': it has been observed before; use another name`,
    `62 Cannot count 'n62': an instance has at most 64 names of metrics, and a name is no place for a key`,
  ])
  assert.equal(metrics.reports().length, 64)
})

test('a flood of metrics is refused as a flood of outputs is, and a hostile realm cannot change the counts of the host', async (t) => {
  const metrics = new MetricSums()
  const { instance } = await start(fn(`for (;;) ctx.metrics.count('flood')`), {
    metrics,
    manifest: { onError: 'skip' },
  })
  t.after(() => instance.destroy())
  const result = await instance.run([frameOfTexts('x')], nowMs)
  assert.match(
    result.failures[0]!.error.message,
    /^Cannot count 'flood': one callback may produce 4194304 bytes \(4 MiB\) in all, and this would make it 41943\d\d bytes/,
  )
  assert.deepEqual(metrics.reports(), [])

  const liar = fn(`
    RegExp.prototype.test = RegExp.prototype.exec = () => true
    String.prototype.charCodeAt = () => 7
    ctx.metrics.count('\\x00'.repeat(100)); ctx.metrics.count('fine')`)
  const lying = await start(liar, { metrics })
  t.after(() => lying.instance.destroy())
  const outcome = await lying.instance.run([frameOfTexts('x')], nowMs)
  assert.equal(outcome.fatal?.code, 'ERR_ISOLATE_LOST')
  assert.deepEqual(metrics.reports(), [])
})
