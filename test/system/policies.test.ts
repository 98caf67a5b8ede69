import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DeadLetter, DeadLetterSummary, RedriveAnswer } from '../../sdk/api/index.ts'
import { Platform, Reader } from './platform.ts'

const started = Platform.ofFile()

const records = 10_000
const poison = 10 // one in a thousand

function source(name: string, onError: string): string {
  return `import { defineFunction, groupBy } from 'concord'
// The line of the throw is the eighth of this file, and must be so in the report.
const attempts = new Map<string, number>()
export default defineFunction({
  metadata: { name: '${name}', istreams: { '${name}-in': groupBy }, ostreams: ['${name}-out'], onError: ${onError} },
  processRecord(ctx, record) {
    ctx.produceRecord('${name}-out', record.key, record.text()); ctx.metrics.count('seen'); ctx.metrics.observe('value', Number(record.text()))
    if (Number(record.text()) % 1000 === 999) throw new RangeError('poison ' + record.text())
  },
})
`
}

const lines = Array.from({ length: records }, (_, i) => String(i)).join('\n')

for (const [name, onError, reason] of [
  ['skips', `'skip'`, 'skipped'],
  ['letters', `'deadLetter'`, 'deadLettered'],
  ['retries', `{ retry: 2, then: 'deadLetter' }`, 'deadLettered'],
] as const) {
  test(`a function that throws on one record in a thousand under ${onError}: the counts add up`, {
    timeout: 400_000,
  }, async (t) => {
    const platform = started()
    await platform.deployIn(t, name, source(name, onError))
    const out = await Reader.start(t, platform, [`${name}-out`, '--hold'])
    await platform.json(['produce', `${name}-in`], lines)
    await out.read(records - poison)
    // The gateway, which sent them, knows the ledger itself; errors and metrics come with the runner's next heartbeat.
    const detail = await platform.until(
      name,
      (d) => d.ledger[0]!.sent === records && d.ledger[0]!.inFlight === 0 && d.errors === poison,
    )
    assert.deepEqual(
      { ...detail.ledger[0] },
      {
        stream: `${name}-in`,
        sent: records,
        processed: records - poison,
        dropped: { [reason]: poison },
        inFlight: 0,
        lagMs: 0,
        unaccounted: 0,
        stateLost: 0,
      },
    )
    assert.equal(out.records.length, records - poison)
    assert.deepEqual(
      detail.metrics.map((metric) => [metric.name, metric.kind === 'count' ? metric.sum : metric.count]),
      [
        ['seen', records - poison],
        ['value', records - poison],
      ],
      'what threw has counted nothing (I3)',
    )
    await platform.untilSaid(['fn', 'inspect', name], /METRIC +COUNT +MEAN.*\nseen +9990\n/)
    const scraped = await (await fetch(detail.instances[0]!.metricsUrl!)).text()
    const labels = `function="${name}",instance="${name}-0",metric=`
    assert.ok(
      scraped.includes(
        `concord_function_count_total{${labels}"seen",process="runner",namespace="default"} ${records - poison}\n`,
      ),
      scraped,
    )
    assert.match(
      scraped,
      /concord_function_observed_bucket\{.*le="2000".*\} 1999\n/,
      'the poison of 0 to 2000 is two; 0 counts',
    )
    assert.match(detail.instances[0]!.lastError!.at ?? '', new RegExp(`${name}\\.ts:8:`))

    if (reason !== 'deadLettered') return
    // Their counts are left out where JetStream takes its time.
    const { deadLetters } = await platform.until(name, (d) => d.deadLetters !== undefined)
    assert.deepEqual(deadLetters, { waiting: poison, redriven: 0 })
    const letters = await platform.json<DeadLetterSummary[]>(['dlq', 'ls', name])
    const shown = await Promise.all(letters.map(({ id }) => platform.json<DeadLetter>(['dlq', 'show', id])))
    assert.deepEqual(
      shown.map(({ value }) => Number(value)).sort((a, b) => a - b),
      Array.from({ length: poison }, (_, i) => i * 1000 + 999),
    )
    for (const letter of shown) {
      assert.equal(letter.attempts, name === 'retries' ? 3 : 1)
      assert.equal(letter.stream, `${name}-in`)
      assert.match(letter.error.at ?? '', new RegExp(`${name}\\.ts:8:`))
      assert.match(letter.error.stack, new RegExp(`RangeError: poison ${letter.value}\\n.*${name}\\.ts:8:`))
    }

    // The author has found the fault: the next version takes them.
    await platform.deploy(name, source(name, onError).replace('% 1000 === 999', '< 0'))
    const text = (await platform.cli(['dlq', 'redrive', name, '--dry-run'])).stdout
    assert.equal(text, `${poison} would be redriven:\n  ${poison} to ${name}-in, read by ${name}\n`)
    const redriven = await platform.json<RedriveAnswer>(['dlq', 'redrive', name])
    assert.equal(redriven.redriven, poison)
    await out.read(records)
    const after = await platform.until(name, (d) => d.deadLetters?.redriven === poison)
    assert.equal(after.deadLetters?.waiting, 0)
    assert.equal((await platform.json<RedriveAnswer>(['dlq', 'redrive', name])).matched, 0)
    await platform.untilSaid(['fn', 'inspect', name], /Dead letters: 0 waiting, 10 redriven/)
    const { stdout } = await platform.cli(['dlq', 'rm', name, '--state', 'redriven'])
    assert.match(stdout, /^10 removed, \S+ k?B freed\.$/m)
    assert.deepEqual(await platform.json(['dlq', 'ls', name, '--state', 'all']), [])
  })
}

test(`a function that throws under 'fail' restarts, loses only the record that failed, and stops when it crash-loops`, {
  timeout: 400_000,
}, async (t) => {
  const platform = started()
  await platform.deployIn(t, 'fails', source('fails', `'fail'`))
  const out = await Reader.start(t, platform, ['fails-out', '--hold'])
  const few = 2000 // two poisoned records: two restarts
  await platform.json(['produce', 'fails-in'], Array.from({ length: few }, (_, i) => String(i)).join('\n'))
  const detail = await platform.until(
    'fails',
    (d) =>
      d.ledger[0]!.sent === few &&
      d.ledger[0]!.inFlight === 0 &&
      d.state === 'running' &&
      d.instances[0]!.restarts === 2,
  )
  assert.deepEqual(
    { ...detail.ledger[0] },
    {
      stream: 'fails-in',
      sent: few,
      processed: few - 2,
      dropped: { failed: 2 },
      inFlight: 0,
      lagMs: 0,
      unaccounted: 0,
      stateLost: 0,
    },
  )
  await out.read(few - 2)
  assert.equal(detail.instances[0]!.restarts, 2)
  assert.equal(detail.instances[0]!.lastExit!.reason, 'functionFailed')
  assert.match(detail.instances[0]!.lastExit!.message, /poison/)
  await platform.untilLogged('fails', /fails\.ts:8:/)
})
