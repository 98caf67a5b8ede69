import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testKit } from 'concord/testkit'
import alert from './alert.ts'
import type { Alert, Verdict } from './click.ts'

const verdict = (client: string, score: number, reasons: readonly string[] = []) => {
  const value: Verdict = { client, count: 1, score, fraud: score >= 0.6, reasons }
  return JSON.stringify(value)
}
const startMs = 1_700_000_000_000
const env = { ALERT_WINDOW_MS: '5000' }

test('alert sums up a client one window after its first fraudulent click', () => {
  const kit = testKit(alert, { nowMs: startMs, env })
  kit.send('verdicts', 'a', verdict('a', 0.7, ['rate: 70 pages in a minute (+0.45)', 'agent: empty (+0.25)']))
  kit
    .advance(2_000)
    .send('verdicts', 'a', verdict('a', 0.2))
    .send('verdicts', 'a', verdict('a', 0.9, ['rate: 99 pages in a minute (+0.45)']))
  kit.advance(2_999)
  assert.deepEqual(kit.outputs('alerts'), [])
  kit.advance(1)
  assert.deepEqual(
    kit.outputs('alerts').map((record) => [record.key, record.json<Alert>()]),
    [
      [
        'a',
        {
          client: 'a',
          fromMs: startMs,
          toMs: startMs + 5_000,
          clicks: 3,
          flagged: 2,
          worstScore: 0.9,
          features: { rate: 2, agent: 1 },
        },
      ],
    ],
  )
})

test('alert keeps clients apart and opens a new window after the old one', () => {
  const kit = testKit(alert, { nowMs: startMs, env })
  kit.send('verdicts', 'a', verdict('a', 0.7)).advance(1_000)
  kit.send('verdicts', 'b', verdict('b', 0.8)).advance(4_000)
  kit.send('verdicts', 'a', verdict('a', 0.9)).advance(5_000)
  const alerts = kit.outputs('alerts').map((record) => record.json<Alert>())
  assert.deepEqual(
    alerts.map(({ client, fromMs, flagged }) => [client, fromMs - startMs, flagged]),
    [
      ['a', 0, 1],
      ['b', 1_000, 1],
      ['a', 5_000, 1],
    ],
  )
})

test('alert costs nothing for a client that behaves, before and after its window', () => {
  const kit = testKit(alert, { nowMs: startMs, env })
  kit.send('verdicts', 'a', verdict('a', 0.59)).advance(60_000)
  assert.deepEqual([kit.outputs('alerts').length, kit.timers().length, kit.state('a')], [0, 0, undefined])
  kit.send('verdicts', 'a', verdict('a', 0.6)).advance(5_000)
  assert.deepEqual([kit.outputs('alerts').length, kit.timers().length, kit.state('a')], [1, 0, undefined])
})

test('alert refuses to start with a window that is no number', () => {
  assert.throws(() => testKit(alert, { env: { ALERT_WINDOW_MS: 'soon' } }), /Cannot use ALERT_WINDOW_MS=soon/)
})
