/**
 * The one check command, `npm test` or `npm run verify`: format and lint, types, layout and style, unit tests, then
 * whole-system tests, and last that nothing which was started is still running.
 *
 *     npm test                  everything
 *     npm test -- PATTERN…      only the test files whose path contains one of the patterns
 *
 *  V1. All checks run, whatever failed before, so that one run shows all that is wrong.
 *  V2. Ends with 0 only if every check passed, no test was skipped, and no process is left. Files that needed a second chance do
 *      not change that; they are the last thing that the run says.
 * @module
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCommand } from './check/command.ts'
import { startCpuUse } from './check/cpu-use.ts'
import { endLeftovers } from './check/leftovers.ts'
import { slowestText } from './check/slowest.ts'
import { findTestFiles } from './check/test-files.ts'
import { type FileTook, runTestFiles } from './check/test-runner.ts'
import { type UnsteadyFile, unsteadyText } from './check/unsteady.ts'
import { startWatch } from './check/watch.ts'

const root = join(import.meta.dirname, '..')
const unitTimeoutMs = 900_000
/** They wait more than they work: for sessions that end, for starts that are put off, for what is killed, for processes that start. */
const filesAtATime = Math.min(4, availableParallelism() + 1)
/** Files of a whole run that get a second chance (V5), in the unit tests and in the system tests each. */
const againMax = 3
/** Of a file; the longer modes (test/README.md) may take more. */
const systemTimeoutMs = Number(process.env['CONCORD_TEST_MINUTES'] ?? 15) * 60_000

interface Check {
  readonly name: string
  readonly run: () => Promise<boolean>
}

process.chdir(root)
const patterns = process.argv.slice(2)
const again = patterns.length > 0 ? 0 : againMax // who runs a few wants to see how steady they are
const files = findTestFiles(root, patterns)
if (patterns.length > 0 && files.all.length === 0) {
  process.stderr.write(`No test file's path contains ${patterns.map((p) => `'${p}'`).join(' or ')}\n`)
  process.exit(2)
}

// All that tests make in the temporary folder lies here, and the name marks all that they start.
const temporary = mkdtempSync(join(tmpdir(), 'concord-test-'))
startWatch(temporary)
process.env['TMPDIR'] = temporary
process.on('exit', () => {
  if (process.env['CONCORD_TEST_KEEP'] === undefined) rmSync(temporary, { recursive: true, force: true })
  else process.stdout.write(`kept: ${temporary}\n`)
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(130)) // by way of `exit`

const tools = join(root, 'node_modules', '.bin')
const took: FileTook[] = []
const unsteadyFiles: UnsteadyFile[] = []
const shared = {
  ran: (file: FileTook): void => void took.push(file),
  unsteady: (file: UnsteadyFile): void => void unsteadyFiles.push(file),
}
const source: readonly Check[] = [
  {
    name: 'format and lint',
    run: () => runCommand(join(tools, 'biome'), ['check', '--error-on-warnings', '.']),
  },
  { name: 'types', run: () => runCommand(join(tools, 'tsc'), ['-p', root]) },
]
const tests: readonly Check[] = [
  {
    name: 'layout and style',
    run: () => runTestFiles(files.style, { concurrency: 2, timeoutMs: unitTimeoutMs, ...shared }),
  },
  {
    name: 'unit tests',
    run: () =>
      runTestFiles(files.unit, { concurrency: filesAtATime, timeoutMs: unitTimeoutMs, again, ...shared }),
  },
  {
    name: 'system tests',
    run: () =>
      runTestFiles(files.system, { concurrency: filesAtATime, timeoutMs: systemTimeoutMs, again, ...shared }),
  },
  { name: 'nothing left running', run: () => endLeftovers(temporary) },
]

const results: string[] = []
for (const { name, run } of patterns.length > 0 ? tests : [...source, ...tests]) {
  process.stdout.write(`\n── ${name}\n`)
  const startMs = performance.now()
  const used = startCpuUse()
  const passed = await run()
  if (!passed) process.exitCode = 1
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1)
  results.push(`${passed ? '✔' : '✖'} ${name.padEnd(22)}${seconds.padStart(7)} s  ${used()}`)
}
if (took.length > 1) process.stdout.write(`\n${slowestText(took)}\n`)
process.stdout.write(`\n${results.join('\n')}\n`)
if (unsteadyFiles.length > 0) process.stdout.write(`\n${unsteadyText(unsteadyFiles)}\n`)
