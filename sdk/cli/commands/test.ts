/**
 * concord test: runs a project's unit tests under a Node that runs TypeScript directly. What they cannot see, since they
 * have Node's globals and modules, the bundler says.
 * @module
 */
import { spawn } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { CodedError } from '../../errors.ts'
import type { CliCommand, CommonOptions, Installation } from '../command.ts'
import type { CliErrorCode } from '../errors.ts'
import { exitOf, findTypeStrippingNode } from '../platform.ts'
import { openProject } from '../project/project.ts'
import { note } from '../terminal.ts'
import { testHints } from '../test-hints.ts'
import { absentText } from '../text/absent-text.ts'

export function addTest(program: CliCommand, installation: Installation): void {
  program
    .command('test')
    .description(
      "Run a project's unit tests (*.test.ts) with node:test, and warn of globals that functions lack.",
    )
    .argument('[files...]', 'test files (default: all below this folder)')
    .common()
    .example('concord test', 'concord test index.test.ts')
    .action(async (files: string[], _options: CommonOptions) => {
      const node = findTypeStrippingNode(installation)
      if (files.length === 0 && !hasTests('.')) {
        const text = `Cannot run tests: there is no *.test.ts below ${process.cwd()}; go to your project, or name the files`
        throw new CodedError<CliErrorCode>('ERR_FILE_MISSING', text)
      }
      const missing = files.find((file) => !/[*?[{]/.test(file) && !existsSync(file))
      if (missing !== undefined)
        throw new CodedError<CliErrorCode>(
          'ERR_FILE_MISSING',
          `Cannot run tests: there is no file ${missing}`,
        )
      const folder = files.find((file) => statSync(file, { throwIfNoEntry: false })?.isDirectory())
      if (folder !== undefined)
        throw new CodedError<CliErrorCode>(
          'ERR_FILE_MISSING',
          `Cannot run tests: ${folder} is a folder; go there, or name the files in it`,
        )
      const words = ['--disable-warning=ExperimentalWarning', '--import', testHints, '--test', ...files]
      process.exitCode = await exitOf(spawn(node, words, { stdio: 'inherit' }))
      for (const line of await onlyElsewhere(installation)) note(line)
    })
}

/** What would fail where functions run, and in no unit test. */
async function onlyElsewhere(installation: Installation): Promise<readonly string[]> {
  const { bundleProject } = await import('../project/bundle.ts')
  const project = await openProject('.').catch(() => undefined) // tests need none
  if (project === undefined) return []
  return await bundleProject(installation, project).then(
    ({ absent }) => absent.map(absentText),
    (error: unknown) => [error instanceof Error ? error.message : String(error)],
  )
}

/** The files that `node --test` finds by itself. */
const testPattern = /(^|\/)(test\/.*|test(-[^/]*)?|[^/]*[._-]test)\.[cm]?[jt]s$/

function hasTests(folder: string): boolean {
  return readdirSync(folder, { withFileTypes: true }).some((entry) => {
    const path = join(folder, entry.name)
    if (!entry.isDirectory()) return testPattern.test(path)
    return entry.name !== 'node_modules' && !entry.name.startsWith('.') && hasTests(path)
  })
}
