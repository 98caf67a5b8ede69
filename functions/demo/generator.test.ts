import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseCombined } from '../clicks/combined-log.ts'
import { generateTraffic } from './generator.ts'
import { visitorKinds } from './visitors.ts'

test('generateTraffic gives the same lines and labels for the same seed, others for another (G1)', () => {
  const run = (seed: number) => {
    const traffic = generateTraffic(seed, 3_000)
    return { lines: [...traffic.lines], labels: [...traffic.labels] }
  }
  assert.deepEqual(run(7), run(7))
  assert.notDeepEqual(run(7), run(8))
})

test('generateTraffic writes as many log lines as asked, in the order of time (G2)', () => {
  const clicks = [...generateTraffic(1, 20_000).lines].map(parseCombined)
  assert.equal(clicks.length, 20_000)
  assert.ok(clicks.every((click, index) => index === 0 || click.timeMs >= clicks[index - 1]!.timeMs))
})

test('generateTraffic labels every client that it wrote, and no other', () => {
  const traffic = generateTraffic(2, 20_000)
  const clients = new Set([...traffic.lines].map((line) => parseCombined(line).client))
  assert.deepEqual(new Set(traffic.labels.keys()), clients)
  const frauds = [...traffic.labels.values()].filter(Boolean).length
  assert.ok(frauds > 10 && frauds < clients.size / 10, `${frauds} of ${clients.size}`)
})

test('generateTraffic keeps the kinds of its visitors out of the lines (G3)', () => {
  const text = [...generateTraffic(3, 20_000).lines].join('\n')
  for (const { name } of visitorKinds) assert.ok(!text.includes(name), name)
  assert.ok(!/fraud/i.test(text))
})
