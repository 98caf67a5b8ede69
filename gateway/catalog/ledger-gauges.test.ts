import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../infra/clock.ts'
import { makeMetrics } from '../metrics.ts'
import { writeLetters } from '../testing/letters.ts'
import { call, type Platform, sourceOf, startOwner, startPlatform, until } from '../testing/platform.ts'
import type { CatalogView } from './catalog.ts'
import { Heartbeats } from './heartbeats.ts'
import { LedgerGauges } from './ledger-gauges.ts'

/** The samples of the gauges, by name and labels. */
async function samples(url: string): Promise<Record<string, number>> {
  const text = await (await call(url, 'GET', '/metrics')).text()
  const lines = text.matchAll(/^concord_((?:input|dead)_\w+)\{([^}]*)\} (\S+)$/gm)
  return Object.fromEntries(
    [...lines].map(([, name, labels, value]) => [
      `${name} ${labels!.replace(/,?process="gateway",namespace="test"/, '')}`,
      Number(value),
    ]),
  )
}

/** A function whose owner processes two of its three records, and whose third waits. */
async function startLagging(platform: Platform): Promise<void> {
  const answer = await platform.call('POST', '/v1/functions', { body: sourceOf('lags', ['in'], []) })
  assert.equal(answer.status, 200, await answer.text())
  const records = (values: readonly string[]) => values.map((value) => JSON.stringify({ value })).join('\n')
  const send = async (...values: string[]) =>
    assert.equal(
      (await platform.call('POST', '/v1/streams/in/records', { body: records(values) })).status,
      200,
    )
  const owner = startOwner(platform.wire, 'lags', 'in')
  await send('a', 'b')
  await until('two are processed', async () => {
    const detail = (await (await platform.call('GET', '/v1/functions/lags')).json()) as {
      ledger: { processed: number }[]
    }
    return detail.ledger[0]!.processed === 2
  })
  owner.close()
  await send('c')
}

test('every gateway shows on /metrics where the records of each input are', async (t) => {
  const platform = await startPlatform()
  t.after(() => platform.close())
  await startLagging(platform)
  const expected = {
    'input_records function="lags",stream="in",state="sent"': 3,
    'input_records function="lags",stream="in",state="processed"': 2,
    'input_records function="lags",stream="in",state="in_flight"': 1,
    'input_records function="lags",stream="in",state="unaccounted"': 0,
    'input_state_lost_records function="lags",stream="in"': 0,
    'dead_letters function="lags",state="waiting"': 0,
    'dead_letters function="lags",state="redriven"': 0,
  }
  await until('JetStream has the stream of dead letters', async () => {
    const detail = (await (await platform.call('GET', '/v1/functions/lags')).json()) as object
    return 'deadLetters' in detail
  })
  const check = async (url: string) => {
    const { [`input_lag_seconds function="lags",stream="in"`]: lag, ...shown } = await samples(url)
    assert.deepEqual(shown, expected)
    assert.ok(lag! >= 0 && lag! < 600, `${lag} s`)
  }
  await check(platform.gateway.url)
  const other = await platform.another()
  await until('the other has heard of the first', async () => {
    const detail = (await (await call(other.url, 'GET', '/v1/functions/lags')).json()) as {
      ledger: { sent: number; lagMs?: number }[]
      deadLetters?: object
    }
    const [row] = detail.ledger
    return row!.sent === 3 && row!.lagMs !== undefined && detail.deadLetters !== undefined
  })
  await check(other.url)
})

test('a removed function is shown on /metrics as long as it has dead letters (LG4)', async (t) => {
  const platform = await startPlatform()
  t.after(() => platform.close())
  await until('JetStream takes letters', () =>
    writeLetters(platform.nc, 'gone', 'in', [{ key: 'a' }, { key: 'b' }]).then(
      () => true,
      () => false,
    ),
  )
  const { url } = await platform.another() // which has shown nothing yet
  assert.deepEqual(await samples(url), {
    'dead_letters function="gone",state="waiting"': 2,
    'dead_letters function="gone",state="redriven"': 0,
  })
})

/** Gauges of one function, whose accounts are read when the test wants it. */
function gaugesOf(clock: ManualClock) {
  const metrics = makeMetrics('test')
  const reads: ((sent: number) => void)[] = []
  const heartbeats = new Heartbeats(clock)
  const live = { name: 'f', version: { manifest: { istreams: { in: {} } } } }
  const gauges = new LedgerGauges({
    ...{ metrics, clock, heartbeats },
    view: () => ({ functions: new Map([['f', live]]) }) as unknown as CatalogView,
    accountsOf: () =>
      new Promise((resolve) =>
        reads.push((sent) => {
          const row = {
            stream: 'in',
            consumer: 'f',
            sent,
            acked: 0,
            dropped: { full: 4 },
            unaccounted: 0,
            lagMs: 2500,
          }
          const sentBefore = { rows: [], over: new Set<string>(), open: [] }
          resolve({ sent: sentBefore, outputs: [row], stateLost: new Map([['in', 3]]) })
        }),
      ),
    deadLetters: { counts: async () => undefined, functions: async () => undefined },
  })
  const shown = async () =>
    (await metrics.inputRecords.get()).values.find(({ labels }) => labels.state === 'sent')?.value
  return { gauges, reads, shown, metrics, heartbeats }
}

test('LedgerGauges reads at most once in ten seconds, and shows all that is known (LG1)', async () => {
  const clock = new ManualClock()
  const { gauges, reads, shown, metrics } = gaugesOf(clock)
  const refreshed = Promise.all([gauges.refresh(), gauges.refresh()])
  await until('it reads', () => reads.length > 0)
  reads[0]!(7)
  await refreshed
  assert.deepEqual([await shown(), reads.length], [7, 1])
  assert.deepEqual((await metrics.inputDropped.get()).values, [
    { value: 4, labels: { function: 'f', stream: 'in', reason: 'full' } },
  ])
  assert.deepEqual((await metrics.inputLag.get()).values, [
    { value: 2.5, labels: { function: 'f', stream: 'in' } },
  ])
  assert.deepEqual((await metrics.inputStateLost.get()).values, [
    { value: 3, labels: { function: 'f', stream: 'in' } },
  ])
  assert.deepEqual((await metrics.deadLetters.get()).values, []) // not known
  clock.advance(9_999)
  await gauges.refresh()
  assert.equal(reads.length, 1)
  clock.advance(1)
  const again = gauges.refresh()
  await until('it reads again', () => reads.length > 1)
  reads[1]!(8)
  await again
  assert.equal(await shown(), 8)
})

test('LedgerGauges shows the last ones to a scrape while the store takes its time (LG2)', async () => {
  const clock = new ManualClock()
  const { gauges, reads, shown } = gaugesOf(clock)
  const first = gauges.refresh()
  await until('it reads', () => reads.length > 0)
  reads[0]!(7)
  await first
  clock.advance(10_000)
  const second = gauges.refresh()
  clock.advance(1_000)
  await second
  assert.equal(await shown(), 7)
  await until('it reads', () => reads.length > 1)
  reads[1]!(8)
  await gauges.refresh()
  assert.equal(await shown(), 8)
})

test('LedgerGauges shows no lag and nothing in flight while the gateway hears nobody, and sums still (LG5)', async () => {
  const clock = new ManualClock()
  const { gauges, reads, metrics, heartbeats } = gaugesOf(clock)
  const about = { schema: 1, kind: 'gateway', id: 'g', incarnation: 'g', generation: 1, state: 'running' }
  const hear = () =>
    assert.ok(
      heartbeats.take(Buffer.from(JSON.stringify({ ...about, sentAtMs: clock.nowMs(), instances: [] }))),
    )
  const read = async () => {
    const count = reads.length
    const refreshed = gauges.refresh()
    await until('it reads', () => reads.length > count)
    reads[count]!(7)
    await refreshed
  }
  const shown = async () => [
    (await metrics.inputRecords.get()).values.map(({ labels }) => labels.state),
    (await metrics.inputLag.get()).values.length,
  ]
  const all = [['sent', 'processed', 'in_flight', 'unaccounted'], 1]
  const sums = [['sent', 'processed', 'unaccounted'], 0]
  hear()
  await read()
  assert.deepEqual(await shown(), all)
  clock.advance(5_000)
  await gauges.refresh()
  assert.deepEqual(await shown(), sums, 'it is deaf, and need not read anew to know it')
  clock.advance(5_000)
  await read()
  assert.deepEqual(await shown(), sums, 'what was read while it is deaf')
  hear()
  await gauges.refresh()
  assert.deepEqual(await shown(), sums, 'it hears, and has not read since')
  clock.advance(10_000)
  hear()
  await read()
  assert.deepEqual(await shown(), all)
})
