/**
 * concord fn versions | diff | rollback: lists and compares versions, and goes back to one.
 * @module
 */
import type { FunctionDetail, VersionDiff, VersionSummary } from '../../api/index.ts'
import type { ConcordClient } from '../../client/index.ts'
import { changeText } from '../../manifest/changes.ts'
import type { CliCommand, ServerOptions } from '../command.ts'
import { connect } from '../connection.ts'
import { tellOfLeft, untilRunning } from '../deploy/deploy.ts'
import { tellIfLater } from '../later.ts'
import { positiveNumber, versionNumber } from '../numbers.ts'
import { bytesText, dim, green, note, print, printJson, table } from '../terminal.ts'
import { quietText } from '../text/canary-text.ts'
import { cut } from '../width.ts'
import { userName } from './deploy.ts'

interface RollbackOptions extends ServerOptions {
  readonly to?: number
  readonly message?: string
  readonly author?: string
  readonly drain?: true
  readonly wait: boolean
  readonly timeout: number
}

const messageShown = 60

export function addVersions(fn: CliCommand): void {
  fn.command('versions')
    .description('List the versions of a function, newest first, and what became of each.')
    .argument('<name>', 'the function')
    .printsData('an array of versions')
    .talksToServer()
    .action(versions)
  fn.command('diff')
    .description('Compare two versions of a function: manifest, assets, and source code.')
    .argument('<name>', 'the function')
    .argument('<from>', 'a version, e.g. v3', versionNumber)
    .argument('<to>', 'the version to compare with', versionNumber)
    .printsData('the differences; `files` has a patch for each file')
    .talksToServer()
    .example('concord fn diff score v3 v4')
    .action(diff)
  fn.command('rollback')
    .description(
      'Go back to an earlier version, in place if possible. Default: the last one before the live version that ran and was not itself rolled back.',
    )
    .argument('<name>', 'the function')
    .option('--to <version>', 'the version to go back to', versionNumber)
    .option('-m, --message <text>', 'a message, shown by `concord fn versions`')
    .option('--author <name>', 'the author, shown by `concord fn versions` (default: your user name)')
    .option('--drain', 'drain the instances and start new ones, even if the version could take over in place')
    .option('--no-wait', 'return before it runs')
    .option('--timeout <s>', 'how long to wait until it runs', positiveNumber, 60)
    .printsData()
    .talksToServer()
    .example('concord fn rollback score', "concord fn rollback score --to v3 -m 'too many alarms'")
    .action(rollback)
}

async function versions(name: string, options: ServerOptions): Promise<void> {
  const list = await connect(options).versions(name)
  if (options.json) return await printJson(list)
  const rows = list.map((version) => [
    `v${version.version}`,
    version.notStarting === undefined ? version.state : 'not starting',
    timeText(version.deployedAtMs),
    version.author ?? '-',
    version.bundleSha256.slice(0, 12),
    cut(version.message ?? '', messageShown),
  ])
  await print(table([['VERSION', 'STATE', 'DEPLOYED', 'BY', 'BUNDLE', 'MESSAGE'], ...rows]))
  for (const version of list) for (const line of wordsOn(version)) await print(line)
}

/** What is known about a version besides its state. */
function wordsOn(one: VersionSummary): string[] {
  const { version, reason, untried, failed } = one
  const passed = `${untried === true ? 'became live untried' : `passed${quietText(one)}`}: ${reason}`
  const end = endText(one) ?? (reason === undefined ? undefined : passed)
  const words = end === undefined ? [] : [end]
  if (failed !== undefined) words.push(`had failed ${timeText(failed.atMs)}: ${reasonText(failed)}`)
  return words.map((text) => `v${version} ${text}`)
}

/** Why a version did not stay live; undefined if it did, or was replaced by a later one. */
function endText(one: VersionSummary): string | undefined {
  const { state, by, outcomeAtMs, notStarting } = one
  if (notStarting !== undefined) return `does not start: ${notStarting}`
  if (state === 'failed') return `failed: ${reasonText(one)}`
  if (state === 'shadowed') return `was a shadow: ${reasonText(one)}`
  if (state === 'withdrawn') return `was withdrawn: ${reasonText(one)}`
  if (state !== 'rolledBack') return undefined
  const who = by === undefined ? '' : ` by ${by}`
  const when = outcomeAtMs === undefined ? '' : ` ${timeText(outcomeAtMs)}`
  return `was rolled back${who}${when}: ${reasonText(one)}`
}

function timeText(timeMs: number): string {
  return new Date(timeMs).toISOString()
}

async function diff(name: string, from: number, to: number, options: ServerOptions): Promise<void> {
  const client = connect(options)
  const { codeChanges, fileText } = await import('../text/code-diff.ts')
  const found = await client.diff(name, from, to)
  const files = found.sameCode ? [] : codeChanges(...(await sourcesOfBoth(client, name, from, to)))
  if (options.json) return await printJson({ ...found, files })
  await print(diffText(found))
  for (const file of files) await print(fileText(file))
}

/** The sources if both versions have them, else the bundles of both. */
async function sourcesOfBoth(client: ConcordClient, name: string, from: number, to: number) {
  const [before, after] = await Promise.all([client.sources(name, from), client.sources(name, to)])
  if (before.kind === after.kind) return [before, after] as const
  return await Promise.all([client.sources(name, from, 'bundle'), client.sources(name, to, 'bundle')])
}

function diffText({ name, from, to, sameCode, manifest, assets = [] }: VersionDiff): string {
  const code = sameCode
    ? `code      the same, bundle ${from.bundleSha256.slice(0, 12)}`
    : `code      bundle ${bundleText(from)} → ${bundleText(to)}`
  const lines = manifest.map((change) => `manifest  ${changeText(change)}`)
  return [
    `${name} v${from.version} → v${to.version}`,
    code,
    ...(lines.length === 0 ? ['manifest  the same'] : lines),
    ...assets.map((change) => `asset     ${changeText(change)}`),
  ].join('\n')
}

function bundleText({ bundleSha256, bundleBytes }: VersionDiff['from']): string {
  return `${bundleSha256.slice(0, 12)} (${bytesText(bundleBytes)})`
}

async function rollback(name: string, options: RollbackOptions): Promise<void> {
  const { to, drain = false, message, wait, timeout, json } = options
  const author = options.author ?? userName()
  const client = connect(options)
  const before =
    to === undefined ? await Promise.all([client.inspect(name), client.versions(name)]) : undefined
  const answer = await client.rollback(name, { to, drain, author, message })
  tellOfLeft(answer)
  // If the rollback ends a rollout (`left`), it goes to the good version, and no version lies between.
  if (before !== undefined && answer.left === undefined) tellOfPassed(...before, answer.version)
  if (wait) await untilRunning(client, answer, timeout * 1000)
  if (json) return await printJson(answer)
  const state = !answer.changed ? 'is live already' : wait ? 'is running' : 'will run'
  await print(`${green(`${name} v${answer.version}`)} ${state}.`)
  if (answer.changed && !wait) await tellIfLater(client, name)
  if (answer.changed)
    await print(dim(`'concord fn versions ${name}' shows the version that was rolled back.`))
}

/**
 * Without --to, the target is the last version that ran everywhere and was kept. Newer versions that were not kept
 * are named.
 */
function tellOfPassed(
  { name, version: from }: FunctionDetail,
  list: readonly VersionSummary[],
  to: number,
): void {
  for (const one of list) {
    const { version } = one
    const end = endText(one)
    if (end === undefined || version <= to || version >= from) continue
    note(
      dim(`passed over v${version}, which ${end}; 'concord fn rollback ${name} --to v${version}' goes there`),
    )
  }
}

function reasonText({ reason }: { readonly reason?: string | undefined }): string {
  return reason ?? 'nothing was said'
}
