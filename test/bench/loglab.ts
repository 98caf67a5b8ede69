/**
 * Loglab: the seven tasks that the Concord of 2016 was measured with, functions/loglab, over the log of a supercomputer.
 *
 * Each task is run alone, its functions each in a runner, over the same lines: one sequence without keys, since windows of
 * messages count in one order. A task is done when its last function has processed all that the others sent it.
 * @module
 */
import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { generateLog } from '../../functions/loglab/generator.ts'
import type { BareReport } from './references/bare-main.ts'
import type { BarePipeline } from './references/bare-pipeline-main.ts'
import { functionIn, startPipeline } from './stage/pipeline.ts'
import { Place } from './stage/place.ts'
import { processedAll } from './stage/progress.ts'
import type { BenchFunction } from './stage/runner.ts'
import { addChecks, type Benchmark, type Checks, type Sample } from './suite/benchmark.ts'

const root = join(import.meta.dirname, '../..')

/** By figure, the functions of a task in the order in which lines go through them. */
const tasks: Readonly<Record<string, readonly string[]>> = {
  dedup: ['dedup'],
  match: ['match'],
  'count-month': ['split', 'count-by-month', 'total'],
  'match-time': ['match-by-time'],
  'count-time': ['split', 'count-by-time', 'total'],
  'match-messages': ['match-by-messages'],
  'count-messages': ['count-by-messages'],
}
/** A million lines hold many different words (functions/loglab/count-by-messages.jsonc). */
const limits = { heapMib: 256, stateMib: 1024 }

export const loglab: Benchmark = {
  name: 'loglab',
  measures:
    'lines a second through seven tasks on a system log, each alone: de-duplicate, match a word, count distinct words, in ' +
    'windows of time and of messages; the headline is their harmonic mean',
  measuresNot:
    'several partitions or instances, the gateway. The end of a task of several functions is seen to a second.',
  figures: {
    rate: { title: 'mean', unit: 'lines/s' },
    ...Object.fromEntries(
      Object.keys(tasks).map((task) => [task, { title: task, unit: 'lines/s', compared: false }]),
    ),
  },
  subject: 'Concord',
  references: { a: 'bare loop of Node, state as objects in Maps' },
  recordsDefault: 1_200_000,
  async open({ records, input }) {
    const place = await Place.open()
    try {
      const file = input ?? (await generatedLog(place, records))
      return {
        measure: (side) => sampleOf(records, (files) => runTask(place, side, files, file, records)),
        close: () => place.close(),
      }
    } catch (error) {
      await place.close()
      throw error
    }
  },
}

async function generatedLog(place: Place, lines: number): Promise<string> {
  const file = join(place.dir, 'system.log')
  const text = Readable.from(generateLog(1, { lines })).map((line: string) => `${line}\n`)
  await pipeline(text, createWriteStream(file))
  return file
}

interface TaskReport {
  readonly seconds: number
  readonly checks?: Checks
}

async function sampleOf(
  records: number,
  run: (files: readonly string[]) => Promise<TaskReport>,
): Promise<Sample> {
  const values: Record<string, number> = {}
  let seconds = 0
  let checks: Checks = { lost: 0, repeated: 0, reordered: 0 }
  for (const [task, names] of Object.entries(tasks)) {
    const report = await run(names.map((name) => `functions/loglab/${name}.ts`))
    values[task] = records / report.seconds
    seconds += report.seconds
    if (report.checks !== undefined) checks = addChecks(checks, report.checks)
  }
  return { values: { rate: (Object.keys(tasks).length * records) / seconds, ...values }, checks }
}

async function runTask(
  place: Place,
  side: string,
  files: readonly string[],
  log: string,
  records: number,
): Promise<TaskReport> {
  if (side === 'a') return inLoop(place, files, log, records)
  return throughRunners(
    place,
    await Promise.all(files.map((file) => functionIn(file, { limits }))),
    log,
    records,
  )
}

async function throughRunners(
  place: Place,
  functions: readonly BenchFunction[],
  log: string,
  records: number,
): Promise<TaskReport> {
  return await place.scene(async (start) => {
    const runners = [...(await startPipeline(place, start, functions)).values()]
    const first = functions[0]!.manifest.name
    const words = [place.nats.url, 'logs', first, log, 'nothing', String(records)]
    const load = start.script('load/lines-main.ts', ...words)
    const { planned } = await load.says<{ planned: number }>()
    const startMs = performance.now()
    load.tell('go')
    const { seconds } = await load.says<{ seconds: number }>()
    const checks = await processedAll(runners, planned)
    // One function has processed all when all is acknowledged; of several, the last is heard of by its heartbeat.
    return { seconds: runners.length === 1 ? seconds : (performance.now() - startMs) / 1000, checks }
  })
}

async function inLoop(
  place: Place,
  files: readonly string[],
  log: string,
  records: number,
): Promise<TaskReport> {
  const functions = files.map((file) => ({ file: join(root, file), env: {} }))
  const bare: BarePipeline = { input: 'logs', functions }
  const words = [JSON.stringify(bare), log, 'nothing', String(records)]
  return await place.scene((start) =>
    start.script('references/bare-pipeline-main.ts', ...words).says<BareReport>(),
  )
}
