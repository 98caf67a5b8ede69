/**
 * concord up: starts the one-machine platform, in the foreground or detached.
 *
 *   U1. In the foreground, Ctrl-C stops the whole platform and waits until it has stopped. If this command is killed,
 *       its end of the supervisor's standard input closes, and the supervisor stops the platform.
 *   U2. Detached, the command returns when the platform is ready, or with the reason why it is not. Interrupted before that, it stops
 *       what it has started.
 * @module
 */
import type { ChildProcess } from 'node:child_process'
import { closeSync, fstatSync, openSync, readFileSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { Option } from 'commander'
import { linesOf } from '../../client/index.ts'
import { CodedError } from '../../errors.ts'
import { makeFolder } from '../../folder.ts'
import type { CliCommand, CommonOptions, Installation } from '../command.ts'
import { homeFolder } from '../connection.ts'
import type { CliErrorCode } from '../errors.ts'
import { portNumber } from '../numbers.ts'
import { askPlatform, exitOf, lastLineOf, platformError, spawnPlatform, warningsIn } from '../platform.ts'
import { bold, lostText, note, Progress, print, printJson, type Stopped } from '../terminal.ts'

export interface UpOptions extends CommonOptions {
  readonly detach?: true
  readonly home?: string
  readonly gatewayPort?: number
  readonly natsPort?: number
  readonly mesosPort?: number
  readonly ports?: string
  /** Options of `concord cluster up`. */
  readonly agents?: number
  readonly schedulers?: number
  readonly zookeeper?: number
  readonly nats?: number
  readonly masters?: number
}

interface Ready {
  readonly ready: true
  readonly url: string
}

const script = 'infra/local/up.ts'
/** What a disk must have free so that a line can be written: files grow by blocks. */
const lineBytes = 64 * 1024

export function addUp(program: CliCommand, installation: Installation): void {
  program
    .command('up')
    .summary('Start the platform on this machine.')
    .description('Start the platform on this machine: NATS, a one-machine cluster, scheduler and gateway.')
    .option('-d, --detach', 'run in the background and return when it is ready; `concord down` stops it')
    .option('--home <folder>', 'state folder (default: CONCORD_HOME, else ~/.concord)')
    .option('--gateway-port <port>', 'port of the gateway', portNumber)
    .option('--nats-port <port>', 'port of nats-server', portNumber)
    .option('--mesos-port <port>', 'port of the cluster engine', portNumber)
    .addOption(portsOption())
    .printsData('what is ready, and where, as one JSON line')
    .example('concord up', 'concord up --detach', 'concord up --home /tmp/try --ports free')
    .action((options: UpOptions) => up(installation, options))
}

/** An option of all commands that start a platform. */
export function portsOption(): Option {
  return new Option('--ports <which>', "'free': use any free ports, and the same ones next time").choices([
    'free',
  ])
}

export async function up(installation: Installation, options: UpOptions): Promise<void> {
  const { masters = 1, zookeeper } = options
  if (masters > 1 && zookeeper === undefined) {
    const text = `Cannot start: --masters ${masters} takes --zookeeper too: that is where masters elect one of them`
    throw new CodedError<CliErrorCode>('ERR_USAGE', text)
  }
  // The set-up may compile for half a minute, so options are checked first.
  if (purposeOf(options) === 'cluster')
    await askPlatform(installation, 'infra/local/may-start.ts', ['--home', homeFolder(options)])
  await (options.detach ? detached(installation, options) : foreground(installation, options))
}

async function foreground(installation: Installation, options: UpOptions): Promise<void> {
  const startedMs = performance.now()
  const waiting = new Progress()
  waiting.update(() => 'Starting the platform …')
  const asked = handOn(['SIGINT', 'SIGTERM', 'SIGHUP'], () => child, waiting)
  const child = spawnPlatform(installation, script, {
    args: supervisorArgs(options),
    purpose: purposeOf(options),
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { CONCORD_PARENT: 'stdin' },
  })
  const told = tell(child, waiting, options)
  const exited = exitOf(child)
  const ready = await readyLine(child)
  if (!asked.aborted) waiting.clear()
  if (ready !== undefined && !asked.aborted) await report(ready, startedMs, options)
  const [code, stopped = {}] = await Promise.all([exited, stoppedLine(child), told])
  waiting.clear()
  const again = `'${commandOf(options)} up${whereOf(options)}' brings it back`
  const kept = `What you deployed is kept: ${again}.`
  if (ready === undefined && asked.aborted) return note(`${unready}. ${kept}`)
  if (code !== 0) {
    const what = ready === undefined ? 'The platform was not started' : 'The platform ended'
    throw platformError(`${what}; it says why above`, code)
  }
  if (ready === undefined || options.json) return
  note(`Concord is down.${lostText(stopped)} ${kept}`)
}

async function detached(installation: Installation, options: UpOptions): Promise<void> {
  const startedMs = performance.now()
  const logs = join(homeFolder(options), 'logs')
  makeFolder(logs, 0o700)
  const logPath = join(logs, 'up.log')
  const log = openSync(logPath, 'a', 0o600)
  const logStart = fstatSync(log).size
  const waiting = new Progress()
  waiting.update(() => `Starting the platform … (log: ${logPath})`)
  const asked = handOn(['SIGINT', 'SIGTERM'], () => child, waiting)
  const child = spawnPlatform(installation, script, {
    args: supervisorArgs(options),
    purpose: purposeOf(options),
    stdio: ['ignore', 'pipe', log],
  })
  closeSync(log)
  const exited = exitOf(child)
  const ready = await readyLine(child)
  if (asked.aborted) await exited
  waiting.clear()
  if (asked.aborted) throw platformError(unready, 1)
  if (ready === undefined) throw notStarted(logPath, logStart, await exited)
  const warned = warningsIn(saidSince(logPath, logStart))
  if (warned !== '') note(warned)
  await report(ready, startedMs, options)
  child.unref()
  child.stdout?.destroy()
}

const unready = 'The platform was not started: it was told to stop before it was ready'

/**
 * Hands signals on to the supervisor, which stops what it has started.
 * @param child Started afterwards, so that no signal ends this command alone.
 * @returns Aborted by the first of them.
 */
function handOn(
  signals: readonly NodeJS.Signals[],
  child: () => ChildProcess,
  waiting: Progress,
): AbortSignal {
  const asked = new AbortController()
  for (const signal of signals)
    process.on(signal, () => {
      asked.abort()
      child().kill('SIGTERM')
      waiting.update(() => 'Stopping the platform …')
    })
  return asked.signal
}

function purposeOf({ zookeeper }: UpOptions): 'platform' | 'cluster' {
  return zookeeper === undefined ? 'platform' : 'cluster'
}

function supervisorArgs(options: UpOptions): string[] {
  const { gatewayPort, natsPort, mesosPort, ports, agents, schedulers, zookeeper, nats, masters } = options
  const flags = {
    home: homeFolder(options),
    'gateway-port': gatewayPort,
    'nats-port': natsPort,
    'mesos-port': mesosPort,
    ports,
    ...{ agents, schedulers, zookeeper, nats, masters },
  }
  return Object.entries(flags).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, String(value)],
  )
}

/** The one line of JSON that the supervisor prints; undefined if its output ended without one. */
async function readyLine(child: ChildProcess): Promise<Ready | undefined> {
  for await (const line of linesOf(keptOpen(child.stdout!))) {
    if (line.startsWith('{"ready":true')) return JSON.parse(line) as Ready
  }
  return undefined
}

/** What the supervisor says when it ends. */
async function stoppedLine(child: ChildProcess): Promise<Stopped | undefined> {
  for await (const line of linesOf(keptOpen(child.stdout!))) {
    if (line.startsWith('{"stopped":true')) return JSON.parse(line) as Stopped
  }
  return undefined
}

/** Tells what the supervisor says, as text: of its log what went wrong, and if asked where. */
async function tell(child: ChildProcess, waiting: Progress, { verbose }: UpOptions): Promise<void> {
  for await (const line of linesOf(keptOpen(child.stderr!))) {
    const said = line.startsWith('{"level":') ? wrongIn(line, verbose) : line
    if (said === undefined) continue
    waiting.clear()
    note(said)
  }
}

function wrongIn(logged: string, verbose = false): string | undefined {
  const { level, time: _, pid: _pid, hostname: _host, name: _name, msg, ...more } = JSON.parse(logged)
  if (level === 'info') return verbose ? more.stack : undefined
  return `${level}: ${msg}${Object.keys(more).length === 0 ? '' : ` ${JSON.stringify(more)}`}`
}

/** Yields the chunks of a stream, and leaves it open when the reader stops: the supervisor may still write. */
function keptOpen(stream: Readable): AsyncIterable<Uint8Array> {
  return stream.iterator({ destroyOnReturn: false })
}

/** The command that starts and stops this platform. */
function commandOf({ agents }: UpOptions): string {
  return agents === undefined ? 'concord' : 'concord cluster'
}

async function report(ready: Ready, startedMs: number, options: UpOptions): Promise<void> {
  if (options.json) return await printJson(ready)
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  await print(`Concord is up at ${bold(ready.url)} (${seconds} s).`)
  note(nextText(options))
}

/** A platform with a folder of its own is found only by commands that name the folder. */
function whereOf({ home }: UpOptions): string {
  return home === undefined ? '' : ` --home ${home}`
}

export function nextText(options: UpOptions): string {
  const where = whereOf(options)
  const stop = options.detach ? `'${commandOf(options)} down${where}'` : 'Ctrl-C'
  return `${stop} stops it. Next: 'concord init NAME' creates a function, 'concord fn deploy .${where}' runs it.`
}

/** Whether there was no room for a line that says why. */
function isFull(path: string): boolean {
  const { bavail, bsize } = statfsSync(path)
  return bavail * bsize < lineBytes
}

function saidSince(path: string, start: number): string {
  return readFileSync(path).subarray(start).toString('utf8')
}

/** The supervisor's last line since `start` is its error, which says what was attempted and what to do. */
function notStarted(path: string, start: number, code: number): CodedError<CliErrorCode> {
  const said = saidSince(path, start)
  const line = lastLineOf(said)
  if (line !== '') return platformError(line, code, said)
  const why = isFull(path)
    ? `the disk of ${path} is full. Make room for it`
    : `it ended without a word; see ${path}`
  return platformError(`Cannot start the platform: ${why}`, code)
}
