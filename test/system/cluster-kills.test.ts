/**
 * Kills on the cluster of one machine: three agents, two schedulers, three ZooKeeper servers, and records all the while. What is
 * missing in the end is what the ledger calls unaccounted, and that is nothing before a runner was killed (I7).
 * @module
 */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FunctionDetail } from '../../sdk/api.ts'
import { functionOf } from './load/records.ts'
import { Traffic } from './load/traffic.ts'
import { Platform } from './platform.ts'

/** Rounds over all components in the long mode, and over agents with their runners; else two stand for all of them. */
const rounds = Number(process.env['CONCORD_CLUSTER_KILLS'] ?? 0)
const withoutRunners =
  rounds === 0
    ? ['leader', 'zookeeper-2']
    : ['leader', 'gateway', 'zookeeper-1', 'zookeeper-2', 'zookeeper-3', 'nats-server', 'minimesos']
const recoveryMs = 180_000
const size = ['--agents', '3', '--schedulers', '2', '--zookeeper', '3']

test(`a cluster whose components are killed in turn loses nothing but what its killed runners had in hand (${Math.max(1, rounds)} rounds)`, {
  timeout: 600_000 + rounds * 900_000,
}, async (t) => {
  const platform = await Platform.start(t, {}, size)
  for (let round = 0; round < Math.max(1, rounds); round++) {
    const calm = await Load.start(t, platform, `calm${round}`)
    for (const victim of withoutRunners) await calm.kill(victim)
    const nothing = await calm.judged()
    assert.deepEqual([nothing.loss, nothing.unaccounted], [0, 0], `no runner was killed: ${nothing.text}`)
    await platform.json(['fn', 'rm', `calm${round}`])
    if (rounds === 0) return

    const hurt = await Load.start(t, platform, `hurt${round}`)
    const { instances } = await hurt.goesOn()
    const before = new Set(instances.map(({ taskId }) => taskId))
    const agent = instances[0]!.hostname!
    await hurt.kill(agent, (d) => d.instances.some(({ taskId }) => !before.has(taskId)))
    await platform.json(['cluster', 'start', agent])
    const { loss, unaccounted, text } = await hurt.judged()
    assert.ok(loss <= unaccounted, `${loss} missing, ${unaccounted} unaccounted: ${text}`)
    await platform.json(['fn', 'rm', `hurt${round}`])
  }
})

/** A function under load, and what is taken from the cluster meanwhile. */
class Load {
  readonly #t: TestContext
  readonly #platform: Platform
  readonly #name: string
  readonly #traffic: Traffic

  private constructor(t: TestContext, platform: Platform, name: string, traffic: Traffic) {
    this.#t = t
    this.#platform = platform
    this.#name = name
    this.#traffic = traffic
  }

  static async start(t: TestContext, platform: Platform, name: string): Promise<Load> {
    const chances = { throwsPerMillion: 0, timersPerMillion: 0, asyncPerMillion: 0 }
    const source = functionOf({ name, ...chances, keepsState: false })
    await platform.deploy(name, source, ['--instances', '2'])
    const records = Number.POSITIVE_INFINITY
    const traffic = await Traffic.start(t, platform, { name, producers: 2, records, rate: 2000 })
    const load = new Load(t, platform, name, traffic)
    await load.goesOn()
    return load
  }

  /** Kills a component, and waits until the function is whole again and goes on. */
  async kill(victim: string, wanted?: (detail: FunctionDetail) => boolean): Promise<void> {
    const startMs = performance.now()
    await this.#platform.json(['cluster', 'kill', victim])
    await this.goesOn(wanted)
    this.#t.diagnostic(`${this.#name}, ${victim}: ${((performance.now() - startMs) / 1000).toFixed(1)} s`)
  }

  /** Who leads now has it in hand; then what was sent is compared with what came. */
  async judged() {
    await this.#platform.json(['fn', 'scale', this.#name, '3'])
    await this.goesOn()
    this.#traffic.stop()
    const { sent, unaccounted, verdict, text } = await this.#traffic.judged()
    const { loss = 0, ...others } = verdict.records
    this.#t.diagnostic(`${this.#name}: ${sent} sent, ${unaccounted} unaccounted, ${loss} missing`)
    assert.deepEqual(others, {}, text)
    return { loss, unaccounted, text }
  }

  /** Waits until all instances that are wanted run, and process records; whoever answers may be the one that was killed. */
  async goesOn(wanted: (detail: FunctionDetail) => boolean = () => true): Promise<FunctionDetail> {
    let least: number | undefined
    let last: unknown
    for (const endMs = performance.now() + recoveryMs; performance.now() < endMs; await sleep(100)) {
      const detail = await this.#platform.client.inspect(this.#name).catch((error: unknown) => {
        last = error
      })
      if (!detail) continue
      last = detail
      const processed = detail.instances.reduce((sum, one) => sum + one.recordsIn, 0)
      const isWhole = detail.state === 'running' && detail.instancesRunning === detail.instancesWanted
      if (!isWhole || !wanted(detail)) continue
      least = Math.min(least ?? processed, processed) // an instance that has gone takes its number along
      if (processed > least + 2000) return detail
    }
    throw new Error(`It did not recover: ${JSON.stringify(last, undefined, 1)}`, { cause: last })
  }
}
