/**
 * `npm run bench -- NAME…`: see docs/benchmarks.md. Without a name it shows what there is.
 * @module
 */
import { benchmarks } from './benchmarks.ts'
import { type Benchmark, runBenchmark, type Sample } from './suite/benchmark.ts'
import { machine } from './suite/machine.ts'
import { helpText, type Options, parseOptions, UsageError } from './suite/options.ts'
import { figureReports, format, tableText } from './suite/report.ts'

const options = optionsOrEnd()
if (options.benchmarks.length === 0) process.stdout.write(helpText(benchmarks))
for (const benchmark of options.benchmarks) await show(benchmark, options)

function optionsOrEnd(): Options {
  try {
    return parseOptions(process.argv.slice(2), benchmarks)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    process.stderr.write(`bench: ${error.message}\n`)
    process.exit(2)
  }
}

async function show(
  benchmark: Benchmark,
  { runs, records, references, input, json }: Options,
): Promise<void> {
  const all = Object.keys(benchmark.references)
  const settings = {
    runs,
    records: records ?? benchmark.recordsDefault ?? 0,
    references: references === undefined ? all : all.filter((name) => references.includes(name)),
    ...(input === undefined ? {} : { input }),
  }
  const result = await runBenchmark(benchmark, settings, (run, side, sample) =>
    process.stderr.write(
      `${benchmark.name}, run ${run + 1} of ${runs}, ${side}: ${line(benchmark, sample)}\n`,
    ),
  )
  process.stdout.write(`\n${tableText(result, machine())}`)
  if (json)
    for (const report of figureReports(result, machine())) process.stdout.write(`${JSON.stringify(report)}\n`)
  if (Object.values(result.concord.checks).some((count) => count > 0)) process.exitCode = 1
}

function line({ figures }: Benchmark, { values }: Sample): string {
  return Object.entries(figures)
    .filter(([name]) => values[name] !== undefined)
    .map(([name, { title, unit }]) => `${title} ${format(values[name]!)} ${unit}`)
    .join(', ')
}
