/**
 * concord test: a project's unit tests, under a Node that runs TypeScript as it stands.
 * @module
 */
import { spawn } from 'node:child_process'
import type { CliCommand, CommonOptions, Installation } from '../command.ts'
import { exitOf, findTypeStrippingNode } from '../platform.ts'

export function addTest(program: CliCommand, installation: Installation): void {
  program
    .command('test')
    .description("Run a project's unit tests (*.test.ts) with node:test.")
    .argument('[files...]', 'test files (default: all below this folder)')
    .common()
    .example('concord test', 'concord test index.test.ts')
    .action(async (files: string[], _options: CommonOptions) => {
      const node = findTypeStrippingNode(installation)
      const words = ['--disable-warning=ExperimentalWarning', '--test', ...files]
      process.exitCode = await exitOf(spawn(node, words, { stdio: 'inherit' }))
    })
}
