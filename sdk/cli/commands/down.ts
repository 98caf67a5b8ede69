/**
 * concord down: stops the one-machine platform, tasks first, drained.
 * @module
 */
import { text } from 'node:stream/consumers'
import { CodedError } from '../../errors.ts'
import type { CliCommand, CommonOptions, Installation } from '../command.ts'
import { homeFolder } from '../connection.ts'
import type { CliErrorCode } from '../errors.ts'
import { exitOf, spawnPlatform } from '../platform.ts'
import { givenUpText, note, print, printJson } from '../terminal.ts'

export interface DownOptions extends CommonOptions {
  readonly home?: string
}

export function addDown(program: CliCommand, installation: Installation): void {
  program
    .command('down')
    .description(
      'Stop the platform on this machine; what is deployed is kept and comes back with `concord up`.',
    )
    .option('--home <folder>', 'state folder (else CONCORD_HOME, else ~/.concord)')
    .printsData()
    .action((options: DownOptions) => down(installation, options))
}

export async function down(installation: Installation, options: DownOptions): Promise<void> {
  const startedMs = performance.now()
  const home = homeFolder(options)
  const child = spawnPlatform(installation, 'infra/local/down.ts', {
    args: ['--home', home],
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [answer, said, code] = await Promise.all([text(child.stdout!), text(child.stderr!), exitOf(child)])
  if (options.verbose) note(said.trimEnd())
  if (code !== 0) {
    const why = said.trim().split('\n').at(-1) || `Cannot stop the platform in ${home}: it ended with ${code}`
    throw new CodedError<CliErrorCode>('ERR_PLATFORM_FAILED', why)
  }
  const ms = Math.round(performance.now() - startedMs)
  const { givenUpRecords } = JSON.parse(answer.trim().split('\n').at(-1)!) as { givenUpRecords?: number }
  if (options.json) return await printJson({ stopped: true, ms, givenUpRecords })
  await print(`Concord is down (${(ms / 1000).toFixed(1)} s).${givenUpText(givenUpRecords)}`)
}
