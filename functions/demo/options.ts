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
  /** Lines a second; absent: as fast as they are taken. */
  readonly rate: number | undefined
  /** A day in a minute through a function that scales, in place of the fraud pipeline. */
  readonly scale: boolean
  /** How long its day is, in seconds, and where it is drawn. */
  readonly seconds: number
  readonly svg: string
  readonly json: boolean
  readonly keep: boolean
  readonly help: boolean
}

export const usage = `npm run demo -- [flags]: clicks through the fraud pipeline, on a platform of its own

  --input FILE   a combined access log, plain or gzip, in place of generated traffic
  --records N    lines to generate (default 50000)
  --seed N       of the generated traffic: the same seed, the same traffic (default 1)
  --rate N       lines a second (default: as fast as the platform takes them)
  --scale        a day's traffic in a minute, through a function that has as many instances as it needs
  --seconds N    how long that day is (default 60)
  --svg FILE     where it is drawn (default scale-demo.svg)
  --json         one JSON object as the last line, instead of the summary
  --keep         leave the platform running, and say how to use it
`

/** A flag that cannot be used: the caller shows the message and ends with exit code 2. */
export class UsageError extends Error {}

/** @throws {UsageError} */
export function readOptions(args: readonly string[]): DemoOptions {
  const { values } = parse(args)
  const { input, scale = false, svg = 'scale-demo.svg', json = false, keep = false, help = false } = values
  const records = wholeNumber('--records', values.records ?? '50000', 1)
  const seed = wholeNumber('--seed', values.seed ?? '1', 0)
  const rate = values.rate === undefined ? undefined : wholeNumber('--rate', values.rate, 1)
  const seconds = wholeNumber('--seconds', values.seconds ?? '60', 5)
  return { input, records, seed, rate, scale, seconds, svg, json, keep, help }
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
