/**
 * `node --no-node-snapshot test/bench/trace/main.ts [RECORDS]`: where records of the latency benchmark wait, by stages of their way.
 * Stamps cost a little, so its figures are not those of the benchmark.
 * @module
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { recordsPerSecond, warmUpShare } from '../latency.ts'
import { runChain } from '../stage/chain.ts'
import { Place } from '../stage/place.ts'
import { startCount } from '../throughput.ts'
import { stagesOf, tableOf } from './stages.ts'
import { readTrace, type Trace } from './stamps.ts'

const records = Number(process.argv[2] ?? 600_000)
const dir = mkdtempSync(join(tmpdir(), 'concord-trace-'))
process.env['CONCORD_TRACE'] = dir
process.env['CONCORD_TRACE_RECORDS'] = String(2 * records)
process.env['NODE_OPTIONS'] = `--import ${pathToFileURL(join(import.meta.dirname, 'stamps.ts'))}`
const place = await Place.open()
try {
  const traces: Trace[] = []
  const words = ['channel', 'in', 'count', String(records), String(recordsPerSecond)]
  await runChain(place, {
    transport: 'channel',
    loads: (start, url) => [start.script('load/paced-main.ts', url, ...words)],
    middle: startCount,
    warmUpRecords: records * warmUpShare,
    beforeEnd: async ({ producers, function: [, runner], sink }) => {
      const pids = [...producers, runner!, ...sink]
      for (const pid of pids) process.kill(pid, 'SIGUSR2')
      for (const pid of pids) {
        const file = join(dir, `${pid}.trace`)
        while (!existsSync(file)) {
          process.kill(pid, 0) // throws if it has ended
          await delay(20)
        }
        traces.push(readTrace(file))
      }
    },
  })
  process.stdout.write(tableOf(stagesOf(traces, records * warmUpShare)))
} finally {
  await place.close()
  rmSync(dir, { recursive: true, force: true })
}
