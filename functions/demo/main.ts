/**
 * Main: the demo. It runs the fraud pipeline of functions/clicks/ on a one-machine platform of its own, under real or
 * generated traffic.
 *
 * It is an ordinary client: it uses only the command line and the HTTP API.
 * Exit codes: 0 everything came out, 1 something was lost or failed, 2 usage, 128 + n ended by signal n.
 * @module
 */
import { constants } from 'node:os'
import { endPlatform } from './ending.ts'
import { type DemoOptions, readOptions, UsageError, usage } from './options.ts'
import { Platform } from './platform.ts'
import { scaleDemo } from './scale/main.ts'
import { Screen } from './screen.ts'
import { openSource, type Source } from './source.ts'
import { complaints, describe, isRead, summaryOf } from './summary.ts'
import { swapDemo } from './swap/main.ts'
import { type Progress, runTraffic } from './traffic-run.ts'

/** Short, so that alerts arrive during a demo; the function's own default is longer. */
const alertWindowMs = 2_000
const clicks = (file: string) => new URL(`../clicks/${file}`, import.meta.url)

const screen = new Screen(process.stderr)

async function demo(options: DemoOptions, signal: AbortSignal): Promise<number> {
  const source = await openSource(options)
  const platform = await Platform.create()
  let isThrough = false
  try {
    const client = await screen.step('Starting the platform', () => platform.start())
    signal.throwIfAborted()
    const alertFlags = ['--env', `ALERT_WINDOW_MS=${alertWindowMs}`]
    await screen.step('Deploying parse, score and alert', () =>
      Promise.all([
        platform.deploy(clicks('parse.ts'), [], signal),
        platform.deploy(clicks('score.ts'), [], signal),
        platform.deploy(clicks('alert.ts'), alertFlags, signal),
      ]),
    )
    screen.note(`Streaming ${source.name}`)
    const onProgress = (progress: Progress) => screen.progress(progress)
    const run = await runTraffic(client, source, { rate: options.rate, signal, onProgress })
    const exitCode = report(run, source, options)
    isThrough = exitCode === 0
    return exitCode
  } finally {
    await endPlatform(platform, screen, { keep: options.keep && !signal.aborted, commands: worthALook })
    if (isThrough && !options.keep && !options.json) screen.note(nextSteps)
  }
}

const worthALook = [
  'concord graph',
  'concord fn inspect score',
  'concord consume verdicts --count 5',
  'concord produce lines --file ACCESS_LOG    (while the command above runs in another terminal)',
]

const nextSteps = `
Next:
  npm run demo -- --rate 2000   the latency at a steady rate; at full speed lines mostly wait their turn
  npm run demo -- --swap        a model replaced under load, then a bad one rolled back
  README.md                     your own function, in five minutes`

/** Prints the results. @returns The exit code. */
function report(run: Progress, source: Source, options: DemoOptions): number {
  if (!isRead(run))
    throw new Error('Cannot report on the run: `fn inspect` never answered; is the gateway running?')
  process.stdout.write(`${options.json ? JSON.stringify(summaryOf(run)) : describe(run, source)}\n`)
  const problems = complaints(run)
  for (const problem of problems) screen.note(problem)
  return problems.length === 0 ? 0 : 1
}

/**
 * Aborted by the signals that ask a program to end. Further signals are ignored: the clean-up takes a bounded time.
 */
function endSignal(): AbortSignal {
  const ended = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => ended.abort(new Interrupted(128 + constants.signals[name])))
  }
  return ended.signal
}

class Interrupted extends Error {
  readonly exitCode: number

  constructor(exitCode: number) {
    super('interrupted')
    this.exitCode = exitCode
  }
}

/** Says why the demo ended early. @returns The exit code. */
function explain(error: unknown, options: DemoOptions | undefined): number {
  if (error instanceof Interrupted) {
    screen.note('Interrupted.')
    return error.exitCode
  }
  const usageError = error instanceof UsageError
  const hint = usageError || options?.keep ? '' : ' (--keep would leave its logs)'
  screen.note(`demo: ${(error as Error).message}${hint}`)
  return usageError ? 2 : 1
}

const signal = endSignal()
let options: DemoOptions | undefined
try {
  options = readOptions(process.argv.slice(2))
  if (options.help) process.stdout.write(usage)
  else
    process.exitCode = await (options.scale
      ? scaleDemo(options, screen, signal)
      : options.swap
        ? swapDemo(options, screen, signal)
        : demo(options, signal))
} catch (error) {
  process.exitCode = explain(signal.aborted ? signal.reason : error, options)
}
