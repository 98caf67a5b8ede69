/**
 * The functions of functions/clicks/ under the demo's own traffic, fed and read beside the gateways, so that one of those may be
 * killed too: a producer and an owner in this process. The verdicts tell which lines came through, and how often.
 * @module
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { generateTraffic } from '../../../functions/demo/generator.ts'
import { Consumer, originOf, Producer } from '../../../infra/bus/index.ts'
import { systemClock } from '../../../infra/clock.ts'
import { openStore } from '../../../infra/store/index.ts'
import { frameOf, recordsOf } from '../../../sdk/wire/frame.ts'
import { partitionOf } from '../../../sdk/wire/hash.ts'
import type { Platform } from '../platform.ts'
import { connectLoad, namespace } from './connection.ts'
import { partitions } from './records.ts'
import { follow } from './traffic.ts'

const functions = ['parse', 'score', 'alert']
const folder = join(import.meta.dirname, '../../../functions/clicks')
const linesPerSecond = 500
/** Verdicts after which it is called going on. */
const enough = 300
const recoveryMs = 180_000
const quietMs = 8_000
const utf8 = new TextEncoder()
const text = new TextDecoder()

export class Clicks {
  readonly #t: TestContext
  readonly #platform: Platform
  readonly #producer: Producer
  /** Lines of each client that were sent. */
  readonly #sent = new Map<string, number>()
  /** For each client the counts that its verdicts bore, in the order in which they came. */
  readonly #seen = new Map<string, number[]>()
  #lines = 0
  #verdicts = 0
  #verdictAtMs = 0
  #feeding = true
  #fed: Promise<void> = Promise.resolve()

  private constructor(t: TestContext, platform: Platform, producer: Producer) {
    this.#t = t
    this.#platform = platform
    this.#producer = producer
  }

  /**
   * Deploys the functions and lets lines flow.
   * @param oneEach Each line is of a client of its own: then also a restored count tells which line it was.
   */
  static async start(t: TestContext, platform: Platform, oneEach: boolean): Promise<Clicks> {
    for (const name of functions) await platform.json(['fn', 'deploy', join(folder, `${name}.ts`)])
    const store = await openStore(platform.store)
    t.after(() => store.close())
    const wire = await connectLoad(platform.home, platform.natsUrl, 'clicks')
    t.after(() => wire.close())
    const follower = 'clicks'
    await follow(t, store, ['verdicts'], follower)
    const origin = originOf(namespace, 'clicks', '0')
    const producer = new Producer({ wire, namespace, origin, epoch: 1, clock: systemClock, isFirst: true })
    producer.setStream({
      name: 'lines',
      partitions,
      keyed: true,
      consumers: [{ name: 'parse', backPressure: 'block' }],
    })
    const clicks = new Clicks(t, platform, producer)
    const consumer: Consumer = new Consumer({
      ...{ wire, namespace, epoch: 1, clock: systemClock },
      name: `follower.${follower}`,
      onFrames: () => setImmediate(() => clicks.#read(consumer)),
    })
    consumer.own(
      'verdicts',
      Array.from({ length: partitions }, (_, i) => i),
    )
    clicks.#fed = clicks.#feed(oneEach)
    await clicks.goesOn()
    return clicks
  }

  /** Kills a component, and waits until verdicts come again and all functions are whole. */
  async kill(victim: string): Promise<void> {
    const startMs = performance.now()
    await this.#platform.json(['cluster', 'kill', victim])
    await this.goesOn()
    this.#t.diagnostic(`clicks, ${victim}: ${((performance.now() - startMs) / 1000).toFixed(1)} s`)
  }

  /** The agent on which the function with state runs. */
  async agent(): Promise<string> {
    return (await this.#platform.client.inspect('score')).instances[0]!.hostname!
  }

  async goesOn(): Promise<void> {
    const endMs = performance.now() + recoveryMs
    while (!(await this.#isWhole())) {
      assert.ok(performance.now() < endMs, 'the functions did not come back')
      await sleep(100)
    }
    for (const from = this.#verdicts; this.#verdicts < from + enough; await sleep(50))
      assert.ok(performance.now() < endMs, `no verdicts come: ${this.#verdicts} of ${this.#lines}`)
  }

  /** Stops feeding, waits until no verdict is missing, or none comes any more, and compares. */
  async judged() {
    this.#feeding = false
    await this.#fed
    await this.#producer.settled(AbortSignal.timeout(recoveryMs))
    while (this.#verdicts < this.#lines && performance.now() - this.#verdictAtMs < quietMs) await sleep(50)
    let unaccounted = this.#producer.ledger().reduce((sum, row) => sum + row.unaccounted, 0)
    for (const name of functions.slice(1)) {
      const { ledger } = await this.#platform.client.inspect(name)
      unaccounted += ledger.reduce((sum, row) => sum + row.unaccounted, 0)
    }
    const missing = this.#lines - this.#verdicts
    this.#t.diagnostic(
      `clicks: ${this.#lines} lines, ${this.#verdicts} verdicts, ${missing} missing, ${unaccounted} unaccounted`,
    )
    return { lines: this.#lines, missing, unaccounted, sent: this.#sent, seen: this.#seen }
  }

  async #isWhole(): Promise<boolean> {
    const wholes = functions.map(async (name) => {
      const detail = await this.#platform.client.inspect(name).catch(() => undefined) // it may be the gateway that was killed
      return detail?.state === 'running' && detail.instancesRunning === detail.instancesWanted
    })
    return !(await Promise.all(wholes)).includes(false)
  }

  async #feed(oneEach: boolean): Promise<void> {
    const startMs = performance.now()
    for (const line of generateTraffic(1, Number.POSITIVE_INFINITY).lines) {
      while (this.#feeding && (this.#lines / linesPerSecond) * 1000 > performance.now() - startMs)
        await sleep(5)
      if (!this.#feeding) return
      await this.#producer.ready('lines')
      this.#send(oneEach ? line.replace(/^\S+/, `client-${this.#lines}`) : line)
    }
  }

  #send(line: string): void {
    const client = line.slice(0, line.indexOf(' '))
    const key = utf8.encode(client)
    const frame = frameOf([{ key, value: utf8.encode(line), timeMs: Date.now() }])
    this.#producer.send('lines', partitionOf(key, partitions), frame, 1)
    this.#sent.set(client, (this.#sent.get(client) ?? 0) + 1)
    this.#lines += 1
  }

  #read(consumer: Consumer): void {
    for (const frame of consumer.take(Number.POSITIVE_INFINITY)) {
      const records = [...recordsOf(frame.bytes, frame.header)].slice(frame.skip)
      for (const { value } of records) {
        const { client, count } = JSON.parse(text.decode(value)) as { client: string; count: number }
        const counts = this.#seen.get(client)
        if (counts === undefined) this.#seen.set(client, [count])
        else counts.push(count)
      }
      this.#verdicts += records.length
      this.#verdictAtMs = performance.now()
      consumer.done(frame, records.length)
    }
    consumer.acknowledge()
  }
}

/** Each line of each client was counted once, in its turn. */
export function assertEachOnce(sent: ReadonlyMap<string, number>, seen: ReadonlyMap<string, number[]>): void {
  for (const [client, lines] of sent) {
    const wanted = Array.from({ length: lines }, (_, i) => i + 1)
    assert.deepEqual(seen.get(client) ?? [], wanted, `the counts of ${client}`)
  }
}
