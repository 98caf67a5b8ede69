/**
 * The command line of `npm run bench`.
 * @module
 */
import { parseArgs } from 'node:util'
import { nearest } from '../../../sdk/nearest.ts'
import type { Benchmark } from './benchmark.ts'

/** What was asked for cannot be done; the message says what can. */
export class UsageError extends Error {}

export interface Options {
  /** None: show what there is. */
  readonly benchmarks: readonly Benchmark[]
  readonly runs: number
  readonly json: boolean
  readonly records?: number
  readonly input?: string
  /** Names of references, of whichever benchmark has them; undefined: all. */
  readonly references?: readonly string[]
}

const runsDefault = 5

/** @throws {UsageError} */
export function parseOptions(words: readonly string[], known: readonly Benchmark[]): Options {
  const { values, positionals } = parseWords(words)
  const { records, references, input } = values
  return {
    benchmarks: values.help === true ? [] : positionals.flatMap((name) => find(name, known)),
    runs: wholeNumber('runs', values.runs ?? String(runsDefault)),
    json: values.json === true,
    ...(records === undefined ? {} : { records: wholeNumber('records', records) }),
    ...(input === undefined ? {} : { input }),
    ...(references === undefined ? {} : { references: referenceNames(references, positionals, known) }),
  }
}

function parseWords(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h' },
        runs: { type: 'string' },
        records: { type: 'string' },
        references: { type: 'string' },
        input: { type: 'string' },
        json: { type: 'boolean' },
      },
    })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

function find(name: string, known: readonly Benchmark[]): readonly Benchmark[] {
  if (name === 'all') return known
  const names = known.map((benchmark) => benchmark.name)
  const found = known.find((benchmark) => benchmark.name === name)
  if (found === undefined)
    throw new UsageError(`There is no benchmark '${name}'${guess(name, [...names, 'all'])}`)
  return [found]
}

function referenceNames(
  text: string,
  positionals: readonly string[],
  known: readonly Benchmark[],
): readonly string[] {
  if (text === 'none') return []
  const chosen = known.filter(({ name }) => positionals.includes(name) || positionals.includes('all'))
  const names = [...new Set(chosen.flatMap(({ references }) => Object.keys(references)))]
  const wanted = text.split(',')
  const unknown = wanted.find((name) => !names.includes(name))
  if (unknown === undefined) return wanted
  throw new UsageError(
    `There is no reference '${unknown}'${guess(unknown, names)}; --references none measures Concord alone`,
  )
}

function guess(word: string, names: readonly string[]): string {
  const near = nearest(word, names)
  return `${near === undefined ? '' : `: did you mean '${near}'?`} (there are ${names.join(', ')})`
}

function wholeNumber(name: string, text: string): number {
  const number = Number(text)
  if (!Number.isInteger(number) || number < 1)
    throw new UsageError(`Cannot use --${name} ${text}: expected a whole number from 1`)
  return number
}

export function helpText(known: readonly Benchmark[]): string {
  const width = Math.max(...known.map(({ name }) => name.length))
  return [
    'npm run bench -- NAME… [--runs N] [--records N] [--references NAME,…|none] [--input FILE] [--json]',
    '',
    ...known.map(({ name, measures }) => `  ${name.padEnd(width)}  ${measures}`),
    `  ${'all'.padEnd(width)}  all of them, one after the other`,
    '',
    `Each run measures Concord and its references in turn; there are ${runsDefault} runs unless you say otherwise.`,
    '--json adds one JSON object a figure, the headline as the last line. See docs/benchmarks.md.',
    '',
  ].join('\n')
}
