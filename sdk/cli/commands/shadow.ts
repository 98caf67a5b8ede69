/**
 * concord fn shadow | promote: shows the findings about a shadow version, and makes it live.
 * @module
 */
import { differenceText } from '../../versions/difference-text.ts'
import type { CliCommand, ServerOptions } from '../command.ts'
import { connect } from '../connection.ts'
import { tellOfLeft, untilRunning } from '../deploy/deploy.ts'
import { tellOfChanges } from '../deploy/remarks.ts'
import { positiveNumber, versionNumber } from '../numbers.ts'
import { dim, green, print, printJson } from '../terminal.ts'
import { shadowText } from '../text/shadow-text.ts'
import { becameText } from '../text/version-text.ts'

interface ShadowOptions extends ServerOptions {
  readonly all?: true
}

interface PromoteOptions extends ServerOptions {
  readonly to?: number
  readonly wait: boolean
  readonly timeout: number
}

export function addShadow(fn: CliCommand): void {
  fn.command('shadow')
    .description('Show the report of a shadow version. Default: the current one, else the newest.')
    .argument('<name>', 'the function')
    .argument('[version]', 'the version, e.g. v3', versionNumber)
    .option('--all', 'list every record whose outputs differ, as far as recorded')
    .printsData('the report; with --all, one difference per line')
    .talksToServer()
    .example('concord fn shadow score', 'concord fn shadow score v3 --all --json')
    .action(shadow)
  fn.command('promote')
    .description('Make a shadow version live. Default: the current one, else the newest.')
    .argument('<name>', 'the function')
    .option('--to <version>', 'which version', versionNumber)
    .option('--no-wait', 'return before it runs')
    .option('--timeout <s>', 'how long to wait until it runs', positiveNumber, 60)
    .printsData()
    .talksToServer()
    .example('concord fn promote score')
    .action(promote)
}

async function shadow(name: string, version: number | undefined, options: ShadowOptions): Promise<void> {
  const { all, json } = options
  const client = connect(options)
  const found = await client.shadow(name, version)
  if (all === undefined) return json ? await printJson(found) : await print(shadowText(found))
  if (!json) await print(shadowText(found, []))
  for await (const difference of client.shadowDifferences(name, found.version))
    await (json
      ? printJson(difference)
      : print(differenceText(difference, `v${found.version}`, `v${found.from}`)))
}

async function promote(name: string, options: PromoteOptions): Promise<void> {
  const { to, wait, timeout, json } = options
  const client = connect(options)
  const answer = await client.promote(name, to === undefined ? {} : { to })
  tellOfLeft(answer)
  tellOfChanges(answer)
  const detail = wait ? await untilRunning(client, answer, timeout * 1000) : undefined
  if (json) return await printJson(answer)
  const state = becameText(answer, detail, 'was in force already')
  await print(`${green(`${name} v${answer.version}`)} ${state}.`)
  if (answer.changed) await print(dim(`'concord fn rollback ${name}' goes back to the version before.`))
}
