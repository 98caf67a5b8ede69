/**
 * NatsServer: starts a nats-server that outlives its starter, and finds a running one again.
 *
 * Owns its folder: `nats-server.conf` (0600, passwords), `data/`, `server.json` (the process that runs, or ran last),
 * `nats-server.log`.
 *
 * Invariants:
 *   N1. At most one server runs on a folder: a running one is adopted, or ended before another starts.
 *   N2. When the call returns, the server accepts connections and is ours.
 *   N3. A server that does not become ready is ended before the error is thrown.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, fstatSync } from 'node:fs'
import { mkdir, readdir, readFile, realpath, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { infraError } from '../errors.ts'
import { openLogFile } from '../log-file.ts'
import { writePrivate } from '../private-file.ts'
import { endProcess, isAlive, type ProcessId, processId, processWith } from '../process.ts'
import { withTimerSlack } from '../timer-slack.ts'
import { type NatsConfig, natsConfigText, serverNameOf } from './config-file.ts'

export interface NatsServerOptions extends Omit<NatsConfig, 'name'> {
  /** The program; default `nats-server` of the PATH. */
  readonly command?: string | undefined
  /** Default: `nats-server.log` in `dir`. */
  readonly logFile?: string | undefined
}

export interface NatsServer {
  readonly url: string
  readonly pid: number
  readonly port: number
  /** It was running already. */
  readonly adopted: boolean
  /**
   * Resolves when the process has ended, for any reason. An adopted process is not our child, so its code is unknown.
   */
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
  /** Ends it and waits; SIGTERM is followed by SIGKILL after 5 s. Its data stay. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

/** `server.json`. */
interface Running extends ProcessId {
  /** 0: not known yet. */
  readonly port: number
  /** Of its configuration without the port, and without the size of the disk, which may vary; empty: not known. */
  readonly configSha256: string
}

/**
 * How much the server's heap may grow between collections, in per cent of the live part. It allocates every incoming
 * message in pieces; at Go's default of 100, collecting takes 40 % of its CPU under full load (1.03 instead of 0.62
 * µs a record).
 */
const garbagePercent = '400'
/**
 * Threads that run its code at a time: it shares the machine with runners, and Go's threads that look for work on each core take CPU from
 * them. On two cores, under full load: 0.36 instead of 0.51 µs a record, and 12 % more records a second.
 */
const threads = String(Math.max(1, Math.floor(availableParallelism() / 2)))
/**
 * How late its threads may wake from a short sleep, in ns. Go's monitor thread sleeps for 20 µs at a time while there is work: with
 * the kernel's default of 50 µs more it wakes 4,000 times a second, and takes a quarter of the server's CPU. In return, if one of its few
 * threads waits for the disk, another one goes on after 1 ms instead of 0.07.
 */
const timerSlackNs = 1_000_000
const startTimeoutMs = 60_000
const stopGraceMs = 5_000

/**
 * Starts nats-server on `dir`, or adopts the one that runs there with the same configuration.
 * @throws {CodedError} ERR_NATS_SERVER_MISSING, ERR_PORT_TAKEN, ERR_NATS_SERVER_FAILED
 */
export async function startNatsServer(options: NatsServerOptions): Promise<NatsServer> {
  await mkdir(options.dir, { recursive: true, mode: 0o700 })
  const dir = await realpath(options.dir)
  const name = serverNameOf(dir, await readFile(configFile(dir), 'utf8').catch(() => ''))
  const config = { ...options, dir, name }
  const configSha256 = createHash('sha256')
    .update(natsConfigText({ ...config, port: 0, storeBytesMax: undefined }))
    .digest('hex')
  const living = await findNatsServer(dir)
  if (living !== undefined) {
    const asWanted = living.configSha256 === configSha256 && [0, living.port].includes(options.port)
    const awake = await answers(living.port, name)
    if (asWanted && awake) return handle(living, undefined)
    const hangs = living.port !== 0 && !awake
    await endProcess(living, hangs ? 0 : stopGraceMs) // N1
  }
  return launch(config, configSha256)
}

/** Ends the server that runs on `dir`, whoever started it. @returns Whether there was one. */
export async function endNatsServer(dir: string): Promise<boolean> {
  const living = await findNatsServer(dir)
  return living !== undefined && (await endProcess(living, stopGraceMs)) !== undefined
}

/** Whether a server runs on `dir`, whoever started it. */
export async function runsNatsServer(dir: string): Promise<boolean> {
  return (await findNatsServer(dir)) !== undefined
}

async function findNatsServer(dir: string): Promise<Running | undefined> {
  const text = await readFile(runningFile(dir), 'utf8').catch(() => '')
  try {
    const running = JSON.parse(text) as Running
    if (isAlive(running)) return running
  } catch {} // absent, or damaged by a power cut
  // Its starter may have been killed before it could note it.
  const id = processWith(argumentsOf(await realpath(dir).catch(() => dir)))
  return id && { ...id, port: 0, configSha256: '' }
}

function argumentsOf(dir: string): string[] {
  return ['-c', configFile(dir)]
}

async function launch(options: NatsServerOptions & NatsConfig, configSha256: string): Promise<NatsServer> {
  const { dir } = options
  await writePrivate(configFile(dir), natsConfigText(options))
  for (const name of await portsFiles(dir)) await rm(join(dir, name))
  const logFile = options.logFile ?? join(dir, 'nats-server.log')
  const log = openLogFile(logFile)
  const logOffset = fstatSync(log).size
  const child = withTimerSlack(timerSlackNs, () =>
    spawn(options.command ?? 'nats-server', argumentsOf(dir), {
      detached: true, // its own process group: a Ctrl-C at our terminal is not for it
      stdio: ['ignore', log, log],
      env: { GOGC: garbagePercent, GOMAXPROCS: threads, ...process.env },
    }),
  )
  closeSync(log)
  await spawned(child, options)
  child.unref()
  const id = processId(child.pid!) ?? { pid: child.pid!, started: '' }
  try {
    await note(dir, { ...id, port: options.port, configSha256 })
    const port = await portOf(child, dir)
    if (port === undefined) throw await startError(options, logFile, logOffset)
    const running = { ...id, port, configSha256 }
    await note(dir, running)
    return handle(running, child)
  } catch (error) {
    await endProcess(id, 0) // N3
    throw error
  }
}

async function spawned(child: ChildProcess, options: NatsServerOptions): Promise<void> {
  try {
    await once(child, 'spawn')
  } catch (cause) {
    const command = options.command ?? 'nats-server'
    const found =
      (cause as NodeJS.ErrnoException).code === 'ENOENT'
        ? 'is not installed'
        : `does not start (${String(cause)})`
    throw infraError(
      'ERR_NATS_SERVER_MISSING',
      `Cannot start NATS: '${command}' ${found}. Install it ('apt-get install nats-server', or https://nats.io/download), ` +
        'or name the program in CONCORD_NATS_SERVER',
      { cause },
    )
  }
}

/** Waits for the file with the server's ports. @returns Undefined if it does not appear. */
async function portOf(child: ChildProcess, dir: string): Promise<number | undefined> {
  const deadlineMs = performance.now() + startTimeoutMs
  while (performance.now() < deadlineMs && child.exitCode === null && child.signalCode === null) {
    const name = (await portsFiles(dir)).find((file) => file.endsWith(`_${child.pid}.ports`))
    const text = name === undefined ? '' : await readFile(join(dir, name), 'utf8').catch(() => '')
    const port = /nats:\/\/127\.0\.0\.1:(\d+)"/.exec(text)?.[1]
    if (port !== undefined) return Number(port)
    await setTimeout(5)
  }
  return undefined
}

async function portsFiles(dir: string): Promise<string[]> {
  return (await readdir(dir)).filter((name) => name.endsWith('.ports'))
}

async function startError(options: NatsServerOptions, logFile: string, logOffset: number): Promise<Error> {
  const log = (await readFile(logFile)).subarray(logOffset).toString()
  if (log.includes('address already in use')) {
    return infraError(
      'ERR_PORT_TAKEN',
      `Cannot start nats-server: another program listens on port ${options.port}. End it, or choose another port with --nats-port`,
      { detail: { port: options.port, flag: '--nats-port' } },
    )
  }
  const lines = log.trim().split('\n')
  const why = lines.findLast((line) => line.includes('[FTL]')) ?? lines.at(-1)
  return infraError(
    'ERR_NATS_SERVER_FAILED',
    `Cannot start nats-server: ${why || 'it said nothing'} (see ${logFile})`,
  )
}

/** True if a server of this name greets on the port within two seconds. */
async function answers(port: number, name: string): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    const [greeting] = (await once(socket, 'data', { signal: AbortSignal.timeout(2_000) })) as [Buffer]
    return greeting.toString().includes(`"server_name":"${name}"`)
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

function handle(running: Running, child: ChildProcess | undefined): NatsServer {
  const { pid, port } = running
  const stopped = Promise.withResolvers<Awaited<NatsServer['exited']>>()
  const exited = child === undefined ? Promise.race([adoptedEnd(running), stopped.promise]) : childEnd(child)
  return {
    url: `nats://127.0.0.1:${port}`,
    pid,
    port,
    adopted: child === undefined,
    exited,
    async stop(signal = 'SIGTERM') {
      child?.ref()
      await endProcess(running, stopGraceMs, signal)
      stopped.resolve({ code: null, signal: null })
      await exited
    },
  }
}

async function childEnd(child: ChildProcess): Promise<Awaited<NatsServer['exited']>> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  return { code: child.exitCode, signal: child.signalCode }
}

async function adoptedEnd(running: Running): Promise<Awaited<NatsServer['exited']>> {
  // Not our child, so its end has to be polled for; the timer does not keep our process alive.
  while (isAlive(running)) await setTimeout(100, undefined, { ref: false })
  return { code: null, signal: null }
}

async function note(dir: string, running: Running): Promise<void> {
  await writePrivate(runningFile(dir), JSON.stringify(running))
}

function configFile(dir: string): string {
  return join(dir, 'nats-server.conf')
}

function runningFile(dir: string): string {
  return join(dir, 'server.json')
}
