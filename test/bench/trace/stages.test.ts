import assert from 'node:assert/strict'
import { test } from 'node:test'
import { partitions } from '../load/workload.ts'
import { stagesOf, tableOf } from './stages.ts'
import type { Trace } from './stamps.ts'

/** A frame of five records each 10 ms, which takes 1 ms from stage to stage; the one due at 500 ms waits for the runner for 40 ms. */
function traces(): Trace[] {
  const stamps: Record<string, number[]> = {}
  const stages = ['due', 'sent', 'came', 'begun', 'done', 'published', 'arrived', 'seen']
  for (let frame = 0; frame < 200; frame++) {
    const [partition, first] = [frame % partitions, Math.floor(frame / partitions) * 5]
    for (const [stage, name] of stages.entries()) {
      const lateMs = frame === 50 && stage >= 2 ? 39 : 0
      stamps[name] = [...(stamps[name] ?? []), partition, first, 5, (10 * frame + stage + lateMs) * 1000]
    }
  }
  const of = (...names: readonly string[]) => Object.fromEntries(names.map((name) => [name, stamps[name]!]))
  return [
    { role: 'load', stamps: of('sent'), pauses: [] },
    {
      role: 'runner',
      stamps: of('came', 'begun', 'done', 'published'),
      pauses: [
        ['scavenge', 510_000, 25_000],
        ['report', 700_000, 100],
      ],
    },
    { role: 'sink', stamps: of('arrived', 'seen', 'due'), pauses: [] },
  ]
}

test('stagesOf tells at which stage records were, and what paused while the slow ones were on their way', () => {
  const found = stagesOf(traces(), 0)
  const [median, , slowest] = found.rows
  assert.deepEqual(median, { title: 'median tenth', ms: [1, 1, 1, 1, 1, 1, 1, 7] })
  // Of 1,000 records the ten slowest: five of them waited.
  assert.deepEqual(slowest?.ms.map(Math.round), [1, 21, 1, 1, 1, 1, 1, 27])
  const slow = found.clusters.filter((line) => line.includes('slowest 46.0'))
  assert.equal(slow.length, 1)
  assert.match(slow[0]!, /most of it 'to the runner'.*; runner: scavenge 25\.0 at 10\.0$/)
  assert.deepEqual(found.pauses, [
    'runner: scavenge: 1, 25.0 ms in all, longest 25.0',
    'runner: report: 1, 0.1 ms in all, longest 0.1',
  ])
  assert.match(tableOf(found), /\| slowest 1 % \| 1\.00 \| 20\.50 \|/)
})

test('stagesOf leaves out those that are for warming up', () => {
  const warm = stagesOf(traces(), 300)
  assert.equal(Math.max(...warm.rows.flatMap(({ ms }) => ms)), 7)
  assert.deepEqual(warm.pauses, ['runner: report: 1, 0.1 ms in all, longest 0.1'])
})
