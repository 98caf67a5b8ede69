/**
 * Main: `node test/history/main.ts FILE [--json]` judges a history. Exit 0: sound, 1: findings, 2: not a history.
 * @module
 */
import { check } from './checker.ts'
import { HistoryError } from './event.ts'
import { verdictText } from './explain.ts'
import { openHistory } from './file.ts'

const [path, ...flags] = process.argv.slice(2)
if (path === undefined || flags.some((flag) => flag !== '--json')) {
  process.stderr.write('usage: node test/history/main.ts FILE [--json]\n')
  process.exit(2)
}
try {
  const { header, events } = openHistory(path)
  const verdict = check(header.complete, events(), header.overcount)
  process.stdout.write(flags.length > 0 ? `${JSON.stringify(verdict)}\n` : verdictText(verdict, events()))
  process.exitCode = verdict.sound ? 0 : 1
} catch (error) {
  const known = error instanceof HistoryError || (error as NodeJS.ErrnoException).code !== undefined
  process.stderr.write(`${known ? (error as Error).message : (error as Error).stack}\n`)
  process.exitCode = 2
}
