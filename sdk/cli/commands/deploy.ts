/**
 * concord deploy config.json: the command of the Concord of 2016. Its options and its work are those of `concord fn
 * deploy`.
 * @module
 */
import { userInfo } from 'node:os'
import type { DeployAnswer, DeploySettings } from '../../api/index.ts'
import type { ConcordClient } from '../../client/index.ts'
import { CodedError } from '../../errors.ts'
import type { CliCommand, Installation, ServerOptions } from '../command.ts'
import { connect } from '../connection.ts'
import { percentOf, shareOf, watchCanary, withCanary } from '../deploy/canary.ts'
import { type Deployed, deployProject, dryRun } from '../deploy/deploy.ts'
import { whyItWaits } from '../deploy/remarks.ts'
import { withRolling } from '../deploy/rolling.ts'
import { hasShadow, watchShadow, withShadow } from '../deploy/shadow.ts'
import type { CliErrorCode } from '../errors.ts'
import { bakeSeconds, positiveNumber, wholeNumber } from '../numbers.ts'
import { openProjectFile } from '../project/project.ts'
import type { Project } from '../project/project-shape.ts'
import { dim, green, print, printJson, secondsText } from '../terminal.ts'
import { quietText } from '../text/canary-text.ts'
import { gateText } from '../text/gate-text.ts'
import { shadowText } from '../text/shadow-text.ts'

export interface DeployCommandOptions extends ServerOptions, Omit<DeploySettings, 'ownSizes'> {
  readonly untilOutput?: true
  /** Options of `fn deploy`. A size given here is meant, even if another one was set by hand before. */
  readonly cpus?: number
  readonly mem?: number
  readonly canary?: number | true
  readonly shadow?: true
  readonly bake?: number
  readonly maxDiff?: number
  readonly rolling?: number
  readonly watch?: true
  readonly asset?: readonly string[]
  readonly wait: boolean
  readonly timeout: number
}

export function addDeploy(program: CliCommand, installation: Installation): void {
  withDeployOptions(program.command('deploy'))
    .description('Deploy a function from its configuration file.')
    .argument(
      '<config>',
      'concord.jsonc or config.json, or its folder; `main` (or `executable_name`) names the entry file',
    )
    .example('concord deploy config.json', 'concord deploy .')
    .action(async (path: string, options: DeployCommandOptions) => {
      await deployAndReport(installation, () => openProjectFile(path), options)
    })
}

export function withDeployOptions(command: CliCommand): CliCommand {
  return command
    .option('-m, --message <text>', 'a message, shown by `concord fn versions`')
    .option('--author <name>', 'the author, shown by `concord fn versions` (default: your user name)')
    .option('--drain', 'drain the instances and start new ones, even if the version could take over in place')
    .option(
      '--dry-run',
      'test it on recent records beside the live version, show the differences, and deploy nothing',
    )
    .option('--accept', 'deploy even if the gate asks')
    .option(
      '--canary [percent]',
      'give it a share of the keys first, more step by step; roll back automatically if it does worse',
      percentOf,
    )
    .option(
      '--shadow',
      'give it copies of all records, compare its outputs with the live version, and discard them',
    )
    .option('--bake <s>', 'how long to observe a shadow, or each step of a canary', bakeSeconds)
    .option(
      '--max-diff <percent>',
      'also compare the outputs of the canary with those of the version before, on a copy of the state; roll back if more differ',
      shareOf,
    )
    .option(
      '--rolling <k>',
      'update k instances at a time, the next ones when those have passed their trial',
      wholeNumber(1),
    )
    .option('--watch', 'show the progress of a canary, shadow or rolling deploy until it is decided')
    .option(
      '--asset <file>',
      'add this file as an asset, like those in the folder assets/; may be repeated',
      (file: string, before: readonly string[] = []) => [...before, file],
    )
    .option('--no-wait', 'return when it is stored, before it runs')
    .option('--until-output', 'wait for its first output record, and say how long that took')
    .option('--timeout <s>', 'how long to wait until it runs', positiveNumber, 60)
    .printsData()
    .talksToServer()
}

export async function deployAndReport(
  installation: Installation,
  readProject: () => Promise<Project>,
  options: DeployCommandOptions,
): Promise<void> {
  const { wait, untilOutput = false, timeout, asset = [], watch = false } = options
  if (options.drain && options.canary !== undefined)
    throw new CodedError<CliErrorCode>(
      'ERR_USAGE',
      '--drain ends the instances that a canary is compared in, so the version would get all keys at once: leave out --drain or --canary',
    )
  const client = connect(options)
  const read = async () => withRolling(withRollout(await readProject(), options), options.rolling)
  const wished = { assets: asset, settings: settingsOf(options) }
  if (options.dryRun) return await reportDryRun(await dryRun(installation, client, read, wished), options)
  const timeoutMs = timeout * 1000
  const deployed = await deployProject(installation, client, read, {
    ...wished,
    wait,
    untilOutput,
    timeoutMs,
  })
  const { name, version, canaryPercent, isShadow, instancesRunning } = deployed
  if (isShadow) return await reportShadow(client, deployed, options)
  const settled = watch ? await watchCanary(client, deployed) : undefined
  if (options.json) return await printJson(deployed)
  if (canaryPercent !== undefined) {
    const state = watch
      ? `has all keys${quietText(settled)}`
      : `has ${canaryPercent} % of the keys, and gets all of them or is rolled back`
    await print(`${green(`${name} v${version}`)} ${state}.`)
    if (!watch) await print(dim(`'concord fn inspect ${name}' shows its progress.`))
    return
  }
  const waits = wait || untilOutput ? undefined : await whyItWaits(client, deployed)
  const runs = instancesRunning > 0 ? 'is running' : 'will run as soon as an instance is wanted'
  const later = waits === undefined ? 'is stored and will run' : `is stored, and waits: ${waits}`
  const state = untilOutput ? 'has sent its first record' : wait ? runs : later
  await print(`${green(`${name} v${version}`)} ${state} (${secondsText(deployed.totalMs)}).`)
}

function settingsOf(options: DeployCommandOptions): DeploySettings {
  const { author = userName(), message, instances, drain, accept, cpus, mem } = options
  const ownSizes = [
    ...(cpus === undefined ? [] : (['cpus'] as const)),
    ...(mem === undefined ? [] : (['memMib'] as const)),
  ]
  return { author, message, instances, drain, accept, ownSizes }
}

async function reportDryRun(answer: DeployAnswer, { json }: DeployCommandOptions): Promise<void> {
  const { name, version, changed, gate } = answer
  const breaches = gate?.breaches ?? []
  if (json) await printJson(answer)
  else if (gate !== undefined) await print(gateText(gate))
  else if (changed) await print(`${name} is not deployed yet, so there is nothing to compare with.`)
  else await print(`${name} would not change: v${version} is the same.`)
  if (breaches.length > 0)
    throw new CodedError<CliErrorCode>('ERR_GATE_HOLDS', `The gate of '${name}' would stop this deploy`)
  if (!json) await print(dim('Nothing was deployed.'))
}

function withRollout(project: Project, { shadow, bake, ...said }: DeployCommandOptions): Project {
  const { canary, maxDiff } = said
  const rules = { ...(canary === undefined ? {} : { canary }), ...(maxDiff === undefined ? {} : { maxDiff }) }
  if (shadow !== true && (canary !== undefined || !hasShadow(project)))
    return withCanary(project, { ...rules, ...(bake === undefined ? {} : { bake }) })
  return withShadow(withCanary(project, rules), bake)
}

async function reportShadow(
  client: ConcordClient,
  deployed: Deployed,
  { watch, json }: DeployCommandOptions,
): Promise<void> {
  const { name, version } = deployed
  const report = watch ? await watchShadow(client, deployed) : undefined
  if (json) return await printJson(report ?? deployed)
  if (report !== undefined) await print(shadowText(report))
  else
    await print(
      `${green(`${name} v${version}`)} gets copies of all records; its outputs are compared and discarded.`,
    )
  await print(
    dim(`'concord fn shadow ${name}' shows the differences, 'concord fn promote ${name}' makes it live.`),
  )
}

/** The name of the user who runs the command. */
export function userName(): string | undefined {
  try {
    return userInfo().username
  } catch {
    return undefined // a user without an entry in /etc/passwd, as in containers
  }
}
