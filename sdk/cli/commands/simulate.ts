/**
 * concord fn scale simulate PATH: tries a scaling policy on a load, and prints instances, backlog and cost.
 * @module
 */
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { Option } from 'commander'
import { CodedError } from '../../errors.ts'
import { isObject } from '../../manifest/changes.ts'
import { partitionsDefault } from '../../manifest/limits.ts'
import type { Outcome, Plant, ScalePolicy } from '../../scaling/index.ts'
import { type Load, readLoad, shapes, withNoise } from '../../scaling/shapes.ts'
import type { CliCommand, CommonOptions } from '../command.ts'
import type { CliErrorCode } from '../errors.ts'
import { positiveNumber, wholeNumber } from '../numbers.ts'
import { openManifest } from '../project/project.ts'
import { print, printJson } from '../terminal.ts'

interface SimulateOptions extends CommonOptions {
  readonly load?: string
  readonly shape: string
  readonly peak: number
  readonly day: number
  readonly noise: number
  readonly perInstance: number
  readonly startMs: number
  readonly partitions: number
  readonly price: number
  readonly from: number
  readonly predict?: number
}

/** A simulation starts on a Monday at midnight, so that the times of a schedule fall where they should. */
const beginMs = Date.UTC(2026, 0, 5)

export function addSimulate(scale: CliCommand): void {
  scale
    .command('simulate')
    .description(
      'Run a load against the policy of a project, without a platform: shows instances, backlog and cost, with and without prediction.',
    )
    .argument(
      '<path>',
      "a folder with concord.jsonc, or a JSON file with a policy (its 'scale', or what stands in it)",
    )
    .option(
      '--load <file>',
      'a recorded load, CSV or JSONL; each line: a time (ISO 8601, or ms since 1970), and the records a second from then on',
    )
    .addOption(
      new Option('--shape <name>', 'a built-in load, if --load is not given')
        .choices(Object.keys(shapes))
        .default('day'),
    )
    .option('--peak <n>', 'peak of the built-in load, in records a second', positiveNumber, 2000)
    .option('--day <s>', 'length of a day of the built-in load, in seconds', positiveNumber, 3600)
    .option('--noise <percent>', 'random variation of each second', wholeNumber(0), 10)
    .option('--per-instance <n>', 'records a second that one instance processes', positiveNumber, 400)
    .option('--start-ms <ms>', 'how long an instance takes to start', wholeNumber(0), 2000)
    .option('--partitions <n>', 'partitions of its inputs', wholeNumber(1), partitionsDefault)
    .option('--price <n>', 'price of one instance for one hour', positiveNumber, 1)
    .option('--from <s>', 'judge from here on; the time before is only learned from', wholeNumber(0), 0)
    .option(
      '--predict <s>',
      "compare with a policy that looks so far ahead (else its own 'predict')",
      positiveNumber,
    )
    .printsData()
    .example(
      'concord fn scale simulate . --shape days --predict 120',
      'concord fn scale simulate . --load monday.csv --per-instance 850',
    )
    // Commander parses the options that `fn scale` also has as options of `fn scale`.
    .action((path: string, _own: SimulateOptions, command: CliCommand) =>
      run(path, command.optsWithGlobals()),
    )
}

async function run(path: string, options: SimulateOptions): Promise<void> {
  const { perInstance, startMs, partitions, price, from, json } = options
  const [{ simulate }, { simulationText }] = await Promise.all([
    import('../../scaling/index.ts'),
    import('../text/simulation-text.ts'),
  ])
  const policy = await readPolicy(path)
  const load = await loadOf(options)
  if (from >= load.length)
    throw usage(`'--from ${from}' is behind the end of the load, which has ${load.length} seconds`)
  const plant: Plant = { perInstance, startMs, partitions, beginMs }
  const { predict: own, ...reactive } = policy
  const predict =
    options.predict === undefined
      ? own
      : {
          aheadMs: options.predict * 1000,
          dayMs: options.load === undefined ? options.day * 1000 : 86_400_000,
        }
  const runs: { name: string; outcome: Outcome }[] = [
    { name: 'reactive', outcome: simulate(reactive, load, plant, from) },
  ]
  if (predict !== undefined)
    runs.push({ name: 'predictive', outcome: simulate({ ...reactive, predict }, load, plant, from) })
  await (json
    ? printJson(runs.map((each) => summaryOf(each, price)))
    : print(simulationText(runs, price, from)))
}

function summaryOf({ name, outcome }: { name: string; outcome: Outcome }, price: number) {
  const { seconds, ...rest } = outcome
  return {
    name,
    ...rest,
    cost: (rest.instanceSeconds / 3600) * price,
    instancesMax: Math.max(...seconds.map((s) => s.wanted)),
  }
}

async function readPolicy(path: string): Promise<ScalePolicy> {
  if (path.endsWith('.json')) {
    const written = jsonOf(await textOf(path), path)
    return await parsePolicy(isObject(written) ? (written['scale'] ?? written) : written, path)
  }
  const { scale } = (await openManifest(path, 'simulate')) as { readonly scale?: unknown }
  if (scale !== undefined) return await parsePolicy(scale, path)
  throw usage(
    `'${path}' has no policy. Add 'scale' to its concord.jsonc, e.g. "scale": { "min": 1, "max": 8 }`,
  )
}

async function parsePolicy(value: unknown, path: string): Promise<ScalePolicy> {
  const [{ scaleSettingsSchema }, { issuesText }] = await Promise.all([
    import('../../scaling/index.ts'),
    import('../../manifest/expected.ts'),
  ])
  const parsed = scaleSettingsSchema.safeParse(value)
  if (parsed.success) return parsed.data
  throw usage(`Cannot read the policy in '${path}': ${issuesText(parsed.error, value, scaleSettingsSchema)}`)
}

async function loadOf({ load, shape, day, peak, noise }: SimulateOptions): Promise<Load> {
  if (load !== undefined) return readLoad(await textOf(load), basename(load))
  return withNoise(shapes[shape]!.of(day, peak), noise / 100, randomOf(1))
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new CodedError<CliErrorCode>(
      'ERR_FILE_MISSING',
      `Cannot read '${path}': ${(error as Error).message}`,
    )
  }
}

function jsonOf(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw usage(`Cannot read the policy in '${path}': it is not JSON: ${(error as Error).message}`)
  }
}

/** A fixed seed: the same command gives the same result. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

function usage(text: string): Error {
  return new CodedError<CliErrorCode>('ERR_USAGE', text)
}
