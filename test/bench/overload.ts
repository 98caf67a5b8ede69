/**
 * Overload: a function that is offered more than ten times what it can do, in each mode of back-pressure.
 *
 * A producer offers 100,000 records a second to a function that can do less than a tenth of them; after `seconds` it stops, the
 * function becomes quick, and what waits is drained. Whatever was not processed must have been dropped and counted.
 * @module
 */
import { setTimeout } from 'node:timers/promises'
import type { OutputLedger } from '../../infra/control/messages/accounts.ts'
import { ensureSpillStream } from '../../infra/spill/index.ts'
import { residentBytes } from '../../runner/process/proc.ts'
import type { BackPressure } from '../../sdk/index.ts'
import type { OverloadOptions } from './load/overload-main.ts'
import { partitions } from './load/workload.ts'
import { Place } from './stage/place.ts'
import { startRunner } from './stage/runner.ts'
import type { Benchmark, Sample } from './suite/benchmark.ts'

const perSecond = 100_000
const sampleEveryMs = 100

export const overload: Benchmark = {
  name: 'overload',
  measures: `a function offered ${perSecond} records/s, more than ten times what it can do, by mode of back-pressure: how much the process that grows most grows in the second half, what is dropped, what waits on disk`,
  measuresNot:
    'long runs (test/system/overload.test.ts with CONCORD_OVERLOAD_MINUTES judges ten minutes), how fast a full queue drains, several producers.',
  figures: {
    processed: { title: 'processed', unit: 'records/s' },
    growth: { title: 'memory grows by', unit: 'MB', compared: false },
    offered: { title: 'taken', unit: 'records/s', compared: false },
    dropped: { title: 'dropped', unit: '%', compared: false },
    disk: { title: 'on disk', unit: 'MB', compared: false },
  },
  subject: 'block',
  references: { dropHead: 'dropHead', dropTail: 'dropTail', enqueue: 'enqueue' },
  recordsDefault: 1_000_000,
  async open({ records }) {
    const place = await Place.open()
    await ensureSpillStream(place.nc)
    const modes: Record<string, BackPressure> = {
      ...{ concord: 'block', dropHead: 'dropHead', dropTail: 'dropTail', enqueue: 'enqueue' },
    }
    return {
      measure: (side) => flooded(place, modes[side]!, records / perSecond),
      close: () => place.close(),
    }
  },
}

async function flooded(place: Place, mode: BackPressure, seconds: number): Promise<Sample> {
  return await place.scene(async (start) => {
    const options: OverloadOptions = { url: place.nats.url, mode, perSecond, seconds }
    const load = start.script('load/overload-main.ts', JSON.stringify(options))
    await load.says()
    const slowUntilMs = Date.now() + 5000 + seconds * 1000 // a runner starts meanwhile
    const consumers = [{ name: 'slow', backPressure: mode }]
    const runner = await startRunner(place, start, {
      function: {
        file: 'test/bench/load/overload-function.ts',
        manifest: {
          name: 'slow',
          istreams: { in: { grouping: 'shuffle', backPressure: mode } },
          onError: 'skip',
          env: { SLOW_UNTIL: String(slowUntilMs) },
        },
      },
      streams: [{ name: 'in', partitions, keyed: false, consumers }],
    })
    load.tell('go')
    const [full, growthBytes] = await Promise.all([
      load.says<OutputLedger>(),
      growthOf([place.nats.pid, load.pid, ...runner.pids], seconds * 1000),
    ])
    const { sent, acked, unaccounted, dropped } = await load.says<OutputLedger>()
    const { skipped = 0, ...gone } = dropped
    const lost = sent - acked - unaccounted
    return {
      values: {
        growth: growthBytes / 1e6,
        offered: full.sent / seconds,
        processed: (full.acked - total(full.dropped)) / seconds,
        dropped: (100 * total(gone)) / sent,
        disk: (full.spilledBytes ?? 0) / 1e6,
      },
      checks: { lost: Math.max(0, lost) + unaccounted, repeated: Math.max(0, -lost), reordered: skipped },
    }
  })
}

/** By how much the process that grows most grows from the middle to the end. */
async function growthOf(pids: readonly number[], ms: number): Promise<number> {
  await setTimeout(ms / 2)
  const read = (): number[] => pids.map((pid) => residentBytes(pid) ?? 0)
  const before = read()
  let most = 0
  for (const untilMs = performance.now() + ms / 2; performance.now() < untilMs; ) {
    await setTimeout(sampleEveryMs)
    most = Math.max(most, ...read().map((bytes, i) => bytes - before[i]!))
  }
  return most
}

function total(dropped: Readonly<Record<string, number>>): number {
  return Object.values(dropped).reduce((sum, records) => sum + records, 0)
}
