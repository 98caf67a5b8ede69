import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Scores } from './scores.ts'

const labels = new Map([
  ...([
    ['thief', true],
    ['sly', true],
    ['reader', false],
    ['mirror', false],
  ] as const),
])

function verdict(client: string, count: number, fraud: boolean, version: number) {
  return { value: JSON.stringify({ client, count, fraud, version }), timeMs: Date.now() }
}

test('Scores measures a version by the clients that it alone has judged, against the labels', () => {
  const scores = new Scores(labels)
  scores.add(verdict('thief', 1, false, 1), 10)
  scores.add(verdict('thief', 2, true, 1), 20)
  scores.add(verdict('mirror', 1, true, 1), 30)
  scores.add(verdict('sly', 1, false, 1), 40)
  scores.add(verdict('reader', 1, false, 1), 50)
  assert.deepEqual(scores.qualityOf(1), { found: 2, frauds: 2, right: 1, precision: 0.5, recall: 0.5 })
  scores.add(verdict('sly', 2, true, 2), 60)
  assert.deepEqual(scores.qualityOf(1), { found: 2, frauds: 1, right: 1, precision: 0.5, recall: 1 })
  assert.deepEqual(scores.qualityOf(2), { found: 0, frauds: 0, right: 0, precision: 1, recall: 1 })
  assert.deepEqual(
    [...scores.clicks],
    [
      [1, 5],
      [2, 1],
    ],
  )
  assert.equal(scores.firstAtMs.get(2), 60)
})

test('Scores sees by the counts of state what is missing, and what came again', () => {
  const scores = new Scores(labels)
  for (const count of [1, 2, 5, 5, 4, 6]) scores.add(verdict('reader', count, false, 1), count)
  assert.deepEqual([scores.received, scores.lost, scores.repeated], [6, 2, 2])
})

test('Scores finds the longest time without a verdict, cut to the window', () => {
  const scores = new Scores(labels)
  for (const [i, atMs] of [100, 110, 150, 160].entries()) scores.add(verdict('reader', i + 1, false, 1), atMs)
  assert.equal(scores.longestGapMs(100, 160), 40)
  assert.equal(scores.longestGapMs(120, 160), 30)
  assert.equal(scores.longestGapMs(100, 120), 10)
  assert.equal(scores.longestGapMs(155, 400), 240)
})
