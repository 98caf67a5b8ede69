/**
 * Gateways are killed under load while the function that they send to lives. What each had sent is in the ledger all the same, to the
 * record: SENT and PROCESSED are what the function has counted (I7; docs/design/0003-processes-and-store.md, "What gateways have sent").
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { Random } from '../../functions/demo/random.ts'
import { freePorts } from '../../infra/free-ports.ts'
import type { FunctionDetail } from '../../sdk/api.ts'
import { ConcordClient } from '../../sdk/client/index.ts'
import { pidOf } from './load/faults.ts'
import { Platform } from './platform.ts'

/** Of the platform's own gateway and of one beside it, in turn; in the long mode on ZooKeeper too. */
const long = Number(process.env['CONCORD_GATEWAY_KILLS'] ?? 0)
const seed = Number(process.env['CONCORD_GATEWAY_KILLS_SEED'] ?? 1)
const kills = long || 2
const batch = Array.from({ length: 100 }, (_, i) => ({ key: `k${i}`, value: 'v' }))
const source = `import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: 'counts', istreams: { lines: groupBy } },
  processRecord(ctx) { ctx.counter('records').add(1) },
})
`

for (const stores of [[], ...(long === 0 ? [] : [['--zookeeper', '1']])])
  test(`gateways killed ${kills} times under load: the ledger says what the function has counted (I7) ${stores.join(' ')}`, {
    timeout: 300_000 + kills * 30_000,
  }, async (t) => {
    const platform = await Platform.start(t, {}, stores)
    await platform.deploy('counts', source)
    const random = new Random(seed)
    const gateways = [new Own(platform), await Beside.start(t, platform)]
    let taken = 0
    let stopped = false
    const load = gateways.map(async (gateway) => {
      while (!stopped)
        await gateway.client.produce('lines', batch).then(
          () => {
            taken += batch.length
            return sleep(5) // what the function cannot do at once would be waited for in the end
          },
          () => sleep(20), // it is being started anew
        )
    })
    for (let kill = 0; kill < kills; kill++) {
      const until = taken + random.integer(0, 5_000) // some before they have written anything down
      while (taken < until) await sleep(5)
      await gateways[kill % 2]!.kill()
    }
    const until = taken + 2_000
    while (taken < until) await sleep(5)
    stopped = true
    await Promise.all(load)
    const sinceMs = performance.now()

    const isWhole = ({ ledger: [row], recordsIn }: FunctionDetail): boolean =>
      row!.inFlight === 0 && row!.sent === recordsIn
    const detail = await platform.until('counts', isWhole)
    const row = detail.ledger[0]!
    const exactMs = Math.round(performance.now() - sinceMs)
    t.diagnostic(`${taken} records answered for, ${row.sent} sent, exact ${exactMs} ms later (seed ${seed})`)
    assert.deepEqual([row.processed, row.unaccounted, row.dropped], [detail.recordsIn, 0, {}])
    assert.ok(row.sent > taken / 2, `${taken} were answered for: ${JSON.stringify(row)}`)
    const said = async ({ client }: Own | Beside) => (await client.inspect('counts')).ledger[0]
    for (const gateway of gateways) while (!isDeepStrictEqual(await said(gateway), row)) await sleep(50)
  })

/** The gateway of the platform, which the supervisor starts again. */
class Own {
  readonly #platform: Platform

  constructor(platform: Platform) {
    this.#platform = platform
  }

  get client(): ConcordClient {
    return this.#platform.client
  }

  async kill(): Promise<void> {
    const pid = pidOf(this.#platform, 'gateway')
    process.kill(pid, 'SIGKILL')
    await this.#platform.untilUp(() => pidOf(this.#platform, 'gateway') !== pid)
  }
}

/** Another one on the same store, started again by us. */
class Beside {
  client!: ConcordClient
  #child!: ChildProcess
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
    t.after(() => beside.#end())
    await beside.#begin()
    return beside
  }

  async kill(): Promise<void> {
    await this.#end()
    await this.#begin()
  }

  async #end(): Promise<void> {
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
    this.#child = spawn(
      process.execPath,
      ['--no-node-snapshot', join(import.meta.dirname, '../../gateway/main.ts')],
      {
        stdio: ['pipe', 'pipe', 'ignore'],
        env: {
          ...process.env,
          ...{ CONCORD_HOME: home, CONCORD_PARENT: 'stdin', CONCORD_GATEWAY_PORT: String(this.#port) },
          CONCORD_NATS_URL: natsUrl,
          ...{ CONCORD_NATS_USER: nats.gateway.user, CONCORD_NATS_PASSWORD: nats.gateway.password },
          CONCORD_STORE_URL: store.url,
          ...(store.user && { CONCORD_STORE_USER: store.user, CONCORD_STORE_PASSWORD: store.password }),
        },
      },
    )
    const ready = await once(createInterface({ input: this.#child.stdout! }), 'line')
    const { url } = JSON.parse(String(ready[0])) as { url: string }
    this.client = new ConcordClient({ url, token: readFileSync(tokenFile, 'utf8').trim() })
  }
}
