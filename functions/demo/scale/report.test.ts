import assert from 'node:assert/strict'
import { test } from 'node:test'
import { daySvg, dayText, figuresOf } from './report.ts'

const look = (perSecond: number, instances: number, latencyMs: number) => ({
  ...{ perSecond, instances, latencyMs },
  waiting: perSecond / 10,
})
const day = { looks: [look(100, 1, 5), look(2000, 6, 900), look(100, 2, 8)], sent: 10, received: 9, wrong: 1 }

test('dayText draws what was seen, and says what is missing', () => {
  const lines = dayText(day).split('\n')
  assert.match(lines[0]!, /^orders\/s +▁█▁ max 2000$/)
  assert.match(lines[1]!, /^instances +▂█▃ max 6$/)
  assert.match(lines[2]!, /^waiting .* max 200 records$/)
  assert.equal(lines.at(-1), '10 orders, 9 receipts, 1 of them wrong.')
  assert.match(dayText({ ...day, received: 10, wrong: 0 }), /a receipt for each, in order/)
})

test('daySvg is an image with a panel for each row', () => {
  const svg = daySvg(day, 60)
  assert.match(svg, /^<svg xmlns=/)
  assert.equal(svg.match(/<polyline /g)?.length, 4)
  for (const name of ['orders/s', 'instances', 'waiting', 'latency'])
    assert.ok(svg.includes(`>${name}</text>`))
})

test('figuresOf counts what was lost, and finds the most of each', () => {
  assert.deepEqual(figuresOf(day), {
    ...{ sent: 10, received: 9, lost: 1, wrong: 1, instancesMax: 6, instancesAtEnd: 2, waitingMax: 200 },
    ...{ latencyMedianMs: 8, latencyMaxMs: 900 },
  })
})
