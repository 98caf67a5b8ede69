/**
 * Main: the scheduler process: configuration, connections, leadership, then the scheduler. If any of them ends, the
 * process ends with a message that says which. Tasks continue without it, and the next scheduler takes over.
 *
 * SIGTERM and SIGINT end only this process. SIGUSR2 first drains and ends everything that runs, once this scheduler
 * leads, and says which instances did not end in order: the end of a platform.
 *
 * Exit codes: 0 ended as asked; after an error, those of infra/ending.ts.
 * @module
 */
import { connectBus, type NatsTls, readTls } from '../infra/bus/index.ts'
import { systemClock } from '../infra/clock.ts'
import { type Config, loadConfig } from '../infra/config/index.ts'
import { askedToEnd, exitCodeOf, sayFatal } from '../infra/ending.ts'
import { type Log, makeLog } from '../infra/log.ts'
import { makeRegistry, startMetricsServer } from '../infra/metrics.ts'
import { checkNamespace, openStore } from '../infra/store/index.ts'
import { CodedError } from '../sdk/errors.ts'
import { BusWatch } from './bus-watch.ts'
import type { Resources } from './engine.ts'
import type { SchedulerErrorCode } from './errors.ts'
import { MesosEngine } from './mesos/index.ts'
import {
  archivedRunnerCommand,
  archiveUrls,
  ownRunnerCommand,
  parseRunnerCommand,
  type RunnerTaskOptions,
  runnerOrder,
} from './runner-task.ts'
import { Scheduler } from './scheduler.ts'

const clock = systemClock
const ending = new AbortController()
/** Aborted by the request to end everything, and then this process. */
const emptying = new AbortController()
/** What has to be ended, in reverse order. */
const ends: (() => Promise<unknown> | unknown)[] = []

async function main(): Promise<void> {
  const { values } = loadConfig({ env: process.env })
  const log = makeLog({ name: 'scheduler', level: values.log.level })
  const registry = makeRegistry({ process: 'scheduler', namespace: values.namespace })
  const metrics = await startMetricsServer({ port: values.scheduler.port, registry })
  ends.push(() => metrics.close())
  const tls = await readTls(values.nats)
  const task = await runnerTask(values, tls)
  const store = await openStore(values.store, { log })
  ends.push(() => store.close())
  await checkNamespace(store, values.namespace)
  const { url, user, password } = values.nats
  const nc = await connectBus({
    ...{ name: 'scheduler', url, ...login(user, password), ...(tls && { tls }) },
    onTrouble: (message) => log.warn(message),
  })
  ends.push(() => nc.close())
  const bus = new BusWatch(nc)
  log.info('waits for its turn to lead')
  const where = new URL(metrics.url).origin
  process.stdout.write(`${JSON.stringify({ standby: true, url: where })}\n`)
  const leadership = await store.lead('scheduler', ending.signal)
  ends.push(() => leadership.release())
  await checkNamespace(store, values.namespace) // the store may have been nobody's when the wait began
  log.info({ epoch: leadership.epoch }, 'leads')

  const { promise: failure, reject: failed } = Promise.withResolvers<never>()
  failure.catch(() => {})
  leadership.lost.addEventListener('abort', () => {
    const why = (leadership.lost.reason as Error).message
    if (!ending.signal.aborted)
      failed(new CodedError('ERR_LEADERSHIP_LOST', `The leadership is lost: ${why}. Ending`))
  })
  const scheduler = new Scheduler({
    namespace: values.namespace,
    leadership,
    nc,
    bus,
    makeEngine: (frameworkId) => mesosEngine(values, frameworkId, log),
    quota: quotaOf(values),
    orderOf: (launch, killGraceMs) => runnerOrder(task, launch, killGraceMs),
    registry,
    clock,
    log,
    failed,
  })
  await scheduler.start()
  ends.push(() => scheduler.close())
  process.stdout.write(`${JSON.stringify({ ready: true, url: where })}\n`)
  const emptied = aborted(emptying.signal).then(async () => {
    process.stdout.write(`${JSON.stringify({ stopped: true, ...(await scheduler.empty()) })}\n`)
  })
  await Promise.race([failure, aborted(ending.signal), emptied])
}

function quotaOf({ quota }: Config): Partial<Resources> {
  return Object.fromEntries(Object.entries(quota).filter(([, most]) => most !== undefined))
}

async function runnerTask(values: Config, natsTls: NatsTls | undefined): Promise<RunnerTaskOptions> {
  const { runnerCommand } = values.scheduler
  const isArchived = values.runnerArchive.file !== undefined
  if (isArchived && runnerCommand !== undefined)
    throw new CodedError<SchedulerErrorCode>(
      'ERR_SCHEDULER_CONFIG',
      'Cannot choose a runner: scheduler.runnerCommand and runnerArchive.file are both set. Set one of them',
    )
  const { url, user, password, runnerUser, runnerPassword } = values.nats
  return {
    namespace: values.namespace,
    ...(isArchived
      ? { command: archivedRunnerCommand, archiveUrl: await archiveUrls(values.runnerArchive, clock) }
      : { command: runnerCommand === undefined ? ownRunnerCommand() : parseRunnerCommand(runnerCommand) }),
    natsUrl: url,
    natsTls,
    logLevel: values.log.level,
    ...(runnerUser === undefined
      ? { natsUser: user, natsPassword: password }
      : { natsUser: runnerUser, natsPassword: runnerPassword }),
  }
}

function mesosEngine(values: Config, frameworkId: string | undefined, log: Log): MesosEngine {
  const { url, principal, secret, role, user, onRemoved, failoverTimeoutSeconds } = values.mesos
  return new MesosEngine({
    url,
    role,
    onRemoved,
    failoverTimeoutSeconds,
    clock,
    random: Math.random,
    log,
    ...(user === undefined ? {} : { user }),
    ...(principal === undefined ? {} : { principal }),
    ...(secret === undefined ? {} : { secret }),
    ...(frameworkId === undefined ? {} : { frameworkId }),
  })
}

function login(user: string | undefined, password: string | undefined) {
  return user === undefined ? {} : { user, password: password ?? '' }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** Ends everything that was begun; what does not end by itself ends with the process. */
async function endAll(): Promise<void> {
  const deadline = setTimeout(() => process.exit(), 5_000)
  for (const end of ends.reverse()) await Promise.resolve(end()).catch(() => {})
  clearTimeout(deadline)
}

void askedToEnd().then(() => ending.abort())
process.once('SIGUSR2', () => emptying.abort())
try {
  await main()
} catch (error) {
  if (!ending.signal.aborted) {
    sayFatal('scheduler', error)
    process.exitCode = exitCodeOf(error)
  }
}
await endAll()
process.exit()
