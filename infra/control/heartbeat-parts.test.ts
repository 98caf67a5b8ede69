import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { HeartbeatJoiner, splitHeartbeat } from './heartbeat-parts.ts'
import type { Heartbeat, InstanceReport } from './messages/heartbeat.ts'

const report = (index: number, text: string): InstanceReport => {
  const counts = { recordsIn: 0, recordsOut: 0, errors: 0, timersFired: 0, batches: 0 }
  const usage = { stateEntries: 0, stateBytes: 0, heapBytes: 0, cpuSeconds: 0 }
  const lastError = { name: 'Error', message: text, stack: text, timeMs: 0 }
  const id = `f-${index}`
  return {
    ...{ id, function: 'f', index, epoch: 1, version: 1, state: 'running' },
    ...{ ...counts, ...usage, outputs: [], inputs: [], lastError },
  }
}
const beat = (sentAtMs: number, instances: readonly InstanceReport[]): Heartbeat => ({
  ...{ schema: 1, kind: 'runner', id: 't', incarnation: 'i', generation: 1, sentAtMs, state: 'running' },
  ...{ pid: 1, rssBytes: 1, cpuSeconds: 0, instances },
})
const parse = (part: string) => JSON.parse(part) as Heartbeat

test('splitHeartbeat makes no part larger than the bound, and HeartbeatJoiner joins them again', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 400 }), { maxLength: 30 }), (texts) => {
      const whole = beat(
        1,
        texts.map((text, index) => report(index, text)),
      )
      const parts = splitHeartbeat(whole, 6_000)
      for (const part of parts) assert.ok(Buffer.byteLength(part) <= 6_000)
      const joiner = new HeartbeatJoiner()
      const joined = parts.map((part) => joiner.take(parse(part)))
      assert.deepEqual(joined.pop(), parse(JSON.stringify(whole)))
      assert.ok(joined.every((nothing) => nothing === undefined))
    }),
  )
})

test('HeartbeatJoiner passes on no heartbeat with a missing part (HP2)', () => {
  const reports = Array.from({ length: 20 }, (_, index) => report(index, 'x'.repeat(1_000)))
  const first = splitHeartbeat(beat(1, reports), 8_000).map(parse)
  const second = splitHeartbeat(beat(2, reports), 8_000).map(parse)
  assert.ok(first.length > 2)
  for (let lost = 0; lost < first.length; lost++) {
    const joiner = new HeartbeatJoiner()
    for (const part of first.filter((_, index) => index !== lost)) assert.equal(joiner.take(part), undefined)
    assert.equal(
      second.map((part) => joiner.take(part)).at(-1)?.instances.length,
      20,
      'the next one is whole',
    )
  }
})

test('splitHeartbeat leaves a heartbeat of few instances as one message', () => {
  const whole = beat(1, [report(0, 'x')])
  assert.deepEqual(splitHeartbeat(whole).map(parse), [whole])
  assert.equal(new HeartbeatJoiner().take(whole), whole)
})
