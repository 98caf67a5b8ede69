import assert from 'node:assert/strict'
import { test } from 'node:test'
import { complaintsOf, figuresOf, type SwapRun, storyText } from './report.ts'
import { Scores } from './scores.ts'

/** Version 1 judges for four seconds, version 2 for one; ten clicks a second, one of them with the canary. */
function run(over: Partial<SwapRun> = {}): SwapRun {
  const scores = new Scores(new Map([['thief', true]]))
  const value = (nth: number) => ({ client: 'thief', count: nth + 1, fraud: true, version: nth < 40 ? 1 : 2 })
  for (let nth = 0; nth < 50; nth++)
    scores.add({ value: JSON.stringify(value(nth)), timeMs: Date.now() }, nth * 100 + (nth >= 40 ? 70 : 0))
  scores.add(
    { value: JSON.stringify({ client: 'reader', count: 1, fraud: false, version: 3 }), timeMs: Date.now() },
    5_070,
  )
  return {
    stream: { scores, sent: 51, missed: 0, startedMs: 0 },
    looks: [
      { atMs: 1_000, clicks: [10, 0, 0], gapMs: 100 },
      { atMs: 5_000, clicks: [40, 10, 1], gapMs: 170 },
    ],
    ...{ seconds: 5, swapAskedMs: 3_900, pauseMs: 2.34, versionAtEnd: 2 },
    canary: { state: 'failed', reason: 'at 10 % of the keys' },
    ...over,
  }
}

test('figuresOf holds the change against the seconds before it', () => {
  const figures = figuresOf(run())
  assert.deepEqual([figures.gapMs, figures.usualGapMs], [170, { median: 100, most: 100 }])
  assert.deepEqual([figures.sent, figures.received, figures.lost], [51, 51, 0])
  assert.deepEqual(
    figures.versions.map(({ clicks }) => clicks),
    [40, 10, 1],
  )
})

test('storyText shows who judged when, and what came of it', () => {
  const lines = storyText(run()).split('\n')
  assert.match(lines[1]!, /^v1 +█ *max 7.5 clicks\/s$/)
  assert.ok(lines.some((line) => line.startsWith('v1 → v2  in place, in 2.3 ms.')))
  assert.ok(lines.includes('v2 → v3  rolled back at 10 % of the keys'))
  assert.ok(lines.includes('51 clicks, 51 verdicts: 0 lost, 0 judged twice or out of order; v2 is at work'))
})

test('complaintsOf names what is missing, and a bad version that stayed', () => {
  assert.deepEqual(complaintsOf(run()), [])
  const { stream } = run()
  const bad = run({ stream: { ...stream, sent: 53 }, canary: { state: 'live', reason: '' }, versionAtEnd: 3 })
  const complaints = complaintsOf(bad).join('\n')
  for (const part of [
    '2 clicks have no verdict',
    "'live', and was to be rolled back",
    'version 3 is at work',
  ])
    assert.ok(complaints.includes(part), complaints)
})
