/**
 * RunnerTask: makes a task of the cluster from a launch: the runner's command and its environment.
 *
 * The environment contains only what the runner needs in order to be reached (docs/design/0003); everything else
 * comes over NATS, so that there is one way for it.
 * @module
 */
import type { NatsTls } from '../infra/bus/index.ts'
import type { Clock } from '../infra/clock.ts'
import type { Config } from '../infra/config/index.ts'
import { programFile } from '../infra/programs.mjs'
import { archiveFolder, checkKey, openArchive, signedPath } from '../infra/runner-archive/index.ts'
import { CodedError } from '../sdk/errors.ts'
import type { Launch } from './core/index.ts'
import type { LaunchOrder } from './engine.ts'
import type { SchedulerErrorCode } from './errors.ts'

export interface RunnerTaskOptions {
  readonly namespace: string
  /** Program and arguments. */
  readonly command: readonly string[]
  /** The URL of the runner's archive; computed for each launch, since it expires. */
  readonly archiveUrl?: (() => string) | undefined
  readonly natsUrl: string
  readonly natsTls?: NatsTls | undefined
  readonly natsUser?: string | undefined
  readonly natsPassword?: string | undefined
  /** The level of the runner's own log; a function's level is in its manifest. */
  readonly logLevel: string
}

/** The runner command of this installation. */
export function ownRunnerCommand(): string[] {
  return [process.execPath, '--disable-warning=ExperimentalWarning', programFile('runner/main.ts')]
}

/** The runner command in an unpacked archive. */
export const archivedRunnerCommand = [`./${archiveFolder}/run`] as const

/**
 * Returns a function that makes the current URL of the archive at a gateway.
 * @throws {CodedError} ERR_RUNNER_ARCHIVE, ERR_SCHEDULER_CONFIG
 */
export async function archiveUrls(settings: Config['runnerArchive'], clock: Clock): Promise<() => string> {
  const { file = '', gatewayUrl, urlSeconds } = settings
  const { name } = await openArchive(file)
  const key = checkKey(settings.key)
  if (!URL.canParse(gatewayUrl)) {
    const text = `Cannot use runnerArchive.gatewayUrl '${gatewayUrl}': expected http://HOST:PORT, as the agents reach a gateway`
    throw new CodedError<SchedulerErrorCode>('ERR_SCHEDULER_CONFIG', text)
  }
  return () => new URL(signedPath(name, key, clock.nowMs(), urlSeconds), gatewayUrl).href
}

/**
 * Parses `scheduler.runnerCommand`: words separated by spaces, or a JSON array of them.
 * @throws {CodedError} ERR_SCHEDULER_CONFIG
 */
export function parseRunnerCommand(text: string): string[] {
  const words = text.trimStart().startsWith('[')
    ? wordsOfJson(text)
    : text.split(/\s+/).filter((word) => word !== '')
  if (words === undefined || words.length === 0) {
    const message = `Cannot read scheduler.runnerCommand '${text}': expected words separated by spaces, or a JSON array of strings`
    throw new CodedError<SchedulerErrorCode>('ERR_SCHEDULER_CONFIG', message)
  }
  return words
}

function wordsOfJson(text: string): string[] | undefined {
  try {
    const parsed = JSON.parse(text) as unknown
    return Array.isArray(parsed) && parsed.every((word) => typeof word === 'string') ? parsed : undefined
  } catch {
    return undefined
  }
}

export function runnerOrder(options: RunnerTaskOptions, launch: Launch, killGraceMs: number): LaunchOrder {
  const { document } = launch
  const [value, ...args] = options.command
  return {
    taskId: document.taskId,
    name: document.name,
    agentId: document.agentId,
    resources: document.resources,
    killGraceMs,
    command: {
      value: value ?? '',
      arguments: args,
      ...(options.archiveUrl === undefined ? {} : { archiveUrl: options.archiveUrl() }),
      environment: {
        CONCORD_TASK_ID: document.taskId,
        CONCORD_NAMESPACE: options.namespace,
        CONCORD_FUNCTION: launch.function,
        CONCORD_NATS_URL: options.natsUrl,
        ...(options.natsUser === undefined ? {} : { CONCORD_NATS_USER: options.natsUser }),
        ...(options.natsPassword === undefined ? {} : { CONCORD_NATS_PASSWORD: options.natsPassword }),
        ...(options.natsTls === undefined ? {} : { CONCORD_NATS_TLS: JSON.stringify(options.natsTls) }),
        CONCORD_MEM_MIB: String(document.resources.memMib),
        ...(document.group === undefined ? {} : { CONCORD_PACKED: '1' }),
        CONCORD_CPUS: String(document.resources.cpus),
        CONCORD_LOG_LEVEL: options.logLevel,
      },
    },
  }
}
