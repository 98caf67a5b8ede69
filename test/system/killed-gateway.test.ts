/**
 * Gateways are killed under load while the function that they send to lives. What each had sent is in the ledger all the same, to the
 * record: SENT and PROCESSED are what the function has counted (I7; docs/design/0003-processes-and-store.md, "What gateways have sent").
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { Random } from '../../functions/demo/random.ts'
import type { FunctionDetail } from '../../sdk/api/index.ts'
import type { ConcordClient } from '../../sdk/client/index.ts'
import { Beside } from './beside.ts'
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
