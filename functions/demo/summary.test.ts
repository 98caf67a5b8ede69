import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CodedError } from 'concord'
import type { RecordOutput } from '../../sdk/api/index.ts'
import type { Alert, Verdict } from '../clicks/click.ts'
import { type Account, isThrough } from './accounts.ts'
import { complaints, describe, type Run, summaryOf } from './summary.ts'
import { Tally } from './tally.ts'

const record = (value: unknown): RecordOutput => {
  return {
    stream: 's',
    partition: 0,
    producer: 'p',
    sequence: 0,
    timeMs: Date.now(),
    key: 'k',
    value: JSON.stringify(value),
  }
}
const verdict = (client: string, count: number, score: number): Verdict => {
  return { client, count, score, fraud: score >= 0.6, reasons: [`rate: ${count} pages in a minute (+0.45)`] }
}
const account = (records: number, change: Partial<Account> = {}): Account => {
  return {
    counted: records,
    out: records,
    errors: 0,
    sent: records,
    handled: records,
    inFlight: 0,
    unaccounted: 0,
    ...change,
  }
}

/** Five lines, one of them no log line, two clients, one of them a fraud. */
function goodRun(): Run {
  const tally = new Tally()
  for (const one of [verdict('a', 1, 0.1), verdict('b', 1, 0.7), verdict('a', 2, 0.1), verdict('b', 2, 0.9)])
    tally.addVerdict(record(one))
  const alert: Alert = {
    client: 'b',
    fromMs: 0,
    toMs: 1,
    clicks: 2,
    flagged: 2,
    worstScore: 0.9,
    features: {},
  }
  tally.addAlert(record(alert))
  const accounts = {
    parse: account(5, { out: 4, errors: 1 }),
    score: account(4),
    alert: account(4, { out: 1 }),
  }
  return { startedAtMs: tally.verdictAtMs - 2_000, tally, accepted: 5, fed: true, accounts }
}

test('summaryOf is the object that --json prints', () => {
  const run = goodRun()
  const { latencies } = run.tally
  assert.deepEqual(summaryOf(run), {
    input: { records: 5 },
    functions: {
      parse: { in: 5, out: 4, errors: 1 },
      score: { in: 4, out: 4, errors: 0 },
      alert: { in: 4, out: 1, errors: 0 },
    },
    lost: 0,
    seconds: 2,
    recordsPerSecond: 2,
    latencyMs: { p50: latencies.quantile(0.5), p99: latencies.quantile(0.99) },
    clients: { a: 2, b: 2 },
  })
})

test('isThrough waits for the ledgers, which say a while after the counters that all was handled', () => {
  const { accepted, accounts, tally } = goodRun()
  assert.ok(isThrough(accepted, accounts!, tally))
  for (const name of ['parse', 'score', 'alert'] as const) {
    const late = { ...accounts![name], handled: accounts![name].sent - 1, inFlight: 1 }
    assert.ok(!isThrough(accepted, { ...accounts!, [name]: late }, tally), name)
  }
})

test('complaints finds nothing in a run that came through', () => {
  assert.deepEqual(complaints(goodRun()), [])
})

test('summaryOf counts what is missing at each hop as lost, and complaints says where', () => {
  const run = goodRun()
  const accounts = { ...run.accounts, score: account(4, { handled: 1, inFlight: 1, unaccounted: 2 }) }
  assert.equal(summaryOf({ ...run, accounts }).lost, 3)
  assert.deepEqual(complaints({ ...run, accounts }), [
    'Missing between clicks → score: 3 records (1 in flight, 2 unaccounted)',
  ])
  assert.equal(summaryOf({ ...run, accepted: 9 }).lost, 4)
  run.tally.addMissed(7)
  assert.equal(summaryOf(run).lost, 7)
})

test('complaints tells of a refusal, and of fraud without an alert', () => {
  const run = goodRun()
  run.tally.addVerdict(record(verdict('c', 1, 0.8)))
  const accounts = { ...run.accounts, score: account(5), alert: account(5) }
  assert.deepEqual(complaints({ ...run, accounts }), ['Missing on alerts: 1 click called fraudulent'])
  const refusal = new CodedError('ERR_RECORD_TOO_LARGE', 'too large')
  assert.deepEqual(complaints({ ...goodRun(), refusal }), ['The gateway took 5 lines and no more: too large'])
})

test('describe shows functions, top offenders, and quality where labels exist', () => {
  const text = describe(goodRun(), {
    name: 'test',
    lines: [],
    labels: new Map([
      ['a', true],
      ['b', true],
    ]),
  })
  assert.match(text, /5 lines in 2.0 s: 2 records\/s, lost 0/)
  assert.match(text, /parse +5 +4 +1/)
  assert.match(
    text,
    /precision 100\.0 %: of 1 client called fraudulent, 1 rightly\nrecall 50\.0 %: of 2 frauds, 1 found/,
  )
  assert.match(text, /b +2 +0\.90 +rate: 2 pages in a minute/)
  assert.doesNotMatch(describe(goodRun(), { name: 'test', lines: [] }), /precision/)
})
