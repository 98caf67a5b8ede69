import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testKit } from 'concord/testkit'
import type { Click, Verdict } from './click.ts'
import score from './score.ts'

function click(client: string, timeMs: number, agent = 'curl/8.5.0'): string {
  const click: Click = {
    client,
    timeMs,
    method: 'GET',
    path: '/click?ad=1',
    status: 200,
    bytes: 1,
    referrer: '',
    agent,
  }
  return JSON.stringify(click)
}

test('score gives one verdict on each click, keyed by client, and counts each client by itself', () => {
  const kit = testKit(score)
  for (const client of ['a', 'b', 'a', 'a', 'b']) kit.send('clicks', client, click(client, 1_000))
  const verdicts = kit.outputs('verdicts')
  assert.deepEqual(
    verdicts.map((record) => [record.key, record.json<Verdict>().count]),
    [
      ['a', 1],
      ['b', 1],
      ['a', 2],
      ['a', 3],
      ['b', 2],
    ],
  )
})

test('score calls a script that hammers a fraud, with reasons, and leaves others alone', () => {
  const kit = testKit(score)
  for (let i = 0; i < 60; i++) kit.send('clicks', 'hammer', click('hammer', i * 200))
  kit.send('clicks', 'person', click('person', 12_000, 'Mozilla/5.0 Firefox/127.0'))
  const verdicts = kit.outputs('verdicts').map((record) => record.json<Verdict>())
  const [hammer, person] = verdicts.slice(-2)
  assert.ok(hammer?.fraud)
  assert.match(hammer.reasons.join('; '), /agent: scripted \(\+0\.35\)/)
  assert.deepEqual(person, { client: 'person', count: 1, score: 0, fraud: false, reasons: [] })
})

test('score depends on the clicks alone, not on the clock or the time of the record', () => {
  const run = (nowMs: number) => {
    const kit = testKit(score, { nowMs })
    for (let i = 0; i < 40; i++)
      kit.send('clicks', 'a', click('a', i * 300), { timeMs: nowMs + i }).advance(1_000)
    return kit.outputs('verdicts').map((record) => record.text())
  }
  assert.deepEqual(run(0), run(1_700_000_000_000))
})
