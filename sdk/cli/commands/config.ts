/**
 * concord config: every setting of the platform, its value and its origin. infra/local/print-config.ts knows them.
 * @module
 */
import type { CliCommand, CommonOptions, Installation } from '../command.ts'
import { homeFolder } from '../connection.ts'
import { askPlatform } from '../platform.ts'
import { print, printJson, table } from '../terminal.ts'

interface ConfigOptions extends CommonOptions {
  readonly home?: string
}

interface Setting {
  readonly key: string
  readonly value?: unknown
  readonly origin: string
  readonly description: string
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
    .action((options: ConfigOptions) => config(installation, options))
}

async function config(installation: Installation, options: ConfigOptions): Promise<void> {
  const home = options.home === undefined ? [] : ['--home', homeFolder(options)]
  const settings = await askPlatform<readonly Setting[]>(installation, 'infra/local/print-config.ts', home)
  if (options.json) return await printJson(settings)
  const rows = settings.map(({ key, value, origin, description }) => [
    key,
    value === undefined ? '–' : String(value),
    origin,
    description,
  ])
  await print(table([['SETTING', 'VALUE', 'ORIGIN', 'MEANING'], ...rows]))
}
