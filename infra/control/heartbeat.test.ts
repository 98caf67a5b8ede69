import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseHeartbeat } from './heartbeat.ts'
import type { Heartbeat, InstanceReport } from './messages/heartbeat.ts'

const sums = { count: 1, sum: 1, min: 1, max: 1, buckets: [[3, 1]] } as const
const output = { stream: 's', consumer: 'f', sent: 2, acked: 1, dropped: {}, unaccounted: 0 }
const input = { stream: 's', received: 2, processed: 1, dropped: {}, repeats: 0, gaps: 0, stateLost: 0 }
const report: InstanceReport = {
  ...{ id: 'f-0', function: 'f', index: 0, epoch: 1, version: 1, state: 'running' },
  ...{ recordsIn: 1, recordsOut: 1, errors: 0, timersFired: 0, batches: 1 },
  ...{ stateEntries: 0, stateBytes: 0, heapBytes: 0, cpuSeconds: 0 },
  outputs: [output],
  inputs: [{ ...input, refused: { malformed: 1 } }],
  work: { elapsedMs: 10, idleMs: 5, blockedMs: 0, calls: sums },
  metrics: [
    { name: 'seen', kind: 'count', sum: 1 },
    { name: 'score', kind: 'observe', ...sums },
  ],
}
const whole: Heartbeat = {
  ...{ schema: 1, kind: 'runner', id: 't', incarnation: 'i', generation: 1, sentAtMs: 1, state: 'running' },
  ...{ pid: 1, rssBytes: 1, cpuSeconds: 0, instances: [report], outputs: [output] },
}
const parsed = (beat: unknown) => parseHeartbeat(Buffer.from(JSON.stringify(beat)))

test('parseHeartbeat leaves a heartbeat as it is, with fields of a later build', () => {
  const later = { ...whole, mood: 'good', instances: [{ ...report, mood: 'good' }] }
  assert.deepEqual(parsed(later), later)
})

test('parseHeartbeat reads a sum beyond all numbers, which JSON writes as null', () => {
  const metrics = [
    { name: 'seen', kind: 'count', sum: Number.POSITIVE_INFINITY },
    { name: 'score', kind: 'observe', ...sums, sum: Number.POSITIVE_INFINITY },
  ]
  assert.notEqual(parsed({ ...whole, instances: [{ ...report, metrics }] }), undefined)
})

test('parseHeartbeat refuses what a listener would stumble over (HB1)', () => {
  const { outputs: _, ...silent } = report
  const { inputs: __, ...deaf } = report
  const reports: unknown[] = [
    ...[null, 7, 'f-0', silent, deaf],
    ...[7, [null], [{ ...output, dropped: 7 }]].map((outputs) => ({ ...report, outputs })),
    ...[7, [null], [{ stream: 's' }]].map((inputs) => ({ ...report, inputs })),
    ...[7, { elapsedMs: 1, calls: { buckets: [3] } }].map((work) => ({ ...report, work })),
    ...[7, [null], [{ name: 'score', kind: 'observe' }]].map((metrics) => ({ ...report, metrics })),
    ...[7, [null]].map((received) => ({ ...report, received })),
  ]
  const beats: unknown[] = [
    ...[null, 7, [], { ...whole, schema: 2 }, { ...whole, instances: 7 }],
    ...[
      { ...whole, outputs: 7 },
      { ...whole, outputs: [null] },
      { ...whole, ingestEpoch: 'x' },
    ],
    ...reports.map((each) => ({ ...whole, instances: [each] })),
  ]
  for (const beat of beats) assert.equal(parsed(beat), undefined, JSON.stringify(beat))
  for (const text of ['', '{']) assert.equal(parseHeartbeat(Buffer.from(text)), undefined)
})
