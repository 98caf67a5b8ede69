/**
 * Limits: how soon a record that breaks a limit has its verdict, and what the function beside it, in a runner of its own,
 * notices of that.
 *
 * A whole platform. The function beside takes fifty records a second and passes it on; the reference is the same
 * for as long, with nobody who breaks anything. A second one says how much of the difference any program would make: for each
 * record that would break a limit, a process that knows nothing of Concord burns a core for as long as the limit.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ConcordClient, isRecord } from '../../sdk/client/index.ts'
import { Platform } from '../system/platform.ts'
import { beganMs, hostileFunction, hostileRecords, limitMs } from './load/hostile-records.ts'
import { type Benchmark, type Sample, subject } from './suite/benchmark.ts'

const recordEveryMs = 20
const askEveryMs = 50
/** For the reference, in place of a record that breaks a limit and of the restart that follows. */
const aloneMs = 2_000
/** What is cold at first would count for whichever side is measured first. A run of few records, whose figures mean nothing, does with less. */
const warmUpMs = 20_000
/** What has not come by then never will. */
const lostAfterMs = 10_000
const offender = 'offender'

const neighbour = `import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: 'neighbour', istreams: { 'neighbour-in': groupBy }, ostreams: ['neighbour-out'] },
  processRecord(ctx, record) { ctx.produceRecord('neighbour-out', record.key, record.value) },
})
`

export const limits: Benchmark = {
  name: 'limits',
  measures:
    `milliseconds beyond a limit of ${limitMs} until a record that breaks it has its verdict, by how it does; what ends by its ` +
    'memory or takes its process along, since it began; latency through a function in another runner meanwhile',
  measuresNot:
    'a runner with cores of its own: what burns a core here has one of two. The latency is through the gateway, there and back.',
  figures: {
    p99: { title: 'neighbour p99', unit: 'ms' },
    p50: { title: 'neighbour p50', unit: 'ms' },
    ...Object.fromEntries(
      Object.entries(hostileRecords).map(([key, { title }]) => [key, { title, unit: 'ms', compared: false }]),
    ),
  },
  subject: 'Concord, limits are broken',
  references: { alone: 'the same, none is', spin: 'none is; a process of its own spins instead' },
  recordsDefault: Object.keys(hostileRecords).length,
  async open({ records }) {
    const ends: (() => unknown)[] = []
    const platform = await Platform.start({ after: (end: () => unknown) => void ends.unshift(end) } as never)
    await platform.deploy('neighbour', neighbour)
    const file = join(platform.home, 'concord.jsonc')
    const manifest = { main: 'offender.ts', limits: { callbackMs: limitMs, asyncMs: limitMs } }
    writeFileSync(file, JSON.stringify(manifest))
    await platform.deploy(offender, hostileFunction(offender))
    const warmed = await Beside.start(platform)
    await askFor(platform, Math.min(warmUpMs, aloneMs * records))
    await warmed.end()
    return {
      measure: (side) => measure(platform, Object.keys(hostileRecords).slice(0, records), side),
      close: async () => {
        for (const end of ends) await end()
      },
    }
  },
}

async function measure(platform: Platform, keys: readonly string[], side: string): Promise<Sample> {
  const beside = await Beside.start(platform)
  const verdicts: Record<string, number> = {}
  for (const key of keys) {
    if (side === subject) verdicts[key] = await verdictMs(platform, key)
    else await Promise.all([askFor(platform, aloneMs), side === 'spin' && spin(limitMs)])
  }
  const { latenciesMs, lost } = await beside.end()
  const at = (share: number) => latenciesMs[Math.floor((latenciesMs.length - 1) * share)]
  return {
    values: { p99: at(0.99), p50: at(0.5), ...verdicts },
    checks: { lost, repeated: 0, reordered: 0 },
  }
}

/** Sends a record that breaks a limit. @returns How long it took beyond the limit until that had its verdict. */
async function verdictMs(platform: Platform, key: string): Promise<number> {
  const { client } = platform
  const sentMs = Date.now()
  await client.produce(`${offender}-in`, [{ key, value: key }])
  const endedMs = await verdictAt(client, key, sentMs)
  await platform.until(offender, ({ state }) => state === 'running')
  let fromMs = sentMs
  for await (const { message } of client.logs(offender, { tail: 20 })) {
    const atMs = beganMs(message, key) ?? 0
    if (atMs > fromMs && atMs <= endedMs) fromMs = atMs // the attempt that the verdict is of
  }
  return endedMs - fromMs - (hostileRecords[key]!.breaks === 'time' ? limitMs : 0)
}

/** The gateway is asked as often as for a verdict: what that costs the function beside is not what a broken limit costs it. */
async function askFor({ client }: Platform, ms: number): Promise<void> {
  const sinceMs = Date.now()
  while (Date.now() < sinceMs + ms) {
    await client.deadLetters({ function: offender, key: 'none', sinceMs })
    await client.inspect(offender)
    await sleep(askEveryMs)
  }
}

/** A core is burnt for so long. */
async function spin(ms: number): Promise<void> {
  const code = `for (const untilMs = Date.now() + ${ms}; Date.now() < untilMs; );`
  await once(spawn(process.execPath, ['--eval', code], { stdio: 'ignore' }), 'exit')
}

/** When it was put aside, or has taken its process along. */
async function verdictAt(client: ConcordClient, key: string, sentMs: number): Promise<number> {
  for (;;) {
    const [letter] = (await client.deadLetters({ function: offender, key, sinceMs: sentMs })).letters
    if (letter !== undefined) return letter.failedAtMs
    const { lastExit } = (await client.inspect(offender)).instances[0]!
    if (lastExit !== undefined && lastExit.atMs >= sentMs && lastExit.reason !== 'recordBroke')
      return lastExit.atMs
    await sleep(askEveryMs)
  }
}

/** The function beside, its feed and its reader. */
class Beside {
  readonly #client: ConcordClient
  readonly #done = new AbortController()
  readonly #followed = new AbortController()
  readonly #latenciesMs: number[] = []
  #sent = 0
  #fed: Promise<void> = Promise.resolve()
  #read: Promise<void> = Promise.resolve()

  static async start({ client }: Platform): Promise<Beside> {
    const beside = new Beside(client)
    const following = Promise.withResolvers<void>()
    beside.#read = beside.#follow(following.resolve)
    beside.#read.catch(following.reject)
    await following.promise
    beside.#fed = beside.#feed()
    return beside
  }

  private constructor(client: ConcordClient) {
    this.#client = client
  }

  /** Waits for what is under way. @returns The latencies, sorted, and how many records never came. */
  async end(): Promise<{ latenciesMs: readonly number[]; lost: number }> {
    this.#done.abort()
    await this.#fed
    const deadlineMs = performance.now() + lostAfterMs
    while (this.#latenciesMs.length < this.#sent && performance.now() < deadlineMs) await sleep(recordEveryMs)
    this.#followed.abort()
    await this.#read
    return {
      latenciesMs: this.#latenciesMs.toSorted((a, b) => a - b),
      lost: this.#sent - this.#latenciesMs.length,
    }
  }

  /** A record carries when it was due, whenever it was really sent. */
  async #feed(): Promise<void> {
    for (let dueMs = performance.now(); !this.#done.signal.aborted; dueMs += recordEveryMs) {
      await sleep(Math.max(0, dueMs - performance.now()))
      await this.#client.produce('neighbour-in', [{ key: 'k', value: String(dueMs) }])
      this.#sent++
    }
  }

  async #follow(onReady: () => void): Promise<void> {
    const { signal } = this.#followed
    try {
      for await (const line of this.#client.follow('neighbour-out', { hold: true, signal })) {
        if (isRecord(line)) this.#latenciesMs.push(performance.now() - Number(line.value))
        else onReady()
      }
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }
}
