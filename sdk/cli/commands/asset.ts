/**
 * concord asset push | ls | rm: the files beside a function's code. Each change makes a new version.
 * @module
 */
import type { AssetPatch } from '../../api/assets.ts'
import { CodedError } from '../../errors.ts'
import type { CliCommand, ServerOptions } from '../command.ts'
import { connect } from '../connection.ts'
import { tellOfLeft, untilRunning } from '../deploy/deploy.ts'
import { throughGate } from '../deploy/gate.ts'
import { tellOfChanges } from '../deploy/remarks.ts'
import type { CliErrorCode } from '../errors.ts'
import { positiveNumber } from '../numbers.ts'
import { type AssetFiles, assetFilesOf, nameOf, uploadAssets } from '../project/assets.ts'
import { bytesText, dim, green, note, print, printJson, table } from '../terminal.ts'
import { becameText } from '../text/version-text.ts'
import { userName } from './deploy.ts'

interface ChangeOptions extends ServerOptions {
  readonly message?: string
  readonly author?: string
  readonly drain?: true
  readonly accept?: true
  readonly wait: boolean
  readonly timeout: number
}

interface PushOptions extends ChangeOptions {
  readonly as?: string
}

export function addAssets(program: CliCommand): void {
  const asset = program
    .command('asset')
    .description('Assets, the files that a function reads with ctx.asset: push, list, remove.')
  withChangeOptions(
    asset
      .command('push')
      .description('Add or replace files of a function. This deploys a new version of the same code.')
      .argument('<name>', 'the function')
      .argument('<files...>', 'the files; each becomes an asset with its own name')
      .option('--as <asset>', 'the name of the asset, if you push one file'),
  )
    .example(
      'concord asset push fraud-score model.bin',
      'concord asset push fraud-score build/42.bin --as model.bin',
    )
    .action(push)
  asset
    .command('ls')
    .description('List the assets of a function.')
    .argument('<name>', 'the function')
    .printsData()
    .talksToServer()
    .action(list)
  withChangeOptions(
    asset
      .command('rm')
      .description(
        'Remove assets of a function. This deploys a new version of the same code; earlier versions keep them.',
      )
      .argument('<name>', 'the function')
      .argument('<assets...>', 'the names of the assets'),
  ).action(remove)
}

function withChangeOptions(command: CliCommand): CliCommand {
  return command
    .option('-m, --message <text>', 'a message, shown by `concord fn versions`')
    .option('--author <name>', 'the author, shown by `concord fn versions` (default: your user name)')
    .option('--drain', 'drain the instances and start new ones, even if the version could take over in place')
    .option('--accept', 'deploy even if the gate asks')
    .option('--no-wait', 'return when it is stored, before it runs')
    .option('--timeout <s>', 'how long to wait until it runs', positiveNumber, 60)
    .printsData()
    .talksToServer()
}

async function push(name: string, paths: readonly string[], options: PushOptions): Promise<void> {
  const files = filesOf(paths, options.as)
  const client = connect(options)
  await client.assets(name) // fails early if the function does not exist: the files may have hundreds of megabytes
  const { names, sentBytes } = await uploadAssets(client, files)
  note(`upload  ${sentBytes === 0 ? 'nothing, the server has these bytes' : bytesText(sentBytes)}`)
  await change(name, names, `asset push ${[...files.keys()].join(' ')}`, options)
}

function filesOf(paths: readonly string[], as: string | undefined): AssetFiles {
  const [path] = paths
  if (as === undefined || path === undefined) return assetFilesOf(paths)
  if (paths.length > 1)
    throw new CodedError<CliErrorCode>('ERR_USAGE', '--as names one asset: give one file with it')
  return new Map([[nameOf(path, as), path]])
}

async function remove(name: string, assets: readonly string[], options: ChangeOptions): Promise<void> {
  const changes = Object.fromEntries(assets.map((asset) => [asset, null]))
  await change(name, changes, `asset rm ${assets.join(' ')}`, options)
}

async function change(
  name: string,
  assets: AssetPatch['assets'],
  action: string,
  { message = action, author = userName(), drain, accept, wait, timeout, json, ...server }: ChangeOptions,
): Promise<void> {
  const client = connect(server)
  const patch = { assets, message, ...(author && { author }), ...(drain && { drain }) }
  const answer = await throughGate(
    (isAccepted) => client.changeAssets(name, { ...patch, ...(isAccepted && { accept: true }) }),
    accept === true,
  )
  tellOfLeft(answer)
  tellOfChanges(answer)
  const detail = wait ? await untilRunning(client, answer, timeout * 1000) : undefined
  if (json) return await printJson(answer)
  const state = becameText(answer, detail, 'has these assets already')
  await print(`${green(`${name} v${answer.version}`)} ${state}.`)
  if (answer.changed) await print(dim(`'concord fn rollback ${name}' undoes it.`))
}

async function list(name: string, options: ServerOptions): Promise<void> {
  const answer = await connect(options).assets(name)
  if (options.json) return await printJson(answer)
  const rows = Object.entries(answer.assets).map(([asset, { sha256, bytes }]) => [
    asset,
    bytesText(bytes),
    sha256.slice(0, 12),
  ])
  if (rows.length === 0) return await print(`${name} v${answer.version} has no assets.`)
  await print(table([['ASSET', 'BYTES', 'SHA256'], ...rows]))
}
