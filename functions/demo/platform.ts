/**
 * Platform: a one-machine platform for the demo, in a temporary folder, controlled by the command line.
 *
 *   D1. `close` removes everything again, also if `start` was interrupted.
 *   D2. Settings of the caller's own platform (CONCORD_URL …) do not affect it.
 *   D3. Commands run in process groups of their own, so that the Ctrl-C that ends the demo does not interrupt them.
 * @module
 */
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { ConcordClient } from 'concord/client'

const cli = fileURLToPath(new URL('../../sdk/cli/bin.mjs', import.meta.url))

export class Platform {
  readonly home: string
  #isUp = false

  private constructor(home: string) {
    this.home = home
  }

  static async create(): Promise<Platform> {
    return new Platform(await mkdtemp(join(tmpdir(), 'concord-demo-')))
  }

  get isUp(): boolean {
    return this.#isUp
  }

  /** Resolves when the platform answers. */
  async start(): Promise<ConcordClient> {
    await this.#run(['up', '--detach', '--ports', 'free'])
    this.#isUp = true
    const connection = JSON.parse(await readFile(join(this.home, 'client.json'), 'utf8'))
    return new ConcordClient(connection as { url: string; token: string })
  }

  /** Resolves when the function runs, or the signal is aborted. */
  async deploy(file: URL, flags: readonly string[], signal: AbortSignal): Promise<void> {
    await this.#run(['fn', 'deploy', fileURLToPath(file), ...flags], signal)
  }

  async close(): Promise<void> {
    try {
      await this.#run(['down'])
    } finally {
      await rm(this.home, { recursive: true, force: true })
    }
  }

  /** Runs one command. @throws {Error} With what the command said, if it failed. */
  async #run(args: readonly string[], signal?: AbortSignal): Promise<void> {
    const child = spawn(process.execPath, [cli, ...args], {
      env: { ...ownEnvironment(), CONCORD_HOME: this.home },
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
      signal,
    })
    const [code, said] = await Promise.all([
      new Promise<number | null>((resolve, reject) => child.once('error', reject).once('exit', resolve)),
      text(child.stderr),
    ])
    if (code !== 0) throw new Error(`\`concord ${args.join(' ')}\` ended with ${code}: ${said.trim()}`)
  }
}

/** The environment without the platform's settings, except for the path of nats-server. */
function ownEnvironment(): NodeJS.ProcessEnv {
  const isForeign = (name: string) => name.startsWith('CONCORD_') && name !== 'CONCORD_NATS_SERVER'
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !isForeign(name)))
}
