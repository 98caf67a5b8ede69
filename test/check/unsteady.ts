/**
 * Unsteady: names the files that failed and then passed in their second chance (V5 of test-runner.ts), so that nobody who reads
 * only the end of a run takes it for a good one.
 * @module
 */

export interface UnsteadyFile {
  readonly file: string
  /** Why it failed the first time: see `firstFailure`. */
  readonly failure: string
}

/** Lines of a message that are shown: an assertion's can be long. */
const linesMax = 6

export function unsteadyText(files: readonly UnsteadyFile[]): string {
  const what = files.length === 1 ? 'a file failed' : `${files.length} files failed`
  const head = `≈ UNSTEADY: ${what} and passed when run again, alone. Mend this first: test/README.md, "Unsteady files"`
  return [head, ...files.map(({ file, failure }) => `  ${file}\n${failure.replace(/^/gm, '    ')}`)].join(
    '\n',
  )
}

/**
 * The first failed test of what the spec reporter printed, and the first lines of its message.
 * @param otherwise Where no test is reported to have failed: the file did not load, or did not end.
 */
export function firstFailure(output: string, otherwise: string): string {
  const [, report = ''] = output.split(/^✖ failing tests:$/m)
  const lines = report.split('\n')
  const at = lines.findIndex((line) => line.startsWith('✖ '))
  if (at < 0) return otherwise
  const name = lines[at]!.slice(2).replace(/ \([\d.]+ms\)$/, '')
  const after = lines.slice(at + 1)
  const end = after.findIndex((line) => /^( +at |test at )/.test(line))
  const message = after.slice(0, end < 0 ? undefined : end).map((line) => line.replace(/^ {2}/, ''))
  return [name, ...message.filter((line) => line.trim() !== '').slice(0, linesMax)].join('\n')
}
