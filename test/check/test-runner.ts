/**
 * Runs test files, a process each, and shows a line for each file; of a file that failed, all that it printed.
 *
 * The files are run directly and not by `node --test`, which waits for ever for a file that keeps something open.
 *
 *  V3. A skipped test counts as a failure, and so does a file that holds no test.
 *  V4. A file has `timeoutMs`; then its whole process group is killed, and it has failed.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

export interface RunOptions {
  /** Files at a time. */
  readonly concurrency: number
  /** For a whole file. */
  readonly timeoutMs: number
  /** Where the lines go. */
  readonly write?: (text: string) => void
}

interface FileResult {
  readonly file: string
  readonly tests: number
  readonly seconds: number
  /** Why it failed, if it did. */
  readonly failure: string | undefined
  readonly output: string
}

// isolated-vm needs the first; node:sqlite still warns.
const nodeFlags = ['--no-node-snapshot', '--disable-warning=ExperimentalWarning', '--test-reporter=spec']
const outputKeptCharacters = 100_000

/** How long the last output may take; a process that a test left behind would hold the pipe open for ever. */
const lastOutputMs = 1_000

/** True if every file passed. */
export async function runTestFiles(files: readonly string[], options: RunOptions): Promise<boolean> {
  const write = options.write ?? ((text: string) => process.stdout.write(text))
  const waiting = [...files]
  let passed = true
  const work = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const result = await runTestFile(file, options.timeoutMs)
      if (result.failure !== undefined) passed = false
      write(describe(result))
    }
  }
  await Promise.all(Array.from({ length: options.concurrency }, work))
  return passed
}

async function runTestFile(file: string, timeoutMs: number): Promise<FileResult> {
  const startMs = performance.now()
  const { NODE_TEST_CONTEXT: _, ...env } = process.env // else the file would report to a runner that is not there
  const child = spawn(process.execPath, [...nodeFlags, file], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    env,
  })
  const killOnExit = () => killGroup(child)
  process.once('exit', killOnExit)
  let timedOut = false
  const timer = setTimeout(() => {
    timedOut = true
    killGroup(child)
  }, timeoutMs)

  let output = ''
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-outputKeptCharacters)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  const closed = once(child, 'close')
  const [code, signal] = await once(child, 'exit')
  await Promise.race([closed, sleep(lastOutputMs, undefined, { ref: false })])
  clearTimeout(timer)
  process.removeListener('exit', killOnExit)

  const counts = readCounts(output)
  const failure = timedOut ? `not finished after ${timeoutMs / 1000} s` : judge(counts, signal ?? code)
  return { file, tests: counts['tests'] ?? 0, seconds: (performance.now() - startMs) / 1000, failure, output }
}

/** Why a file with these counts and this end has failed, if it has. */
function judge(counts: Readonly<Record<string, number>>, end: number | string): string | undefined {
  const skipped = (counts['skipped'] ?? 0) + (counts['todo'] ?? 0)
  if (end !== 0) return `${counts['fail'] ?? 0} failed, ended with ${end}`
  if (skipped > 0) return `${skipped} skipped: a test runs or is deleted`
  if ((counts['tests'] ?? 0) === 0) return 'holds no test'
  return undefined
}

/** Reads the last lines of the spec reporter: `ℹ tests 12`, `ℹ skipped 0` … */
function readCounts(output: string): Readonly<Record<string, number>> {
  return Object.fromEntries(
    [...output.matchAll(/^ℹ (\w+) (\d+)$/gm)].map(([, word, count]) => [word, Number(count)]),
  )
}

function describe({ file, tests, seconds, failure, output }: FileResult): string {
  const line = `${file.padEnd(60)} ${String(tests).padStart(4)} tests ${seconds.toFixed(1).padStart(6)} s`
  return failure === undefined ? `✔ ${line}\n` : `✖ ${line}  ${failure}\n${output.replace(/^/gm, '    ')}\n`
}

function killGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
  } catch {
    // it has ended already
  }
}
