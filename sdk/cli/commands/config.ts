/**
 * concord config: every setting of the platform, its value and its origin. infra/local/print-config.ts prints it.
 * @module
 */
import type { CliCommand, CommonOptions, Installation } from '../command.ts'
import { homeFolder } from '../connection.ts'
import { exitOf, spawnPlatform } from '../platform.ts'

interface ConfigOptions extends CommonOptions {
  readonly home?: string
}

export function addConfig(program: CliCommand, installation: Installation): void {
  program
    .command('config')
    .summary('Show every setting of the platform, and where it comes from.')
    .description(
      'Show every setting of the platform, its value, and where that comes from; secrets are masked.',
    )
    .option('--home <folder>', 'state folder (default: CONCORD_HOME, else ~/.concord)')
    .printsData()
    .action(async (options: ConfigOptions) => {
      const home = options.home === undefined ? [] : ['--home', homeFolder(options)]
      const args = [...home, ...(options.json ? ['--json'] : [])]
      const child = spawnPlatform(installation, 'infra/local/print-config.ts', {
        args,
        stdio: 'inherit',
      })
      process.exitCode = await exitOf(child)
    })
}
