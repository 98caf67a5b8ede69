/**
 * Beside: a second gateway of a platform of a test, a process that we start and kill.
 * @module
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { freePorts } from '../../infra/free-ports.ts'
import { bundleFile } from '../../infra/programs.mjs'
import { ConcordClient } from '../../sdk/client/index.ts'
import type { Platform } from './platform.ts'

/** Another one on the same store, started again by us. */
export class Beside {
  client!: ConcordClient
  #child!: ChildProcess
  #ended = true
  readonly #platform: Platform
  /** The same one each time: who sends to it waits there until it is back. */
  readonly #port: number

  private constructor(platform: Platform, port: number) {
    this.#platform = platform
    this.#port = port
  }

  static async start(t: TestContext, platform: Platform): Promise<Beside> {
    const [port] = await freePorts(1)
    const beside = new Beside(platform, port!)
    t.after(() => beside.end())
    await beside.#begin()
    return beside
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  async kill(): Promise<void> {
    await this.end()
    await this.#begin()
  }

  /** Kills it. */
  async end(): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    const { exitCode, signalCode } = this.#child
    assert.deepEqual([exitCode, signalCode], [null, null], 'the gateway has ended by itself')
    this.#child.kill('SIGKILL')
    await once(this.#child, 'exit')
  }

  async #begin(): Promise<void> {
    const { home, natsUrl, store } = this.#platform
    const { nats } = JSON.parse(readFileSync(join(home, 'credentials.json'), 'utf8')) as {
      nats: { gateway: { user: string; password: string } }
    }
    const tokenFile = join(home, 'token')
    this.#child = spawn(process.execPath, [bundleFile('gateway/main.ts')], {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: {
        ...process.env,
        ...{ CONCORD_HOME: home, CONCORD_PARENT: 'stdin', CONCORD_GATEWAY_PORT: String(this.#port) },
        CONCORD_NATS_URL: natsUrl,
        ...{ CONCORD_NATS_USER: nats.gateway.user, CONCORD_NATS_PASSWORD: nats.gateway.password },
        CONCORD_STORE_URL: store.url,
        ...(store.user && { CONCORD_STORE_USER: store.user, CONCORD_STORE_PASSWORD: store.password }),
      },
    })
    this.#ended = false
    const ready = await once(createInterface({ input: this.#child.stdout! }), 'line')
    const { url } = JSON.parse(String(ready[0])) as { url: string }
    this.client = new ConcordClient({ url, token: readFileSync(tokenFile, 'utf8').trim() })
  }
}
