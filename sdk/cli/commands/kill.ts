/**
 * concord kill -id ID: drains and stops one instance; its `destroy` is called.
 * @module
 */
import type { CliCommand, ServerOptions } from '../command.ts'
import { connect } from '../connection.ts'
import { whyLater } from '../later.ts'
import { print, printJson } from '../terminal.ts'

interface KillOptions extends ServerOptions {
  readonly id: string
  readonly restart?: true
}

export function addKill(program: CliCommand): void {
  program
    .command('kill')
    .summary('Stop or restart one instance.')
    .description(
      "Stop one instance: drain it, call its destroy(), and reduce the function's number of instances by one.",
    )
    .requiredOption('--id <id>', 'the instance, e.g. score-0 (also written -id)')
    .option('--restart', 'replace it with a new one; the number of instances stays')
    .printsData()
    .talksToServer()
    .example('concord kill -id score-0', 'concord kill -id score-0 --restart')
    .action(async (options: KillOptions) => {
      const restart = options.restart ?? false
      const { id, json } = options
      const client = connect(options)
      await client.kill(id, { restart })
      const noScheduler = await whyLater(client, id.slice(0, id.lastIndexOf('-')))
      const what = restart ? 'replaced' : 'stopped'
      const text = noScheduler === undefined ? `is being ${what}.` : `is to be ${what}, but ${noScheduler}.`
      await (json ? printJson({ id, restart, ...(noScheduler && { noScheduler }) }) : print(`${id} ${text}`))
    })
}
