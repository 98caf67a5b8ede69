/**
 * Platform: a real nats-server, one-machine cluster and store in a temporary folder, with the scheduler as a process.
 * Test equipment.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { connectBus, type NatsConnection, subjects } from '../../infra/bus/index.ts'
import type { Heartbeat } from '../../infra/control/messages/heartbeat.ts'
import { endTasks, startMinimesos } from '../../infra/minimesos/index.ts'
import { startNatsServer } from '../../infra/nats/index.ts'
import { bundleFile } from '../../infra/programs.mjs'
import {
  type FunctionDocument,
  openStore,
  paths,
  readStatus,
  type StatusDocument,
  type Store,
  type StoreSettings,
  upsert,
} from '../../infra/store/index.ts'
import { type ManifestInput, manifestSchema } from '../../sdk/manifest/manifest.ts'

const mainPath = bundleFile('scheduler/main.ts')
const fakeRunner = fileURLToPath(new URL('./fake-runner.ts', import.meta.url))
export const ns = 'test'

export interface SchedulerProcess {
  readonly child: ChildProcess
  readonly url: string
  readonly exited: Promise<number | null>
}

/** Ends what was started in it: a test or a benchmark. */
export interface Scope {
  after(end: () => Promise<void>): unknown
}

export class Platform {
  readonly store: Store
  readonly nc: NatsConnection
  readonly env: Readonly<Record<string, string>>
  /** Last heartbeats, by task. */
  readonly beats = new Map<string, Heartbeat>()
  logs = ''
  /**
   * Kills the leading master. The standby takes over its agents, and another standby starts in its place.
   * @returns The new leader.
   */
  readonly replaceMaster: () => Promise<string>
  /** Where masters listen. */
  readonly masterUrls: readonly string[]

  /** What has to be ended, last started first: node:test runs its hooks in the other order. */
  readonly #ends: (() => unknown)[]

  private constructor(
    store: Store,
    nc: NatsConnection,
    env: Readonly<Record<string, string>>,
    ends: (() => unknown)[],
    replaceMaster: () => Promise<string>,
    masterUrls: readonly string[],
  ) {
    this.store = store
    this.nc = nc
    this.env = env
    this.#ends = ends
    this.replaceMaster = replaceMaster
    this.masterUrls = masterUrls
    nc.subscribe(subjects.heartbeatSubject(ns, '*'), {
      callback: (_error, message) => {
        const beat = message.json<Heartbeat>()
        this.beats.set(beat.id, beat)
      },
    })
  }

  /**
   * @param at The store; default: one in a file.
   * @param masters The address at which two masters elect their leader, `zk://…`; default: a single master.
   */
  static async start(t: Scope, at?: StoreSettings, masters?: string): Promise<Platform> {
    const ends: (() => unknown)[] = []
    t.after(async () => {
      for (const end of ends.reverse()) await end()
    })
    const dir = await mkdtemp(join(tmpdir(), 'concord-scheduler-'))
    ends.push(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }))
    const nats = await startNatsServer({ dir: join(dir, 'nats'), port: 0 })
    ends.push(() => nats.stop())
    const credentials = { principal: 'concord', secret: 'secret' }
    const stateDir = join(dir, 'minimesos')
    const size = { cpus: 4, memMib: 4096, diskMib: 4096 }
    const zookeeper = masters === undefined ? {} : { zookeeper: masters }
    const startMaster = (port = 0) => startMinimesos({ port, stateDir, credentials, ...size, ...zookeeper })
    let mesos = await startMaster()
    let standby = masters === undefined ? undefined : await startMaster()
    const masterUrls = [mesos, standby].flatMap((each) => each?.url ?? [])
    ends.push(async () => {
      await standby?.close()
      await mesos.close()
      await endTasks(stateDir, 1_000)
    })
    const replaceMaster = async () => {
      const { url } = mesos
      await mesos.close()
      mesos = standby ?? mesos
      standby = await startMaster(Number(new URL(url).port))
      return mesos.url
    }
    const settings = at ?? { url: `sqlite:${join(dir, 'store.sqlite')}` }
    const store = await openStore(settings, { patienceMs: 120_000 })
    ends.push(() => store.close())
    const nc = await connectBus({ name: 'test', url: nats.url })
    ends.push(() => nc.close())
    const env = {
      CONCORD_HOME: dir,
      CONCORD_NAMESPACE: ns,
      CONCORD_NATS_URL: nats.url,
      CONCORD_STORE_URL: settings.url,
      ...(settings.user && { CONCORD_STORE_USER: settings.user }),
      ...(settings.password && { CONCORD_STORE_PASSWORD: settings.password }),
      ...(settings.sessionTimeoutMs && { CONCORD_STORE_SESSION_TIMEOUT_MS: `${settings.sessionTimeoutMs}` }),
      CONCORD_MESOS_URL: masters ?? mesos.url,
      CONCORD_MESOS_PRINCIPAL: credentials.principal,
      CONCORD_MESOS_SECRET: credentials.secret,
      CONCORD_SCHEDULER_RUNNER_COMMAND: JSON.stringify([
        process.execPath,
        '--disable-warning=ExperimentalWarning',
        fakeRunner,
      ]),
    }
    return new Platform(store, nc, env, ends, replaceMaster, masterUrls)
  }

  /** Starts the process and waits until it leads. */
  async scheduler(env: Readonly<Record<string, string>> = {}): Promise<SchedulerProcess> {
    const begun = this.spawn(env)
    const line = await begun.ready
    if (line === undefined) throw new Error(`the scheduler ended before it was ready: ${this.logs}`)
    return { child: begun.child, url: (JSON.parse(line) as { url: string }).url, exited: begun.exited }
  }

  spawn(env: Readonly<Record<string, string>> = {}) {
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', mainPath], {
      env: { PATH: process.env['PATH'] ?? '', ...this.env, ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    child.stderr.on('data', (data: Buffer) => {
      this.logs += data.toString()
    })
    const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
    const lines = createInterface({ input: child.stdout })
    const ready = new Promise<string | undefined>((resolve) => {
      lines.on('line', (line) => {
        if (line.startsWith('{"ready":true')) resolve(line)
      })
      lines.once('close', () => resolve(undefined))
    })
    this.#ends.push(async () => {
      child.kill('SIGKILL')
      await exited
    })
    return { child, exited, ready }
  }

  async deploy(version: number, manifest: ManifestInput): Promise<void> {
    const parsed = manifestSchema.parse({ resources: { cpus: 0.1, memMib: 64, diskMib: 0 }, ...manifest })
    await this.store.create(paths.version(ns, parsed.name, version), {
      schema: 1,
      version,
      bundleSha256: 'a'.repeat(64),
      bundleBytes: 1,
      manifest: parsed,
      deployedAtMs: Date.now(),
    })
    const document = { schema: 1, version, instances: parsed.instances, createdAtMs: Date.now() }
    if (version === 1) await this.store.create(paths.function(ns, parsed.name), document)
    else await this.change(parsed.name, { version })
  }

  async change(name: string, change: Partial<FunctionDocument>): Promise<void> {
    // The scheduler may write at the same moment.
    await upsert<FunctionDocument>(this.store, paths.function(ns, name), (found) => {
      if (found === undefined) throw new Error(`no function ${name}`)
      return { ...found, ...change }
    })
  }

  async status(name: string): Promise<StatusDocument | undefined> {
    return await readStatus(this.store, ns, name)
  }

  /** The function's status, once the given number of instances run with their newest assignment. */
  async running(name: string, instances: number): Promise<StatusDocument | undefined> {
    const status = await this.status(name)
    const ok = status?.instances.every((i) => i.state === 'running' && i.generation === i.generationSeen)
    return ok && status?.instances.length === instances ? status : undefined
  }
}
