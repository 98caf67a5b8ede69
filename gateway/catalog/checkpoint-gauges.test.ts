import assert from 'node:assert/strict'
import { test } from 'node:test'
import { subjects } from '../../infra/bus/index.ts'
import { ManualClock } from '../../infra/clock.ts'
import { paths, type StatusDocument } from '../../infra/store/index.ts'
import { manifestSchema } from '../../sdk/manifest/manifest.ts'
import { makeMetrics } from '../metrics.ts'
import { namespace, sourceOf, startPlatform, until } from '../testing/platform.ts'
import type { LiveFunction } from './catalog.ts'
import { showCheckpoints } from './checkpoint-gauges.ts'
import { Heartbeats } from './heartbeats.ts'

type Reported = object | undefined

/** A function with an instance in a runner of its own for each report. An undefined one never came. */
function statusOf(reports: readonly Reported[]): StatusDocument {
  const at = { epoch: 1, version: 1, state: 'running', generation: 1, generationSeen: 1 } as const
  return {
    ...{ schema: 1, function: 'f', version: 1 },
    instances: reports.map((_, index) => ({
      ...{ id: `f-${index}`, index, taskId: `t-${index}`, restarts: 0, since: 0, ...at },
    })),
    ended: { recordsIn: 0, recordsOut: 0, errors: 0, outputs: [] },
  }
}

/** The heartbeat of such a runner. */
function beatOf(index: number, sentAtMs: number, report: object): Buffer {
  const counts = { recordsIn: 0, recordsOut: 0, errors: 0, timersFired: 0, batches: 0 }
  const sizes = { stateEntries: 0, stateBytes: 0, heapBytes: 0, cpuSeconds: 0 }
  const instance = {
    ...{ id: `f-${index}`, function: 'f', index, epoch: 1, version: 1, state: 'running' },
    ...{ ...counts, ...sizes, outputs: [], inputs: [], ...report },
  }
  const beat = {
    ...{ schema: 1, kind: 'runner', id: `t-${index}`, incarnation: 'i', generation: 1, state: 'running' },
    ...{ pid: 1, rssBytes: 1, cpuSeconds: 0, sentAtMs, instances: [instance] },
  }
  return Buffer.from(JSON.stringify(beat))
}

const stored = { storedBytes: 1, writtenBytes: 1, pauseMs: 0, pauseMaxMs: 0, writtenBytesTotal: 1 }
const made = (atMs: number) => ({ checkpoint: { ...stored, made: 1, failed: 0, atMs } })

/** What the gauges show of a function whose runners have reported so at their 100,000 ms, some time ago. */
async function shown(reports: readonly Reported[], agoMs = 0, checkpoint?: false | { everyMs: number }) {
  const clock = new ManualClock(7)
  const heartbeats = new Heartbeats(clock)
  for (const [index, report] of reports.entries())
    if (report !== undefined) heartbeats.take(beatOf(index, 100_000, report))
  clock.advance(agoMs)
  const manifest = manifestSchema.parse({ name: 'f', ...(checkpoint !== undefined && { checkpoint }) })
  const live = { name: 'f', version: { manifest }, status: statusOf(reports) } as unknown as LiveFunction
  const metrics = makeMetrics('test')
  showCheckpoints([live], heartbeats, metrics)
  const { checkpointAge, checkpointInterval } = metrics
  const values = await Promise.all([checkpointAge.get(), checkpointInterval.get()])
  return values.map((found) => found.values.map(({ value }) => value))
}

test("showCheckpoints shows the oldest of the instances' newest checkpoints, by the clocks of their runners (CE1, CE2)", async () => {
  assert.deepEqual(await shown([made(98_000), made(95_000), undefined], 1_000), [[6], [5]])
  assert.deepEqual(await shown([made(98_000)], 0, { everyMs: 60_000 }), [[2], [60]])
})

test('showCheckpoints shows how long an instance has run that has made none, and nothing where none is wanted or none runs', async () => {
  const { atMs: _, ...none } = made(0).checkpoint
  const began = { checkpoint: { ...none, made: 0, failed: 3 } }
  const work = { elapsedMs: 40_000, idleMs: 0, blockedMs: 0 }
  assert.deepEqual(await shown([{ ...began, work }, made(95_000)]), [[40], [5]])
  for (const reports of [[undefined], [{ ...made(1), state: 'stopped' }], [{}]])
    assert.deepEqual(await shown(reports), [[], []])
  assert.deepEqual(await shown([made(95_000)], 0, false), [[], []])
  assert.deepEqual(await shown([made(95_000)], 31_000), [[], []], 'nobody is heard any more (CE4)')
})

test('a gateway shows on /metrics how old the checkpoints are of which runners tell', async (t) => {
  const platform = await startPlatform()
  t.after(() => platform.close())
  const { status } = await platform.call('POST', '/v1/functions', { body: sourceOf('f', ['in'], []) })
  assert.equal(status, 200)
  await platform.store.create(paths.status(namespace, 'f'), statusOf([{}]))
  platform.nc.publish(subjects.heartbeatSubject(namespace, 't-0'), beatOf(0, 100_000, made(93_000)))
  const text = await until('it is shown', async () => {
    const all = await (await platform.call('GET', '/metrics')).text()
    return all.includes('concord_checkpoint_age_seconds{') && all
  })
  const [, age] = /^concord_checkpoint_age_seconds\{function="f",[^}]*\} (\S+)$/m.exec(text) ?? []
  assert.ok(Number(age) >= 7 && Number(age) < 37, `${age} s`)
  assert.match(text, /^concord_checkpoint_interval_seconds\{function="f",[^}]*\} 5$/m)
})
