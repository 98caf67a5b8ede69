/**
 * Runs test files, a process each, and shows a line for each file with the figures that its tests told (`t.diagnostic`); of a
 * file that failed, all that it printed.
 *
 * The files are run directly and not by `node --test`, which waits for ever for a file that keeps something open.
 *
 *  V3. A skipped test counts as a failure, and so does a file that holds no test.
 *  V4. A file has `timeoutMs`; then its whole process group is killed, and all else that it has started, and it has failed. Whatever
 *      it makes in the temporary folder lies in a folder of its own, whose name marks it.
 *  V5. Where no more than `again` files failed, they are run once more, alone. What passes then is unsteady: it does not fail the
 *      run, but it is a fault of the test or of the product all the same, so the run names it at its end (unsteady.ts).
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { makesIsolates } from './isolates.ts'
import { endLeftovers } from './leftovers.ts'
import { firstFailure, type UnsteadyFile } from './unsteady.ts'

export interface RunOptions {
  /** Files at a time. */
  readonly concurrency: number
  /** For a whole file. */
  readonly timeoutMs: number
  /** How many files that failed are given a second chance; none if left out. */
  readonly again?: number
  /** Told of each file that has been run. */
  readonly ran?: (took: FileTook) => void
  /** Told of each file that passed in its second chance only. */
  readonly unsteady?: (file: UnsteadyFile) => void
  /** Where the lines go. */
  readonly write?: (text: string) => void
}

export interface FileTook {
  readonly file: string
  readonly tests: number
  readonly seconds: number
}

interface FileResult extends FileTook {
  /** Why it failed, if it did. */
  readonly failure: string | undefined
  readonly output: string
}

const nodeFlags = ['--disable-warning=ExperimentalWarning', '--test-reporter=spec'] // node:sqlite still warns
const outputKeptCharacters = 100_000

/** How long the last output may take; a process that a test left behind would hold the pipe open for ever. */
const lastOutputMs = 1_000

/** True if every file passed, with a second chance where the options give one. */
export async function runTestFiles(files: readonly string[], options: RunOptions): Promise<boolean> {
  const { again = 0, write = (text: string) => process.stdout.write(text) } = options
  const failed = await runAll(files, { ...options, write })
  if (failed.length === 0) return true
  if (failed.length > again) return false
  write('once more, alone:\n')
  const names = failed.map(({ file }) => file)
  const still = await runAll(names, { ...options, concurrency: 1, write })
  for (const { file, output, failure = '' } of failed)
    if (!still.some((other) => other.file === file))
      options.unsteady?.({ file, failure: firstFailure(output, failure) })
  return still.length === 0
}

/** @returns Those that failed. */
async function runAll(
  files: readonly string[],
  { concurrency, timeoutMs, write, ran }: RunOptions & { readonly write: (text: string) => void },
): Promise<FileResult[]> {
  const waiting = [...files]
  const failed: FileResult[] = []
  const work = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const result = await runTestFile(file, timeoutMs)
      if (result.failure !== undefined) failed.push(result)
      write(describe(result))
      ran?.(result)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, work))
  return failed
}

async function runTestFile(file: string, timeoutMs: number): Promise<FileResult> {
  const startMs = performance.now()
  const { NODE_TEST_CONTEXT: _, ...env } = process.env // else the file would report to a runner that is not there
  const folder = mkdtempSync(join(tmpdir(), 't-'))
  const snapshot = makesIsolates(file) ? ['--no-node-snapshot'] : []
  const child = spawn(process.execPath, [...snapshot, ...nodeFlags, file], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    env: { ...env, TMPDIR: folder },
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
  if (timedOut) await endLeftovers(folder, { graceMs: 0, write: () => undefined })
  removeIfEmpty(folder)

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
  if (failure !== undefined) return `✖ ${line}  ${failure}\n${output.replace(/^/gm, '    ')}\n`
  return `✔ ${line}\n${figuresIn(output)
    .map((figure) => `    ${figure}\n`)
    .join('')}`
}

/** What tests told, without the spec reporter's own counts. */
function figuresIn(output: string): string[] {
  return [...output.matchAll(/^ *(ℹ .+)$/gm)]
    .map(([, told]) => told!)
    .filter((told) => !/^ℹ \w+ [\d.]+$/.test(told))
}

/** What lies in it is for whoever looks into it, until the run's folder goes. */
function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder)
  } catch {
    // it holds something
  }
}

function killGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
  } catch {
    // it has ended already
  }
}
