/**
 * Clicks: the fraud pipeline of functions/clicks over real lines.
 *
 *     load → parse → score → alert
 *                      └──────────→ sink, which checks each verdict
 *
 * The lines of an access log are sent round and round, keyed by the client. Each record's event time is its number, which
 * parse and score pass on with the verdict. The alerts go to nobody.
 * @module
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseCombined } from '../../functions/clicks/combined-log.ts'
import { generateTraffic } from '../../functions/demo/generator.ts'
import type { BareReport } from './references/bare-main.ts'
import type { BarePipeline } from './references/bare-pipeline-main.ts'
import { runChain } from './stage/chain.ts'
import { functionIn, startPipeline } from './stage/pipeline.ts'
import { Place } from './stage/place.ts'
import type { Benchmark, Sample } from './suite/benchmark.ts'

const root = join(import.meta.dirname, '../..')
const sharedLog = join(root, '../shared/data/access.log')
const linesGeneratedMax = 200_000
const files = ['parse', 'score', 'alert'].map((name) => `functions/clicks/${name}.ts`)

export const clicks: Benchmark = {
  name: 'clicks',
  measures:
    'lines a second of an access log through three functions (parse, score, alert), each in its runner: JSON between them, ' +
    'a profile of each client in state',
  measuresNot:
    'the gateway, reading a file (the lines are framed in advance and repeated), many more clients than the log has.',
  figures: {
    rate: { title: 'rate', unit: 'lines/s' },
    'cpu-function': { title: 'CPU: functions', unit: 'µs', compared: false },
    'cpu-producers': { title: 'load', unit: 'µs', compared: false },
    'cpu-nats': { title: 'nats-server', unit: 'µs', compared: false },
    'cpu-sink': { title: 'sink', unit: 'µs', compared: false },
  },
  subject: 'Concord',
  references: { a: 'bare loop of Node, the three functions called one after the other' },
  recordsDefault: 5_000_000,
  async open({ records, input }) {
    const place = await Place.open()
    try {
      const file = join(place.dir, 'lines.log')
      writeFileSync(file, soundLines(input, records).join('\n'))
      return {
        measure: (side) =>
          side === 'a' ? inLoop(place, file, records) : throughRunners(place, file, records),
        close: () => place.close(),
      }
    } catch (error) {
      await place.close()
      throw error
    }
  },
}

/** Lines that the pipeline would put aside as dead letters are left out: the sink waits for a verdict on each. */
function soundLines(input: string | undefined, records: number): string[] {
  const file = input ?? (existsSync(sharedLog) ? sharedLog : undefined)
  const lines = file === undefined ? generated(records) : readFileSync(file, 'utf8').split('\n')
  const sound = lines.filter(isLogLine)
  const from = file ?? 'the demo’s generator'
  if (sound.length === 0) throw new Error(`Cannot use ${from}: no line of it is in the combined log format`)
  process.stderr.write(`clicks: ${sound.length} lines of ${from}\n`)
  return sound
}

function generated(records: number): string[] {
  return [...generateTraffic(1, Math.min(linesGeneratedMax, records)).lines]
}

function isLogLine(line: string): boolean {
  try {
    return line !== '' && parseCombined(line).client === line.slice(0, line.indexOf(' '))
  } catch {
    return false
  }
}

async function throughRunners(place: Place, file: string, records: number): Promise<Sample> {
  const functions = await Promise.all(files.map((source) => functionIn(source)))
  const { planned, report, checks, cpu } = await runChain(place, {
    transport: 'channel',
    loads: (start, url) => [
      start.script('load/lines-main.ts', url, 'lines', 'parse', file, 'firstWord', String(records)),
    ],
    middle: async (_, start) => {
      const runners = await startPipeline(place, start, functions, 'verdicts')
      return [...runners.values()].flatMap((runner) => runner.pids)
    },
    output: 'verdicts',
    numberedBy: 'time',
  })
  return {
    values: {
      rate: planned / report.seconds,
      'cpu-function': cpu.function,
      'cpu-producers': cpu.producers,
      'cpu-nats': cpu.nats,
      'cpu-sink': cpu.sink,
    },
    checks,
  }
}

async function inLoop(place: Place, file: string, records: number): Promise<Sample> {
  const functions = files.map((source) => ({ file: join(root, source), env: {} }))
  const pipeline: BarePipeline = { input: 'lines', functions }
  const words = [JSON.stringify(pipeline), file, 'firstWord', String(records)]
  const report = await place.scene((start) =>
    start.script('references/bare-pipeline-main.ts', ...words).says<BareReport>(),
  )
  const rate = report.records / report.seconds
  return { values: { rate, 'cpu-function': (report.cpuSeconds / report.records) * 1e6 } }
}
