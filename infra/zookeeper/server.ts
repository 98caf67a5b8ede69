/**
 * ZooKeeper servers: real ones, as child processes. They do not notice that we are gone, so whoever may be killed notes
 * them when they are spawned.
 *
 *  ZS1. The answer means that the server serves: it has loaded its data, and in an ensemble follows or leads a quorum.
 *  ZS2. What could not become ready is ended before the error is thrown.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import { infraError } from '../errors.ts'
import { freePorts } from '../free-ports.ts'
import { openLogFile } from '../log-file.ts'

/** Where the distribution's packages put it; the jar names those that it needs beside it. */
const jar = resolve(process.env['CONCORD_ZOOKEEPER_JAR'] ?? '/usr/share/java/zookeeper.jar')
const configFile = 'zoo.cfg'
const startTimeoutMs = 60_000

export interface ZooKeeperOptions {
  /** Holds configuration, data and log; kept over restarts. */
  readonly dir: string
  /** 0 or absent: any free one. */
  readonly port?: number
  /**
   * ZooKeeper's clock. Sessions last from 2 to 20 of them, and the end of one is noticed up to one late.
   * Default: 200, which is for one machine; over a network ZooKeeper's own 2,000 is right.
   */
  readonly tickMs?: number
  /** Called as soon as a process exists, which may be long before it serves. */
  readonly spawned?: ((pid: number) => void) | undefined
}

export interface ZooKeeperServer {
  readonly port: number
  readonly pid: number
  /** `127.0.0.1:PORT` */
  readonly connect: string
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
  stop(signal?: NodeJS.Signals): Promise<void>
}

/** Servers that know of one another, on ports of their own, none of them started yet. */
export interface EnsemblePlan {
  /** All servers, separated by commas. */
  readonly connect: string
  /** Starts one, again too. Of several, one serves once it has found a quorum. */
  start(index: number, spawned?: ZooKeeperOptions['spawned']): Promise<ZooKeeperServer>
}

export interface ZooKeeperEnsemble {
  readonly servers: readonly ZooKeeperServer[]
  /** All servers, separated by commas. */
  readonly connect: string
  /** Starts one again that was stopped. */
  restart(index: number): Promise<void>
  stop(): Promise<void>
}

/** One server alone. @throws {CodedError} ERR_ZOOKEEPER_MISSING, ERR_ZOOKEEPER_FAILED */
export async function startZooKeeper(options: ZooKeeperOptions): Promise<ZooKeeperServer> {
  return launch(options, options.port || (await freePorts(1))[0]!, [])
}

/** Servers that elect one among them. @throws {CodedError} ERR_ZOOKEEPER_MISSING, ERR_ZOOKEEPER_FAILED */
export async function startEnsemble(
  options: Omit<ZooKeeperOptions, 'port'> & { readonly servers: number },
): Promise<ZooKeeperEnsemble> {
  const { connect, start } = await planEnsemble(options)
  const started = await Promise.allSettled(Array.from({ length: options.servers }, (_, at) => start(at)))
  const servers = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  const failed = started.find((result) => result.status === 'rejected')
  if (failed !== undefined) {
    await Promise.all(servers.map((server) => server.stop('SIGKILL')))
    throw failed.reason
  }
  return {
    servers,
    connect,
    async restart(index) {
      servers[index] = await start(index)
    },
    async stop() {
      await Promise.all(servers.map((server) => server.stop()))
    },
  }
}

/** One server, or several that elect one among them. */
export async function planEnsemble(
  options: Omit<ZooKeeperOptions, 'port'> & { readonly servers: number },
): Promise<EnsemblePlan> {
  const count = options.servers
  const ports = await freePorts(3 * count)
  const clientPorts = ports.slice(0, count)
  const members = clientPorts.map(
    (_port, at) => `server.${at + 1}=127.0.0.1:${ports[count + at]}:${ports[2 * count + at]}`,
  )
  const of = count === 1 ? [] : members
  return {
    connect: clientPorts.map((port) => `127.0.0.1:${port}`).join(','),
    start: (at, spawned) =>
      launch(
        { ...options, spawned, dir: join(options.dir, `server-${at + 1}`) },
        clientPorts[at]!,
        of,
        at + 1,
      ),
  }
}

async function launch(
  { dir, tickMs = 200, spawned }: ZooKeeperOptions,
  port: number,
  members: readonly string[],
  id = 0,
): Promise<ZooKeeperServer> {
  await mkdir(join(dir, 'data'), { recursive: true, mode: 0o700 })
  const config = {
    tickTime: tickMs,
    initLimit: 10,
    syncLimit: 10,
    dataDir: './data', // Java reads the file as Latin-1, so it can name no folder beyond that
    clientPort: port,
    clientPortAddress: '127.0.0.1',
    'admin.enableServer': false,
    '4lw.commands.whitelist': 'srvr',
    maxClientCnxns: 0,
  }
  const lines = [...Object.entries(config).map(([key, value]) => `${key}=${value}`), ...members]
  await writeFile(join(dir, configFile), `${lines.join('\n')}\n`, { mode: 0o600 })
  if (id > 0) await writeFile(join(dir, 'data', 'myid'), `${id}\n`)
  const logFile = join(dir, 'zookeeper.log')
  const child = await spawnJava(dir, logFile)
  spawned?.(child.pid!)
  if (!(await serves(child, port))) {
    await stop(child, 'SIGKILL') // ZS2
    const last = (await readFile(logFile, 'utf8')).trim().split('\n').at(-1)
    throw infraError(
      'ERR_ZOOKEEPER_FAILED',
      `Cannot start ZooKeeper: ${last || 'it said nothing'} (see ${logFile})`,
    )
  }
  return {
    port,
    pid: child.pid!,
    exited: endOf(child),
    connect: `127.0.0.1:${port}`,
    stop: (signal = 'SIGTERM') => stop(child, signal),
  }
}

async function spawnJava(dir: string, logFile: string): Promise<ChildProcess> {
  const options = [
    ...['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto'], // a small server that starts soon
    '-Dzookeeper.forceSync=no', // a test's data need not outlive the machine
    '-Djava.net.preferIPv4Stack=true',
    // A server that finds no quorum asks the others less and less often, in the end once a minute.
    '-Dzookeeper.fastleader.maxNotificationInterval=1000',
  ]
  const main = 'org.apache.zookeeper.server.quorum.QuorumPeerMain'
  const log = openLogFile(logFile)
  const child = spawn('java', [...options, '-cp', jar, main, configFile], {
    cwd: dir,
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  const missing = await once(child, 'spawn').then(
    () => (existsSync(jar) ? undefined : jar),
    () => 'java',
  )
  if (missing === undefined) return child
  child.kill('SIGKILL')
  throw infraError(
    'ERR_ZOOKEEPER_MISSING',
    `Cannot start ZooKeeper: ${missing} was not found. Install it ('apt-get install zookeeper default-jre-headless')`,
  )
}

/** Asks until the server says that it serves. */
async function serves(child: ChildProcess, port: number): Promise<boolean> {
  const deadlineMs = performance.now() + startTimeoutMs
  while (performance.now() < deadlineMs && !hasEnded(child)) {
    if (/^Mode: /m.test(await ask(port, 'srvr'))) return true
    await setTimeout(20)
  }
  return false
}

/** A "four letter word", and what is answered. */
async function ask(port: number, word: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.setTimeout(2_000, () => socket.destroy())
  socket.end(word)
  return await text(socket).catch(() => '')
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (hasEnded(child)) return
  const exited = once(child, 'exit')
  child.kill(signal)
  child.kill('SIGCONT') // one that was stopped does not end by SIGTERM
  await exited
}

async function endOf(child: ChildProcess): Promise<Awaited<ZooKeeperServer['exited']>> {
  if (!hasEnded(child)) await once(child, 'exit')
  return { code: child.exitCode, signal: child.signalCode }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}
