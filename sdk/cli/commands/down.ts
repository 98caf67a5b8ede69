/**
 * concord down: drains all tasks and stops the one-machine platform.
 * @module
 */
import type { CliCommand, CommonOptions, Installation } from '../command.ts'
import { homeFolder } from '../connection.ts'
import { askPlatform } from '../platform.ts'
import { lostText, Progress, print, printJson, type Stopped } from '../terminal.ts'

export interface DownOptions extends CommonOptions {
  readonly home?: string
}

/** What was running and was stopped. */
interface Found extends Stopped {
  readonly up: boolean
  /** The platform did not stop when it was asked. */
  readonly killed: boolean
  readonly natsServer: boolean
  readonly tasks: number
}

export function addDown(program: CliCommand, installation: Installation): void {
  program
    .command('down')
    .summary('Stop the platform; deployed functions come back with `concord up`.')
    .description('Stop the platform on this machine; deployed functions come back with `concord up`.')
    .option('--home <folder>', 'state folder (default: CONCORD_HOME, else ~/.concord)')
    .printsData(
      'what was running and what was lost; "killedInstances" names those that did not end in order; it and "givenUpRecords" are null where nobody knows; with "givenUpIsAtMost" that number is an upper bound',
    )
    .action((options: DownOptions) => down(installation, options))
}

export async function down(installation: Installation, options: DownOptions): Promise<void> {
  const startedMs = performance.now()
  const args = ['--home', homeFolder(options)]
  const waiting = new Progress()
  waiting.update(() => 'Stopping the platform, once its functions have drained …')
  const asked = askPlatform<Found>(installation, 'infra/local/down.ts', args, options.verbose)
  const found = await asked.finally(() => waiting.clear())
  const { up, killed, givenUpRecords, givenUpIsAtMost, killedInstances, tasksLeft } = found
  const ms = Math.round(performance.now() - startedMs)
  const wasRunning = up || found.natsServer || found.tasks > 0
  if (options.json)
    return await printJson({
      stopped: true,
      wasRunning,
      ms,
      killed,
      givenUpRecords,
      ...(givenUpIsAtMost && { givenUpIsAtMost }),
      killedInstances,
      tasksLeft,
    })
  if (!wasRunning) return await print(`Nothing was running with ${homeFolder(options)}.`)
  const how = killed ? ' It did not stop when asked, and was killed.' : ''
  await print(`Concord is down (${(ms / 1000).toFixed(1)} s).${how}${lostText(found)}`)
}
