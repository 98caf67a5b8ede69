/**
 * A whole platform for a test: `concord up` in a folder of its own on free ports, and the CLI as a user has it.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, type TestContext } from 'node:test'
import { bundleFile } from '../../infra/programs.mjs'
import type { StoreSettings } from '../../infra/store/index.ts'
import type { FunctionDetail } from '../../sdk/api/index.ts'
import { ConcordClient } from '../../sdk/client/index.ts'
import { Jitter } from './load/jitter.ts'

const root = join(import.meta.dirname, '../..')
const bin = join(root, 'sdk/cli/bin.mjs')
/** Longer than a slow machine takes for anything: it is for what hangs. */
const untilMs = 180_000

/** How many processes of each platform are stopped for a moment, a second. */
const jitterPerSecond = Number(process.env['CONCORD_JITTER'] ?? 0)

export interface Answer {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Ready {
  readonly url: string
  readonly natsUrl: string
  readonly home: string
}

/** Runs the CLI to its end. */
export async function runCli(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  input?: string,
): Promise<Answer> {
  const child = startCli(args, env)
  if (input !== undefined) child.stdin!.write(input)
  child.stdin!.end()
  const output = { stdout: '', stderr: '' }
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text
  })
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, ...output }
}

/** The commands that wait until it is so: in a test as long as all else, since that is for what hangs. */
const patient = /^(deploy|fn (deploy|scale|rm|rollback)|asset (push|rm))\b/

function patiently(args: readonly string[]): readonly string[] {
  const waits = patient.test(args.join(' ')) && !args.includes('--timeout')
  return waits ? [...args, '--timeout', String(untilMs / 1000)] : args
}

export function startCli(args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
  return spawn(process.execPath, [bin, ...patiently(args)], {
    env: { ...process.env, ...env, NO_COLOR: '1' },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
}

export class Platform {
  readonly home: string
  /** What `concord up` has said. */
  said = ''
  #up: ChildProcess | undefined
  #ready: Ready | undefined
  #jitter: Jitter | undefined

  private constructor(home: string) {
    this.home = home
  }

  /** Starts one that ends with the test. */
  static async start(
    t: TestContext,
    env: Readonly<Record<string, string>> = {},
    more: readonly string[] = [],
  ): Promise<Platform> {
    const platform = new Platform(mkdtempSync(join(tmpdir(), 'concord-system-')))
    t.after(() => platform.remove())
    await platform.up(env, more)
    return platform
  }

  /** One for all tests of a file, each of which has functions of its own: it starts before the first and ends after the last. */
  static ofFile(): () => Platform {
    let platform: Platform | undefined
    before(async () => {
      platform = new Platform(mkdtempSync(join(tmpdir(), 'concord-system-')))
      await platform.up()
    })
    after(() => platform?.remove())
    return () => platform!
  }

  get url(): string {
    return this.#ready!.url
  }

  get natsUrl(): string {
    return this.#ready!.natsUrl
  }

  get env(): Record<string, string> {
    return { CONCORD_HOME: this.home }
  }

  /** Where its store is: a file, or ZooKeeper. */
  get store(): StoreSettings {
    const servers = join(this.home, 'zookeeper')
    if (!existsSync(servers)) return { url: `sqlite:${join(this.home, 'store.sqlite')}` }
    const ports = readdirSync(servers).map(
      (server) => /^clientPort=(\d+)$/m.exec(readFileSync(join(servers, server, 'zoo.cfg'), 'utf8'))![1],
    )
    const { gatewayToken: password } = JSON.parse(
      readFileSync(join(this.home, 'credentials.json'), 'utf8'),
    ) as { gatewayToken: string }
    return {
      url: `zk://${ports.map((port) => `127.0.0.1:${port}`).join(',')}/concord`,
      user: 'concord',
      password,
    }
  }

  get client(): ConcordClient {
    const { url, token } = JSON.parse(readFileSync(join(this.home, 'client.json'), 'utf8')) as {
      url: string
      token: string
    }
    return new ConcordClient({ url, token })
  }

  get upPid(): number {
    return this.#up!.pid!
  }

  /** @param more Arguments, such as those of a cluster. */
  async up(env: Readonly<Record<string, string>> = {}, more: readonly string[] = []): Promise<void> {
    const args = [bundleFile('infra/local/up.ts'), '--home', this.home, '--ports', 'free', ...more]
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    })
    this.#up = child
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.said += text
      process.stderr.write(text)
    })
    const lines = createInterface({ input: child.stdout! })
    const first = await Promise.race([once(lines, 'line'), once(child, 'exit').then(() => undefined)])
    if (first === undefined) throw new Error('concord up ended before it was ready')
    this.#ready = JSON.parse(String(first[0])) as Ready
    if (jitterPerSecond > 0) this.#jitter = new Jitter(child.pid!, jitterPerSecond)
  }

  /** Ends the supervisor as a user would. */
  async down(): Promise<void> {
    await this.#jitter?.end()
    const up = this.#up
    if (up === undefined || up.exitCode !== null || up.signalCode !== null) return
    up.kill('SIGTERM')
    await once(up, 'exit')
  }

  async killUp(): Promise<void> {
    await this.#jitter?.end()
    this.#up!.kill('SIGKILL')
    await once(this.#up!, 'exit')
  }

  async remove(): Promise<void> {
    await this.down()
    const answer = await this.cli(['down'])
    if (answer.code !== 0) process.stderr.write(answer.stderr)
    if (process.env['CONCORD_TEST_KEEP'] === undefined) rmSync(this.home, { recursive: true, force: true })
  }

  cli(args: readonly string[], input?: string): Promise<Answer> {
    return runCli(args, this.env, input)
  }

  /** Runs the CLI; the test fails unless it ends with 0. @returns The last line of stdout, parsed. */
  async json<T>(args: readonly string[], input?: string): Promise<T> {
    const answer = await this.cli([...args, '--json'], input)
    if (answer.code !== 0)
      throw new Error(`concord ${args.join(' ')} ended with ${answer.code}: ${answer.stderr}`)
    return JSON.parse(answer.stdout.trimEnd().split('\n').at(-1)!) as T
  }

  /** Deploys source text as one file and waits until it runs. */
  async deploy(name: string, source: string, flags: readonly string[] = []): Promise<void> {
    const file = join(this.home, `${name}.ts`)
    writeFileSync(file, source)
    await this.json(['fn', 'deploy', file, ...flags])
  }

  /** The same until the test ends: it leaves room for the other tests of the platform. */
  async deployIn(t: TestContext, name: string, source: string, flags: readonly string[] = []): Promise<void> {
    t.after(() => this.client.remove(name, { drop: true }))
    await this.deploy(name, source, flags)
  }

  /** Waits until a look at the platform's own files says so, and the gateway answers. */
  async untilUp(wanted: () => boolean): Promise<void> {
    const deadlineMs = Date.now() + untilMs
    for (;;) {
      const answers =
        wanted() &&
        (await fetch(`${this.url}/readyz`).then(
          (r) => r.ok,
          () => false,
        ))
      if (answers) return
      if (Date.now() > deadlineMs) throw new Error('the platform did not come back')
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  /** Waits until the function is as wanted; looks again and again. */
  async until(
    name: string,
    wanted: (detail: FunctionDetail) => boolean,
    timeoutMs = untilMs,
    lookMs = 100,
  ): Promise<FunctionDetail> {
    const deadlineMs = Date.now() + timeoutMs
    for (;;) {
      const detail = await this.client.inspect(name)
      if (wanted(detail)) return detail
      if (Date.now() > deadlineMs)
        throw new Error(`${name} did not come as wanted: ${JSON.stringify(detail, null, 1)}`)
      await new Promise((resolve) => setTimeout(resolve, lookMs))
    }
  }

  /** Runs a command until it says so: logs, counts and states come by ways of their own, each at its time. @returns What it said. */
  async untilSaid(args: readonly string[], wanted: RegExp): Promise<string> {
    const deadlineMs = Date.now() + untilMs
    for (;;) {
      const { stdout } = await this.cli(args)
      if (wanted.test(stdout)) return stdout
      if (Date.now() > deadlineMs) throw new Error(`${args.join(' ')} never said ${wanted}: ${stdout}`)
    }
  }

  untilLogged(name: string, wanted: RegExp): Promise<string> {
    return this.untilSaid(['fn', 'logs', name, '--tail', '1000'], wanted)
  }
}

/** `concord consume`, and the records that it has printed. */
export class Reader {
  readonly records: Record<string, unknown>[] = []
  readonly #child: ChildProcess
  #following = false
  #closed = false
  #wake: () => void = () => undefined

  private constructor(platform: Platform, args: readonly string[]) {
    this.#child = startCli(['consume', ...args, '--json'], platform.env)
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      this.records.push(JSON.parse(line) as Record<string, unknown>)
      this.#wake()
    })
    createInterface({ input: this.#child.stderr! }).on('line', (line) => {
      if (line.startsWith('following')) this.#following = true
      else process.stderr.write(`${line}\n`)
      this.#wake()
    })
    this.#child.once('close', () => {
      this.#closed = true
      this.#wake()
    })
  }

  /** Starts one and waits until it follows. It ends with the test. */
  static async start(t: TestContext, platform: Platform, args: readonly string[]): Promise<Reader> {
    const reader = new Reader(platform, args)
    t.after(() => reader.end())
    await reader.#until(() => reader.#following)
    return reader
  }

  /** Waits for so many records. */
  async read(count: number): Promise<void> {
    await this.#until(() => this.records.length >= count)
  }

  async end(): Promise<void> {
    if (this.#closed) return
    this.#child.kill('SIGTERM')
    await once(this.#child, 'close')
  }

  async #until(wanted: () => boolean): Promise<void> {
    while (!wanted()) {
      if (this.#closed) throw new Error(`the reader ended after ${this.records.length} records`)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}
