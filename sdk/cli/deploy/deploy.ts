/**
 * Deploy: the steps from a project to running instances. Each is shown with its duration.
 *
 *   read the project → bundle → assets, if there are any → upload → start (wait until all wanted instances run the
 *   version)
 *
 * On request, a last step waits for the first record that the version sends.
 *
 *   D1. An instance that fails while it starts ends the wait at once, with the function's error.
 *   D2. Durations are counted from the start of this process: that is how long the author waits.
 * @module
 */
import { basename } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type {
  DeployAnswer,
  DeploySettings,
  FunctionDetail,
  Instance,
  VersionSummary,
} from '../../api/index.ts'
import { isAway } from '../../client/away.ts'
import { type ConcordClient, type Deployment, isRecord } from '../../client/index.ts'
import { CodedError } from '../../errors.ts'
import type { Installation } from '../command.ts'
import type { CliErrorCode } from '../errors.ts'
import { assetFilesIn, assetFilesOf, uploadAssets } from '../project/assets.ts'
import type { Project } from '../project/project-shape.ts'
import { bytesText, dim, note } from '../terminal.ts'
import { absentText } from '../text/absent-text.ts'
import { gateText } from '../text/gate-text.ts'
import { lateText } from '../text/late-text.ts'
import { olderText } from '../text/older-text.ts'
import { placeText } from '../text/place-text.ts'
import { throughGate } from './gate.ts'
import { tellOfChanges, tellOfWaiting } from './remarks.ts'
import { Waves } from './rolling.ts'

export interface DeployOptions {
  readonly wait: boolean
  readonly untilOutput: boolean
  readonly settings: DeploySettings
  /** Files to deploy as assets, besides those of the project. */
  readonly assets: readonly string[]
  readonly timeoutMs: number
}

export interface Deployed extends DeployAnswer {
  readonly instancesRunning: number
  /** The share of the keys that it has, in percent; absent if it is no canary. */
  readonly canaryPercent?: number
  /** It runs as a shadow: it gets copies of all records. */
  readonly isShadow?: true
  /** The duration of each step, in order. */
  readonly stepsMs: Readonly<Record<string, number>>
  /** The duration of all of it (D2). */
  readonly totalMs: number
}

export async function deployProject(
  installation: Installation,
  client: ConcordClient,
  readProject: () => Promise<Project>,
  { wait, untilOutput, timeoutMs, assets: more, settings }: DeployOptions,
): Promise<Deployed> {
  const steps = new Steps()
  const deployment = await prepare(installation, client, readProject, more, steps)
  const answer = await throughGate(
    (isAccepted) => client.deploy({ ...deployment, ...settings, accept: isAccepted || undefined }),
    settings.accept ?? false,
  )
  steps.done('upload', `${answer.name} v${answer.version}${answer.changed ? '' : ', unchanged'}`)
  tellWhenInterrupted(answer)
  tellOfLeft(answer)
  tellOfMigrate(answer)
  tellOfResources(answer)
  tellOfChanges(answer)
  if (answer.gate !== undefined) note(gateText(answer.gate, `v${answer.version}`))
  const listening = new AbortController()
  const output = untilOutput ? firstOutput(client, answer, timeoutMs, listening) : undefined
  output?.catch(() => {}) // if the function does not run, that is the error to report
  const waves = new Waves((wave, text) => steps.done(wave, text))
  const stopListening = async (error: unknown): Promise<never> => {
    listening.abort()
    if (!(error instanceof CodedError && isAway(error)))
      await tellOfWaiting(client, answer.name).catch(() => undefined) // the error is what matters
    throw error
  }
  const detail =
    wait || untilOutput
      ? await untilRunning(client, answer, timeoutMs, waves).catch(stopListening)
      : undefined
  const instancesRunning = detail?.instancesRunning ?? 0
  const percent = detail?.canary?.version === answer.version ? detail.canary.percent : undefined
  const shadow = shadowIn(detail, answer.version)
  if (percent !== undefined) steps.done('canary', `${percent} % of the keys`)
  else if (shadow !== undefined) steps.done('shadow', shadow)
  else if (detail) steps.done('start', `${instancesRunning} of ${detail.instancesWanted} instances running`)
  if (detail && answer.changed && percent === undefined && shadow === undefined)
    tellOfUntried(detail, answer.version)
  if (detail) tellOfCount(detail, settings.instances)
  if (detail) tellOfUncalled(detail, answer.version)
  if (output) {
    const streams = detail?.ostreams.join(', ') || 'any stream'
    note(dim(`waiting for the first record on ${streams}, at most ${timeoutMs / 1000} s`))
    steps.done('output', `first record of ${await output}`)
  }
  return {
    ...answer,
    instancesRunning,
    ...(percent !== undefined && { canaryPercent: percent }),
    ...(shadow !== undefined && { isShadow: true }),
    stepsMs: steps.ms,
    totalMs: Math.round(performance.now()),
  }
}

/** On Ctrl-C during the wait, says that the version is deployed all the same. */
function tellWhenInterrupted({ name, version }: DeployAnswer): void {
  process.once('SIGINT', () => {
    note(
      `interrupted: ${name} v${version} is deployed all the same; 'concord fn inspect ${name}' shows how it does`,
    )
    process.exit(130)
  })
}

/** Lets the gate judge what `deployProject` would send, beside the live version, and deploys nothing. */
export async function dryRun(
  installation: Installation,
  client: ConcordClient,
  readProject: () => Promise<Project>,
  { assets, settings }: Pick<DeployOptions, 'assets' | 'settings'>,
): Promise<DeployAnswer> {
  const steps = new Steps()
  const deployment = await prepare(installation, client, readProject, assets, steps)
  const answer = await client.deploy({ ...deployment, ...settings, dryRun: true })
  steps.done('judge', answer.name)
  tellOfResources(answer)
  tellOfChanges(answer)
  return answer
}

/** The parts of a deploy that are judged: code, manifest and assets. Who deploys and why is added later. */
async function prepare(
  installation: Installation,
  client: ConcordClient,
  readProject: () => Promise<Project>,
  more: readonly string[],
  steps: Steps,
): Promise<Deployment> {
  const project = await readProject()
  steps.done('read', basename(project.entry))
  const { bundleProject } = await import('../project/bundle.ts')
  const { code, sourceMap, alone, absent } = await bundleProject(installation, project)
  steps.done('bundle', bytesText(Buffer.byteLength(code)))
  for (const use of absent) note(`        ${absentText(use)}`)
  const assets = await sendAssets(client, project, more, steps)
  return { manifest: project.manifest, assets, ...(alone ?? { bundle: code, sourceMap }) }
}

/** The state of a version as a shadow; undefined if it is none. */
function shadowIn(detail: FunctionDetail | undefined, version: number): string | undefined {
  if (detail === undefined) return undefined
  if (detail.version !== version) return 'over already'
  const { shadow } = detail
  return shadow && `beside v${shadow.from} in ${shadow.instances} of ${shadow.instancesOf} instances`
}

async function sendAssets(
  client: ConcordClient,
  project: Project,
  more: readonly string[],
  steps: Steps,
): Promise<Readonly<Record<string, string>>> {
  const files = new Map([...assetFilesIn(project.assets), ...assetFilesOf(more)])
  if (files.size === 0) return {}
  const { names, sentBytes } = await uploadAssets(client, files)
  steps.done('assets', `${files.size}, ${sentBytes === 0 ? 'all there' : `${bytesText(sentBytes)} sent`}`)
  return names
}

/** Says that this deploy ended the rollout of another version: somebody may be waiting for it. */
export function tellOfLeft({ left, version }: DeployAnswer): void {
  if (left !== undefined) note(`        v${left.version} ${left.how}: v${version} replaces it`)
}

/** Says what a `migrate` means for a rollback, and that it may be given state that it has made itself. */
function tellOfMigrate({ migrates, migratesAfter, version }: DeployAnswer): void {
  if (migrates === true)
    note(
      `        v${version} has a migrate: a rollback before it is live loses its changes of state, and after that there is no rollback. Take it out if you do not need it`,
    )
  if (migratesAfter === undefined) return
  const advice = 'it must leave alone what has its format already'
  note(`        v${version} has a migrate, which also gets the state that v${migratesAfter} wrote: ${advice}`)
}

const unitOf = { cpus: 'cpus', memMib: 'MiB of memory', diskMib: 'MiB of disk' } as const
const flagOf = { cpus: '--cpus', memMib: '--mem', diskMib: undefined } as const

/** The same for the sizes of instances. */
function tellOfResources({ name, byHand = [] }: DeployAnswer): void {
  for (const { what, is, manifest } of byHand) {
    const flag = flagOf[what]
    const change = flag === undefined ? '' : `: 'concord fn scale ${name} ${flag} ${manifest}' changes that`
    note(
      dim(`        ${is} ${unitOf[what]} stay, set by hand, instead of ${manifest} in the manifest${change}`),
    )
  }
}

/** Says that the number of instances is not the one that was asked for: one set by hand, or a policy, decides. */
function tellOfCount({ name, instancesWanted, manifest }: FunctionDetail, said?: number): void {
  const asked = said ?? (manifest.scale === undefined ? manifest.instances : instancesWanted)
  if (asked === instancesWanted) return
  const where = said === undefined ? ' in the manifest' : ''
  const change = `'concord fn scale ${name} ${asked}' changes that`
  note(dim(`        instances stay at ${instancesWanted}, instead of ${asked}${where}: ${change}`))
}

class Steps {
  readonly ms: Record<string, number> = {}
  #lastMs = 0

  done(name: string, what: string): void {
    const nowMs = performance.now()
    this.ms[name] = Math.round(nowMs - this.#lastMs)
    this.#lastMs = nowMs
    note(`${name.padEnd(7)} ${what.padEnd(32)} ${dim(`${this.ms[name]} ms`)}`)
  }
}

/**
 * Waits for a record on any output stream of a function. @param done Ends the wait. @returns The name of the stream.
 */
async function firstOutput(
  client: ConcordClient,
  { name, version }: DeployAnswer,
  timeoutMs: number,
  done: AbortController,
): Promise<string> {
  const { ostreams } = await client.inspect(name)
  const timer = setTimeout(() => done.abort(), timeoutMs)
  try {
    return await Promise.any(ostreams.map((stream) => firstRecord(client, stream, done.signal)))
  } catch (cause) {
    const text = `${name} v${version} runs, but nothing came out of it on ${ostreams.join(', ') || 'any stream'} in ${timeoutMs / 1000} s: send it a record; 'concord fn logs ${name}' shows what it did`
    throw new CodedError<CliErrorCode>('ERR_WAIT_TIMED_OUT', text, { cause })
  } finally {
    clearTimeout(timer)
    done.abort()
  }
}

async function firstRecord(client: ConcordClient, stream: string, signal: AbortSignal): Promise<string> {
  for await (const line of client.follow(stream, { signal })) if (isRecord(line)) return stream
  throw new CodedError<CliErrorCode>(
    'ERR_STREAM_ENDED',
    `The server ended stream '${stream}' before its first record`,
  )
}

const pollMinMs = 20
const pollMaxMs = 250

/**
 * Waits until all wanted instances run a version, or run it beside the live one as a canary or a shadow.
 * @param timeoutMs For a rolling deploy: the limit for each wave.
 * @throws {CodedError} Why it does not run, or that it was rolled back.
 */
export async function untilRunning(
  client: ConcordClient,
  { name, version }: Pick<DeployAnswer, 'name' | 'version'>,
  timeoutMs: number,
  waves?: Waves,
): Promise<FunctionDetail> {
  let deadlineMs = performance.now() + timeoutMs
  let wave = 0
  for (let pollMs = pollMinMs; ; pollMs = Math.min(pollMs * 1.3, pollMaxMs)) {
    const detail = await client.inspect(name)
    if (detail.version !== version) {
      const ours = (await client.versions(name)).find((one) => one.version === version)
      if (ours?.state === 'shadowed') return detail
      throw replacedError(ours, name, version, detail.version)
    }
    if (detail.canary?.version === version) return detail
    if (detail.shadow?.version === version) {
      const { instances, instancesOf } = detail.shadow
      if (instances >= instancesOf) return detail
      if (performance.now() > deadlineMs) throw waitError(detail, version, instances, timeoutMs)
      await sleep(pollMs)
      continue
    }
    const rolling = detail.rolling?.version === version ? detail.rolling : undefined
    if (rolling !== undefined && rolling.wave !== wave) {
      wave = rolling.wave
      deadlineMs = performance.now() + timeoutMs
      waves?.see(rolling)
    }
    const ours = detail.instances.filter((instance) => instance.version === version)
    const running = ours.filter(({ state }) => state === 'running')
    if (detail.version === version && running.length >= detail.instancesWanted) return detail
    // An instance that ends during a rolling deploy is started again. If the version is at fault, all instances go
    // back (see above).
    const failed = rolling === undefined ? ours.find(hasFailed) : undefined
    if (failed) throw await startError(client, name, version, failed)
    if (performance.now() > deadlineMs) throw waitError(detail, version, running.length, timeoutMs)
    await sleep(pollMs)
  }
}

/** The error if the scheduler has gone back to the version before, or somebody wants another one. */
function replacedError(
  ours: VersionSummary | undefined,
  name: string,
  version: number,
  by: number,
): CodedError<CliErrorCode> {
  if (ours?.state !== 'failed') return superseded(name, version, by)
  const text = `${name} v${version} has failed, v${by} runs as before: ${ours.reason ?? 'nothing was said'}`
  return new CodedError('ERR_FUNCTION_FAILED', text)
}

function hasFailed({ state, lastExit }: Instance): boolean {
  return (state === 'backingOff' || state === 'crashLooping') && lastExit?.code !== 0
}

/** Exit reasons that lie in the function's own code (infra/control/messages/exit-codes.ts). */
const functionsFault = /^(functionFailed|initFailed|bundle|memory|deadline)$/

async function startError(
  client: ConcordClient,
  name: string,
  version: number,
  { id, lastExit, lastError }: Instance,
): Promise<CodedError<CliErrorCode>> {
  const reason = lastExit?.reason ?? 'unknown'
  const said = lastError
    ? `${lastError.name}: ${lastError.message}${placeText(lastError)}`
    : (lastExit?.message ?? 'nothing was said')
  const code = functionsFault.test(reason) ? 'ERR_FUNCTION_FAILED' : 'ERR_FUNCTION_NOT_RUNNING'
  const { rollbackTo } = await client.why(name).catch((): { rollbackTo?: number } => ({}))
  const back = rollbackTo === undefined ? '' : `, 'concord fn rollback ${name}' goes back to v${rollbackTo}`
  const text = `${name} v${version} does not run: ${id} ended (${reason}): ${said}; 'concord fn inspect ${name}' shows more${back}`
  return new CodedError(code, text)
}

function waitError(
  detail: FunctionDetail,
  version: number,
  running: number,
  timeoutMs: number,
): CodedError<CliErrorCode> {
  const reason = trialText(detail, version) ?? whyOf(detail, version) ?? `it is ${detail.state}`
  const why = lateText(detail, reason)
  const isPossible = version > 1 && detail.noScheduler === undefined // else it would change nothing either
  const goesBack = isPossible ? ` ('concord fn rollback ${detail.name}' goes back)` : ''
  const text = `${detail.name} v${version} is deployed, but ${running} of ${detail.instancesWanted} instances run it after ${timeoutMs / 1000} s${olderText(detail, version)}: ${why}${goesBack}`
  return new CodedError('ERR_WAIT_TIMED_OUT', text)
}

/** Why an instance does not run: one of the version, if one of them says so, since one of another may only wait for it. */
export function whyOf({ instances }: FunctionDetail, version: number): string | undefined {
  const waiting = instances.filter(({ why }) => why !== undefined)
  return (waiting.find((one) => one.version === version) ?? waiting[0])?.why
}

/** How far a version on trial has come; undefined if it is not on trial. */
function trialText({ instances, manifest: { trial } }: FunctionDetail, version: number): string | undefined {
  const swaps = instances.flatMap(({ swap }) =>
    swap?.version === version && swap.state === 'onTrial' ? [swap.records ?? 0] : [],
  )
  if (swaps.length === 0) return undefined
  return `it is on trial: ${Math.min(...swaps)} of ${trial.records} records so far, for ${trial.ms / 1000} s at most (trial)`
}

/** Says that a version passed its trial only because no record came. */
function tellOfUntried({ name, instances, manifest }: FunctionDetail, version: number): void {
  const tried = instances.flatMap((one) => (one.tried?.version === version ? [one.tried.records] : []))
  if (tried.length === 0 || tried.some((records) => records > 0)) return
  const { trial } = manifest
  if (trial.records === 0 || trial.ms === 0) return
  note(
    `        v${version} is untried: no record came while it was on trial (${trial.ms / 1000} s); 'concord fn rollback ${name}' goes back`,
  )
}

/** Says that nothing will call a version without inputs: timers are set by records. */
function tellOfUncalled({ istreams }: FunctionDetail, version: number): void {
  if (istreams.length > 0) return
  const text = `v${version} reads no stream, so no record and no timer ever comes to it: name its inputs in metadata.istreams`
  note(`        ${text}`)
}

function superseded(name: string, version: number, by: number): CodedError<CliErrorCode> {
  return new CodedError(
    'ERR_SUPERSEDED',
    `${name} v${version} was replaced by v${by} before it ran: somebody else deployed meanwhile`,
  )
}
