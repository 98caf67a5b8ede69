/**
 * Steps: numbered records over HTTP at a rate that changes while they flow, and what came of each.
 *
 * The function adds one to its key's state for each record and says both numbers: so the outputs of a key are 1, 2, 3 … in the
 * order of its records if nothing is lost, nothing is done twice, order is kept, and state moves along.
 * @module
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ConcordClient } from '../../../sdk/client/index.ts'

/** Enough that partitions have nearly as many each. */
const stepKeys = 2048
const turnMs = 20

/** Source of a function that waits `waitMs` for each record, asynchronously, or not at all. */
export function stepSource(name: string, waitMs: number): string {
  const wait = waitMs > 0 ? `await new Promise((resolve) => setTimeout(resolve, ${waitMs}))` : ''
  return `import { defineFunction, groupBy } from 'concord'
export default defineFunction({
  metadata: { name: '${name}', istreams: { '${name}-in': groupBy }, ostreams: ['${name}-out'] },
  ${waitMs > 0 ? 'async ' : ''}processRecord(ctx, record) {
    ${wait}
    const count = ctx.counter(record.key).add()
    ctx.produceRecord('${name}-out', record.key, \`\${record.text()} \${count}\`)
  },
})
`
}

/** Writes a project: source and concord.jsonc. @returns Its folder. */
export function writeProject(home: string, name: string, source: string, manifest: object): string {
  const folder = join(home, `project-${name}`)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'index.ts'), source)
  writeFileSync(join(folder, 'concord.jsonc'), JSON.stringify(manifest))
  return folder
}

export class Steps {
  readonly #client: ConcordClient
  readonly #name: string
  /** Records a second. */
  rate = 0
  sent = 0
  outputs = 0
  /** What was wrong with outputs, in words. */
  readonly faults: string[] = []
  /** Of the last second's outputs, from being made to being read. */
  #latencies: { readonly atMs: number; readonly ms: number }[] = []
  readonly #nextSent = new Array<number>(stepKeys).fill(0)
  readonly #nextSeen = new Array<number>(stepKeys).fill(0)
  readonly #stop = new AbortController()
  #sending: Promise<void> = Promise.resolve()
  #reading: Promise<void> = Promise.resolve()

  private constructor(client: ConcordClient, name: string) {
    this.#client = client
    this.#name = name
  }

  /** Begins to read, then to send. */
  static async start(client: ConcordClient, name: string): Promise<Steps> {
    const steps = new Steps(client, name)
    const ready = Promise.withResolvers<void>()
    steps.#reading = steps
      .#read(() => ready.resolve())
      .catch((error) => {
        ready.reject(error)
        if (!steps.#stop.signal.aborted) steps.faults.push(`reading ended: ${error}`)
      })
    await ready.promise
    steps.#sending = steps.#send()
    return steps
  }

  /** The longest latency of the outputs of the last second, or how long nothing came that is due. */
  get behindMs(): number {
    const nowMs = performance.now()
    this.#latencies = this.#latencies.filter(({ atMs }) => nowMs - atMs < 1000)
    const newest = this.#latencies.length === 0 && this.outputs < this.sent ? 1000 : 0
    return this.#latencies.reduce((most, { ms }) => Math.max(most, ms), newest)
  }

  /** Sends no more, waits until all has come, and stops. */
  async end(waitMs = 120_000): Promise<void> {
    this.rate = 0
    const deadlineMs = performance.now() + waitMs
    while (this.outputs < this.sent && performance.now() < deadlineMs) await sleep(turnMs)
    this.#stop.abort()
    await Promise.all([this.#sending, this.#reading])
  }

  async #send(): Promise<void> {
    let owed = 0
    for (let lastMs = performance.now(); !this.#stop.signal.aborted; ) {
      await sleep(turnMs)
      const nowMs = performance.now()
      owed = Math.min(owed + (this.rate * (nowMs - lastMs)) / 1000, this.rate)
      lastMs = nowMs
      const count = Math.floor(owed)
      if (count === 0) continue
      owed -= count
      const records = Array.from({ length: count }, () => this.#next(nowMs))
      this.sent += count
      await this.#client.produce(`${this.#name}-in`, records).catch((error) => {
        this.faults.push(`sending failed: ${error}`)
      })
    }
  }

  #next(nowMs: number) {
    const key = this.sent === 0 ? 0 : Math.floor(Math.random() * stepKeys)
    const number = ++this.#nextSent[key]!
    return { key: String(key), value: `${number} ${nowMs}` }
  }

  async #read(ready: () => void): Promise<void> {
    for await (const line of this.#client.follow(`${this.#name}-out`, {
      hold: true,
      signal: this.#stop.signal,
    })) {
      if ('event' in line) {
        if (line.event === 'ready') ready()
        else this.faults.push(`a gap of ${line.records}`)
        continue
      }
      this.#see(Number(line.key), line.value ?? '')
    }
  }

  #see(key: number, value: string): void {
    const [number, sentMs, count] = value.split(' ').map(Number) as [number, number, number]
    const expected = ++this.#nextSeen[key]!
    const atMs = performance.now()
    this.outputs += 1
    this.#latencies.push({ atMs, ms: atMs - sentMs })
    if (number !== expected || count !== expected)
      this.faults.push(`key ${key}: record ${number}, state ${count}, where ${expected} was due`)
  }
}
