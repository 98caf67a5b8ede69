/**
 * The supervisor process: `node infra/local/up.ts [--home DIR] [--gateway-port N] [--nats-port N] [--mesos-port N]
 * [--ports free] [--agents N] [--schedulers N] [--zookeeper 1|3] [--nats 1|3] [--masters N]`. It writes one line to stdout when the
 * platform is ready, and one when it has stopped. SIGTERM and SIGINT stop it and the whole platform; with CONCORD_PARENT=stdin the end
 * of stdin does so too. Killed, it leaves nats-server and the tasks running, for the next one to adopt.
 *
 * Exit codes: 0 stopped as asked, else those of the command line (command.ts).
 * @module
 */
import { readFile, realpath } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { systemClock } from '../clock.ts'
import { type LoadedConfig, loadConfig } from '../config/index.ts'
import { askedToEnd } from '../ending.ts'
import { infraError } from '../errors.ts'
import { makeLog } from '../log.ts'
import { writePrivate } from '../private-file.ts'
import { processId } from '../process.ts'
import { type FileHold, tryHold } from '../store/index.ts'
import { sayWhy } from './command.ts'
import { loadCredentials } from './credentials.ts'
import { writeRefusal } from './disk-check.ts'
import { forgetClient, type Home, makeHome } from './home.ts'
import { endOrphans } from './leftovers.ts'
import { type Platform, startPlatform } from './platform.ts'
import type { ClusterSize } from './platform-options.ts'
import { type PortChoice, refuseUnfetched } from './ports.ts'
import { type PortName, readUpFile, refuseCopy, type UpFile, UpRecord, upRunning } from './up-file.ts'

/** More are useless on one machine. */
const agentsMax = 16
const schedulersMax = 5
const mastersMax = 3

async function main(): Promise<void> {
  process.umask(0o077) // the store holds what functions are given, so our files are private
  const asked = askedToEnd()
  process.on('SIGHUP', () => {}) // the platform outlives its terminal
  process.stdout.on('error', () => {}) // see say
  const flags = readFlags()
  const loaded = loadConfig({
    env: process.env,
    flags: {
      home: flags.home,
      'gateway.port': flags['gateway-port'],
      'nats.port': flags['nats-port'],
      'mesos.port': flags['mesos-port'],
    },
  })
  const { values: config } = loaded
  const log = makeLog({ name: 'up', level: config.log.level })
  const home = await makeHome(config.home)
  const refusal = await writeRefusal(home.root)
  if (refusal !== undefined)
    throw infraError('ERR_USAGE', `Cannot start: nothing can be written to the home: ${refusal}`)
  const lock = await lockHome(home)
  const before = await readUpFile(home)
  await refuseCopy(home, before)
  await endOrphans(before)

  const credentials = await loadCredentials(home)
  const tokenNow = () => tokenIn(config.gateway.tokenFile, credentials.gatewayToken)
  await tokenNow() // the gateway needs the file
  const ports = choosePorts(loaded, flags.ports === 'free', before)
  const freePorts = before?.freePorts ?? {}
  const record = new UpRecord(home, {
    ...{ schema: 1, up: processId(process.pid)!, home: await realpath(home.root) },
    ...{ processes: {}, freePorts },
  })
  await record.change({})
  /** Once the platform starts, a full disk must not end us: it would live on. */
  const unlessFull = (file: string, written: Promise<void>): Promise<void> =>
    written.catch((error) => log.warn({ error: String(error) }, `cannot write ${file}`))
  const note = (changes: Partial<UpFile>) => unlessFull(home.up, record.change(changes))
  /** While the platform is up. A gateway that starts again takes the token that is in the file then, so the file is read anew. */
  let toldUrl: string | undefined
  const tellClient = async (): Promise<void> => {
    const text = JSON.stringify({ url: toldUrl, token: await tokenNow() })
    if (toldUrl !== undefined) await writePrivate(home.client, text)
  }
  const platform = await startPlatform({
    ...{ home, config, credentials, ports, log, clock: systemClock },
    ...clusterOf(flags),
    leads: (leader) => void note({ leader }),
    started: (name, id) => {
      void note({ processes: { ...record.file.processes, [name]: id } })
      if (name === 'gateway') void unlessFull(home.client, tellClient())
    },
  })
  const { masters, settings } = platform
  await note({ freePorts: { ...freePorts, ...freeOnes(platform, ports) }, masters, settings })
  const { url, natsUrl } = platform
  toldUrl = url
  await unlessFull(home.client, tellClient())
  await say({ ready: true, url, natsUrl, home: home.root, tokenFile: config.gateway.tokenFile })
  log.info({ why: await asked }, 'stops')
  toldUrl = undefined
  await forgetClient(home)
  const stopped = await platform.stop()
  await note(stopped)
  await say({ stopped: true, ...stopped })
  lock.release()
}

/** The parent may have stopped reading, or be gone: the platform is up all the same. */
function say(what: object): Promise<void> {
  return new Promise((resolve) => process.stdout.write(`${JSON.stringify(what)}\n`, () => resolve()))
}

function readFlags() {
  const text = { type: 'string' } as const
  const ports = { 'gateway-port': text, 'nats-port': text, 'mesos-port': text, ports: text }
  const options = {
    home: text,
    ...ports,
    agents: text,
    schedulers: text,
    zookeeper: text,
    nats: text,
    masters: text,
  }
  try {
    const { values } = parseArgs({ options })
    if (![undefined, 'free'].includes(values.ports))
      throw new Error(`--ports takes 'free', not '${values.ports}'`)
    return values
  } catch (cause) {
    throw infraError('ERR_USAGE', `Cannot start: ${(cause as Error).message}`, { cause })
  }
}

function clusterOf(flags: {
  readonly agents?: string | undefined
  readonly schedulers?: string | undefined
  readonly zookeeper?: string | undefined
  readonly nats?: string | undefined
  readonly masters?: string | undefined
}): { readonly cluster?: ClusterSize } {
  const { agents, schedulers, zookeeper = '0', nats = '1' } = flags
  if ([agents, schedulers, flags.zookeeper, flags.nats, flags.masters].every((flag) => flag === undefined))
    return {}
  if (!['0', '1', '3'].includes(zookeeper)) {
    const text = `Cannot start: --zookeeper takes 1 or 3, not '${zookeeper}': two servers are no safer than one`
    throw infraError('ERR_USAGE', text)
  }
  if (!['1', '3'].includes(nats)) {
    const text = `Cannot start: --nats takes 1 or 3, not '${nats}': JetStream of two servers is no safer than of one`
    throw infraError('ERR_USAGE', text)
  }
  const count = (name: 'agents' | 'schedulers' | 'masters', max: number) => {
    const value = Number(flags[name] ?? 1)
    if (Number.isInteger(value) && value >= 1 && value <= max) return value
    const text = `Cannot start: --${name} takes a whole number from 1 to ${max}, not '${flags[name]}'`
    throw infraError('ERR_USAGE', text)
  }
  const masters = count('masters', mastersMax)
  if (masters > 1 && zookeeper === '0') {
    const text = `Cannot start: --masters ${masters} takes --zookeeper too: that is where masters elect one of them`
    throw infraError('ERR_USAGE', text)
  }
  const size = { agents: count('agents', agentsMax), schedulers: count('schedulers', schedulersMax), masters }
  return { cluster: { ...size, zookeepers: Number(zookeeper), natsServers: Number(nats) } }
}

async function lockHome(home: Home): Promise<FileHold> {
  const lock = tryHold(home.lock)
  if (lock !== undefined) return lock
  throw upRunning(home, (await readUpFile(home))?.up.pid)
}

/** The token in the file, created if the file does not exist. */
async function tokenIn(file: string, made: string): Promise<string> {
  const found = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (found === undefined) await writePrivate(file, made)
  return found?.trim() ?? made
}

function choosePorts(
  loaded: LoadedConfig,
  allFree: boolean,
  before: UpFile | undefined,
): Record<PortName, PortChoice> {
  const choose = (name: PortName): PortChoice => {
    const flag = `--${name}-port`
    const wanted = loaded.values[name].port
    const set = loaded.origins[`${name}.port`]?.kind !== 'default'
    if (set && wanted !== 0) return { port: wanted, free: false, flag }
    const chosen = before?.freePorts[name]
    if (chosen !== undefined) return { port: chosen, free: true, flag }
    return allFree || set ? { port: 0, free: true, flag } : { port: wanted, free: false, flag }
  }
  const ports = { gateway: choose('gateway'), nats: choose('nats'), mesos: choose('mesos') }
  refuseSamePort(ports)
  for (const choice of [ports.gateway, ports.mesos]) refuseUnfetched(choice)
  return ports
}

function refuseSamePort(ports: Readonly<Record<PortName, PortChoice>>): void {
  const given = Object.values(ports).filter(({ port }) => port !== 0)
  for (const { port } of given) {
    const [one, other] = given.filter((choice) => choice.port === port)
    if (one === undefined || other === undefined) continue
    const text = `Cannot start: ${one.flag} and ${other.flag} are both ${port}: give each a port of its own, or say --ports free`
    throw infraError('ERR_USAGE', text)
  }
}

function freeOnes(platform: Platform, ports: Readonly<Record<PortName, PortChoice>>): UpFile['freePorts'] {
  return Object.fromEntries(Object.entries(platform.ports).filter(([name]) => ports[name as PortName].free))
}

try {
  await main()
  process.exit(0)
} catch (error) {
  process.exit(sayWhy(error, 'start'))
}
