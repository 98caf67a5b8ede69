/**
 * concord fn deploy | ls | inspect | why | scale | move | state | rm | logs: commands on functions.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ConcordClient } from '../../client/index.ts'
import { CodedError } from '../../errors.ts'
import { logTailMax } from '../../manifest/limits.ts'
import type { CliCommand, Installation, ServerOptions } from '../command.ts'
import { connect } from '../connection.ts'
import type { CliErrorCode } from '../errors.ts'
import { tellIfLater } from '../later.ts'
import { positiveNumber, wholeNumber } from '../numbers.ts'
import { openProject } from '../project/project.ts'
import type { Project } from '../project/project-shape.ts'
import { dim, note, print, printJson, red, table, yellow } from '../terminal.ts'
import { detailText } from '../text/function-text.ts'
import { lagText } from '../text/lag-text.ts'
import { lateText } from '../text/late-text.ts'
import { versionText } from '../text/version-text.ts'
import { whyText } from '../text/why-text.ts'
import { type DeployCommandOptions, deployAndReport, withDeployOptions } from './deploy.ts'
import { addMove } from './move.ts'
import { addScale } from './scale.ts'
import { addShadow } from './shadow.ts'
import { addState } from './state.ts'
import { addTap } from './tap.ts'
import { addVersions } from './versions.ts'

interface FnDeployOptions extends DeployCommandOptions {
  readonly name?: string
  readonly perRunner?: number
  readonly pack?: string
  readonly cpus?: number
  readonly mem?: number
  readonly env?: Readonly<Record<string, string>>
  readonly logLevel?: string
}

interface RemoveOptions extends ServerOptions {
  readonly drop?: true
  readonly wait: boolean
  readonly timeout: number
}

interface LogsOptions extends ServerOptions {
  readonly follow?: true
  readonly tail: number
}

const pollMs = 50
/** Dead letters of a removed function are counted up to here: one answer. */
const lettersCounted = 1000

export function addFunctions(program: CliCommand, installation: Installation): void {
  const fn = program
    .command('fn')
    .description('Functions: deploy, inspect, scale, roll back, remove, read logs.')
  addFnDeploy(fn, installation)
  fn.command('ls')
    .summary('List the functions.')
    .description(
      'List the functions. IN, OUT and ERRORS are reported by the instances each second; what a killed one did after its last report is missing. PROCESSED in `fn inspect` includes it, since the senders count it. LAG is how long the oldest record in flight has waited, of all inputs.',
    )
    .printsData('an array of functions')
    .talksToServer()
    .action(list)
  fn.command('inspect')
    .summary('Show a function: its instances, state, memory, and the ledger of every input.')
    .description(
      'Show a function: its instances, state, memory, and the ledger of every input. Instances report each second, so their counters may be that far behind the ledger.',
    )
    .argument('<name>', 'the function')
    .printsData()
    .talksToServer()
    .action(inspect)
  fn.command('why')
    .description('Explain where the instances of a function run, or why they do not.')
    .argument('<name>', 'the function')
    .printsData()
    .talksToServer()
    .action(why)
  addScale(fn)
  addMove(fn)
  addState(fn)
  addTap(fn, installation)
  addVersions(fn)
  addShadow(fn)
  fn.command('rm')
    .description('Remove a function: drain its instances, then delete it and its state.')
    .argument('<name>', 'the function')
    .option('--drop', 'also if records are in flight; they are lost')
    .option('--no-wait', 'return before the instances have drained')
    .option('--timeout <s>', 'how long to wait for that', positiveNumber, 60)
    .printsData()
    .talksToServer()
    .action(remove)
  fn.command('logs')
    .description('Print the log of a function.')
    .argument('<name>', 'the function')
    .option('-f, --follow', 'continue with new lines as they come')
    .option('--tail <n>', 'how many of the latest lines', wholeNumber(0, logTailMax), 100)
    .printsData('each line as one JSON line')
    .talksToServer()
    .example('concord fn logs score --tail 20', 'concord fn logs score -f')
    .action(logs)
}

function addFnDeploy(fn: CliCommand, installation: Installation): void {
  withDeployOptions(
    fn
      .command('deploy')
      .description('Bundle a function, upload it, and wait until it runs.')
      .argument('<path>', "a source file, a project's concord.jsonc, or its folder")
      .option('--name <name>', 'check that the metadata has this name')
      .option(
        '--instances <n>',
        'how many instances (default: as now, else as its manifest says)',
        wholeNumber(0),
      )
      .option('--per-runner <n>', 'how many instances share one runner', wholeNumber(1))
      .option('--pack <name>', 'share runners with other functions of this pack')
      .option('--cpus <n>', 'cores of each instance', positiveNumber)
      .option('--mem <mib>', 'memory of each instance, in MiB', wholeNumber(1))
      .option(
        '--env <name=value>',
        'an entry of ctx.env, or a name alone to copy it from this environment; may be repeated',
        addEnvironment,
      )
      .option('--log-level <level>', 'debug, info, warn or error'),
  )
    .example('concord fn deploy shout.ts', 'concord fn deploy . --instances 2')
    .action(async (path: string, options: FnDeployOptions) => {
      const readProject = async () => withFlags(await openProject(path), options)
      await deployAndReport(installation, readProject, options)
    })
}

/** Options win over the project's file. */
function withFlags(
  project: Project,
  { name, perRunner, pack, cpus, mem, env, logLevel }: FnDeployOptions,
): Project {
  const written = project.manifest as { resources?: object; env?: object }
  const resources = {
    ...written.resources,
    ...(cpus !== undefined && { cpus }),
    ...(mem !== undefined && { memMib: mem }),
  }
  const manifest = {
    ...written,
    ...(Object.keys(resources).length > 0 && { resources }),
    ...(env !== undefined && { env: { ...written.env, ...env } }),
    ...(name !== undefined && { name }),
    ...(perRunner !== undefined && { instancesPerRunner: perRunner }),
    ...(pack !== undefined && { pack }),
    ...(logLevel !== undefined && { logLevel }),
  }
  return { ...project, manifest }
}

function addEnvironment(
  pair: string,
  before: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const equals = pair.indexOf('=')
  const [name, value] =
    equals < 0 ? [pair, process.env[pair]] : [pair.slice(0, equals), pair.slice(equals + 1)]
  if (name !== '' && value !== undefined) return { ...before, [name]: value }
  const how = 'expected NAME=value, or the name of a variable that is set here'
  throw new CodedError<CliErrorCode>('ERR_USAGE', `Cannot take --env ${pair}: ${how}`)
}

async function list(options: ServerOptions): Promise<void> {
  const functions = await connect(options).functions()
  if (options.json) return await printJson(functions)
  if (functions.length === 0)
    return await print("No functions yet: 'concord init NAME' creates one, 'concord fn deploy .' runs it.")
  const rows = functions.map((fn) => [
    fn.name,
    versionText(fn),
    fn.state,
    `${fn.instancesRunning}/${fn.instancesWanted}`,
    fn.recordsIn,
    fn.recordsOut,
    fn.errors,
    lagText(fn.lagMs),
  ])
  const columns = ['FUNCTION', 'VERSION', 'STATE', 'INSTANCES', 'IN', 'OUT', 'ERRORS', 'LAG']
  await print(table([columns, ...rows]))
}

async function why(name: string, options: ServerOptions): Promise<void> {
  const answer = await connect(options).why(name)
  await (options.json ? printJson(answer) : print(whyText(answer)))
}

async function inspect(name: string, options: ServerOptions): Promise<void> {
  const detail = await connect(options).inspect(name)
  await (options.json ? printJson(detail) : print(detailText(detail)))
}

async function remove(name: string, options: RemoveOptions): Promise<void> {
  const { drop, wait, timeout, json } = options
  const client = connect(options)
  await client.remove(name, { drop: drop === true })
  if (wait) await untilGone(client, name, timeout * 1000)
  const state = wait ? 'is removed' : 'is being removed'
  await (json ? printJson({ name, removed: wait }) : print(`${name} ${state}.`))
  if (!wait) await tellIfLater(client, name)
  await tellOfLetters(client, name)
}

/** Dead letters outlive their function, and take room that other functions need. Whoever cannot be asked now is not asked. */
async function tellOfLetters(client: ConcordClient, name: string): Promise<void> {
  const listed = await client
    .deadLetters({ function: name, state: 'all', limit: lettersCounted })
    .catch(() => undefined)
  if (listed === undefined || listed.letters.length === 0) return
  const count = `${listed.letters.length}${listed.next === undefined ? '' : ' or more'}`
  const left = count === '1' ? '1 dead letter stays and takes' : `${count} dead letters stay and take`
  note(`${left} room, until 'concord dlq rm ${name} --state all'`)
}

async function untilGone(client: ConcordClient, name: string, timeoutMs: number): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs
  while ((await client.functions()).some((fn) => fn.name === name)) {
    if (performance.now() > deadlineMs) {
      const why = await client.inspect(name).then(
        (detail) => lateText(detail, 'its instances have not all ended'),
        () => 'its instances have not all ended',
      )
      const text = `${name} is to be removed, but is still there after ${timeoutMs / 1000} s: ${why}; 'concord fn inspect ${name}' shows its instances`
      throw new CodedError<CliErrorCode>('ERR_WAIT_TIMED_OUT', text)
    }
    await sleep(pollMs)
  }
}

async function logs(name: string, options: LogsOptions): Promise<void> {
  const { follow = false, tail, json } = options
  const colour = { debug: dim, info: (text: string) => text, warn: yellow, error: red }
  const onOpen = (): void => {
    if (follow) note(dim(`following logs of ${name}…`))
  }
  let isEmpty = true
  for await (const line of connect(options).logs(name, { follow, tail, onOpen })) {
    isEmpty = false
    const { timeMs, level, instance, version, message } = line
    const text = () =>
      `${dim(new Date(timeMs).toISOString())} ${colour[level](level.padEnd(5))} ${instance} v${version} ${message}`
    await (json ? printJson(line) : print(text()))
  }
  if (isEmpty && !follow && tail > 0)
    note(`the log of ${name} is empty: nothing was logged in the last day, for which lines are kept`)
}
