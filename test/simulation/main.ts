/**
 * Main: `npm run simulate` runs seeds and prints how many a second. For the first that fails, it prints the seed, the
 * violation, the smallest script that fails in the same way, and the trace of that.
 *
 *     npm run simulate -- --seeds 100000             seeds 1 to 100000
 *     npm run simulate -- --seed 4711 --trace        one seed, with its trace
 *     npm run simulate -- --bug no-fence             with a planted fault, which must be found
 *     npm run simulate -- --scale                    1,000 agents and 10,000 instances: what each event costs
 * @module
 */
import { parseArgs } from 'node:util'
import { type Bug, bugs } from './bugs.ts'
import { run } from './run.ts'
import { full, runAtScale } from './scale.ts'
import { scriptOf } from './script.ts'
import { scriptText, shrink } from './shrink.ts'
import { type Failed, type Report, simulate } from './simulate.ts'

const linesMax = 80
const say = (text: string): void => void process.stdout.write(`${text}\n`)

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    seed: { type: 'string' },
    steps: { type: 'string', default: '1000' },
    workers: { type: 'string', default: '2' },
    bug: { type: 'string' },
    trace: { type: 'boolean', default: false },
    scale: { type: 'boolean', default: false },
  },
})

function numberOf(name: 'seeds' | 'seed' | 'steps' | 'workers', otherwise: number): number {
  const text = values[name] ?? String(otherwise)
  const number = Number(text)
  if (Number.isSafeInteger(number) && number >= 1) return number
  process.stderr.write(`Cannot read --${name} '${text}': expected a whole number from 1\n`)
  process.exit(2)
}

const bug = values.bug as Bug | undefined
if (bug !== undefined && !(bug in bugs)) {
  process.stderr.write(
    `Cannot plant '${bug}': there is\n${Object.entries(bugs)
      .map(([name, what]) => `  ${name.padEnd(22)}${what}\n`)
      .join('')}`,
  )
  process.exit(2)
}
const first = numberOf('seed', 1)
const steps = numberOf('steps', 1_000)
const planted: ReadonlySet<Bug> = new Set(bug === undefined ? [] : [bug])

if (values.scale) tellScale()
else if (values.trace) {
  const { failure, ...counts } = run(scriptOf(first), { steps, bugs: planted, trace: say })
  say(`\n${JSON.stringify(counts)}\n${failure === undefined ? 'all is well' : failure.message}`)
  process.exitCode = failure === undefined ? 0 : 1
} else {
  const seeds = numberOf('seeds', values.seed === undefined ? 10_000 : 1)
  const options = { first, seeds, steps, workers: numberOf('workers', 2), untilFailure: bug !== undefined }
  const report = await simulate({ ...options, ...(bug && { bug }) })
  tell(report)
  const [failed] = report.failed
  if (failed !== undefined) explain(failed)
  process.exitCode = failed === undefined ? 0 : 1
}

function tell({ seeds, steps: made, seconds, failed, accepted, refused, launched }: Report): void {
  const rate = (count: number): string => Math.round(count / seconds).toLocaleString('en')
  say(`${seeds} seeds in ${seconds.toFixed(1)} s: ${rate(seeds)} seeds/s, ${rate(made)} steps/s`)
  say(
    `a seed: ${(made / seeds).toFixed(0)} steps, ${(launched / seeds).toFixed(1)} tasks, ${(accepted / seeds).toFixed(0)} records; outputs refused in all: ${refused}`,
  )
  const by = Map.groupBy(failed, ({ failure }) => failure.invariant)
  for (const [invariant, all] of by)
    say(
      `${all.length} violate '${invariant}': ${all
        .slice(0, 8)
        .map(({ seed }) => seed)
        .join(' ')}`,
    )
}

function explain({ seed, failure }: Failed): void {
  say(`\nseed ${seed}: ${failure.message}\n\nThe smallest script that fails so:\n`)
  const script = shrink(scriptOf(seed), { steps, bugs: planted, invariant: failure.invariant })
  const lines: string[] = []
  const { failure: again } = run(script, { steps, bugs: planted, trace: (line) => lines.push(line) })
  say(`${scriptText(script)}\n`)
  if (lines.length > linesMax) say(`… ${lines.length - linesMax} lines before`)
  say(`${lines.slice(-linesMax).join('\n')}\n\n${again?.message}`)
}

function tellScale(): void {
  const { tasks, stateMib } = runAtScale(full, ({ name, seconds, tookMs }) => {
    say(`${name}: ${seconds.toFixed(1)} s of virtual time; ms of CPU that the scheduler takes:`)
    for (const [kind, ms] of tookMs) {
      const at = (part: number): string => (ms[Math.floor((ms.length - 1) * part)] ?? 0).toFixed(3)
      const sum = ms.reduce((total, one) => total + one, 0) / 1_000
      const figures = `p50 ${at(0.5)}  p99 ${at(0.99)}  longest ${at(1)}  in all ${sum.toFixed(2)} s`
      say(`  ${kind.padEnd(14)}${String(ms.length).padStart(8)} ×  ${figures}`)
    }
  })
  say(`${tasks} runners; its state takes ${stateMib.toFixed(1)} MiB`)
}
