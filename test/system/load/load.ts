/**
 * A function under load on a cluster, what is taken from the cluster meanwhile, and the verdict.
 * @module
 */
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FunctionDetail } from '../../../sdk/api/index.ts'
import type { Platform } from '../platform.ts'
import { type FunctionOptions, functionOf } from './records.ts'
import { type Judged, Traffic } from './traffic.ts'

const recoveryMs = 180_000
/** So that a window has few records, and the bound of what may be unaccounted is narrow. */
const valueBytes = 1000
const nothing = { throwsPerMillion: 0, timersPerMillion: 0, asyncPerMillion: 0, keepsState: false }

export interface LoadOptions extends Partial<FunctionOptions> {
  readonly name: string
  /** Records a second of each of two producers. */
  readonly rate?: number
}

export class Load {
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

  static async start(t: TestContext, platform: Platform, options: LoadOptions): Promise<Load> {
    const { name, rate = 2000, ...chances } = options
    const source = functionOf({ name, ...nothing, ...chances })
    await platform.deploy(name, source, ['--instances', '2'])
    const records = Number.POSITIVE_INFINITY
    const traffic = await Traffic.start(t, platform, { name, producers: 2, records, rate, valueBytes })
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

  /**
   * Who leads now has it in hand; then what was sent is compared with what came.
   * @param kills Instances that were killed.
   */
  async judged(kills = 0): Promise<Judged> {
    await this.#platform.json(['fn', 'scale', this.#name, '3'])
    await this.goesOn()
    this.#traffic.stop()
    const judged = await this.#traffic.judged(kills)
    const { sent, unaccounted, loss } = judged
    this.#t.diagnostic(`${this.#name}: ${sent} sent, ${unaccounted} unaccounted, ${loss} missing`)
    return judged
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
