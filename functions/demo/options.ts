/**
 * The flags of `npm run demo -- …`.
 * @module
 */
import { parseArgs } from 'node:util'

export interface DemoOptions {
  /** A combined access log, plain or gzip; absent: generated traffic. */
  readonly input: string | undefined
  /** Lines to generate. */
  readonly records: number
  readonly seed: number
  /** Lines a second; absent: as fast as they are accepted. */
  readonly rate: number | undefined
  /** Runs the scaling demo, a day in a minute, instead of the fraud pipeline. */
  readonly scale: boolean
  /** Runs the demo of hot swap: versions of the scoring model that replace one another under load. */
  readonly swap: boolean
  /** The length of the day of `scale`, or how long the clicks of `swap` last. */
  readonly seconds: number
  /** The file for the picture of the day. */
  readonly svg: string
  readonly json: boolean
  readonly keep: boolean
  readonly help: boolean
}

export const usage = `npm run demo -- [flags]: streams clicks through the fraud pipeline, on a platform of its own

  --input FILE   an access log (combined format, plain or gzip) instead of generated traffic
  --records N    lines to generate (default 50000)
  --seed N       seed of the generated traffic: the same seed gives the same traffic (default 1)
  --rate N       lines a second (default: as fast as the platform accepts them; with --swap 2000)
  --scale        a day's traffic in a minute, through a function that scales with it
  --swap         replace the scoring model under load: by a better one, then by a bad one, which its canary rolls back
  --seconds N    length of that day, or of the --swap demo (default 60)
  --svg FILE     file for the drawing of that day (default scale-demo.svg)
  --json         print one JSON object as the last line, instead of the summary
  --keep         leave the platform running, and say how to use it
`

/** A flag that cannot be used: the caller shows the message and ends with exit code 2. */
export class UsageError extends Error {}

/** @throws {UsageError} */
export function readOptions(args: readonly string[]): DemoOptions {
  const { values } = parse(args)
  const { input, scale = false, swap = false, json = false, keep = false, help = false } = values
  const { svg = 'scale-demo.svg' } = values
  const records = wholeNumber('--records', values.records ?? '50000', 1)
  const seed = wholeNumber('--seed', values.seed ?? '1', 0)
  const rate = values.rate === undefined ? undefined : wholeNumber('--rate', values.rate, 1)
  const seconds = wholeNumber('--seconds', values.seconds ?? '60', 5)
  if (scale && swap) throw new UsageError('--scale and --swap are two demos: give one of them')
  if (swap && input !== undefined)
    throw new UsageError(
      '--swap says how right each model is, so it needs to know the frauds: leave out --input',
    )
  return { input, records, seed, rate, scale, swap, seconds, svg, json, keep, help }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        input: { type: 'string' },
        records: { type: 'string' },
        seed: { type: 'string' },
        rate: { type: 'string' },
        scale: { type: 'boolean' },
        swap: { type: 'boolean' },
        seconds: { type: 'string' },
        svg: { type: 'string' },
        json: { type: 'boolean' },
        keep: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (cause) {
    throw new UsageError((cause as Error).message, { cause })
  }
}

function wholeNumber(flag: string, text: string, least: number): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= least && Number.isSafeInteger(value)) return value
  throw new UsageError(`Cannot use ${flag} ${text}: expected a whole number, at least ${least}`)
}
