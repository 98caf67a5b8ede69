/**
 * Offers: the scheduler as the process it is, at a master that sends 1,000 offers a second, and at one that sends none.
 *
 * The master is a socket that speaks its protocol; each offer is an event of its own, of one of 1,000 agents, and is weighed, since
 * something waits that fits nowhere. It is answered when the call that declines it arrives.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { chunk, ScriptedMaster, streamHead, subscribed } from '../../scheduler/mesos/scripted-master.ts'
import { Platform } from '../../scheduler/testing/platform.ts'
import { until } from '../../scheduler/testing/until.ts'
import { cpuSecondsOf } from './stage/cpu.ts'
import type { Benchmark } from './suite/benchmark.ts'

const perSecond = 1_000
const agents = 1_000
const warmUpMs = 3_000
const underLoadMs = 20_000
const settleMs = 5_000
const idleMs = 60_000

export const offers: Benchmark = {
  name: 'offers',
  measures: `a scheduler's process at a Mesos master that sends ${perSecond.toLocaleString('en')} offers/s, each an event of its own, while something waits that fits nowhere: ms from an offer to the arrival of its answer; its share of a core then, and when nothing comes for ${idleMs / 1000} s`,
  measuresNot:
    'launches; heartbeats of runners; its ZooKeeper clients, of which each takes 0.2 % of a core when idle.',
  figures: {
    p99: { title: 'p99', unit: 'ms' },
    p50: { title: 'p50', unit: 'ms' },
    cpu: { title: `CPU at ${perSecond.toLocaleString('en')} offers/s`, unit: '%' },
    idle: { title: 'CPU idle', unit: '%' },
  },
  subject: 'Concord',
  references: {},
  async open() {
    const ends: (() => unknown)[] = []
    const platform = await Platform.start({ after: (end) => ends.push(end) })
    const master = await OfferingMaster.start()
    ends.push(() => master.close())
    const { child } = await platform.scheduler({ CONCORD_MESOS_URL: master.url })
    await until('it has subscribed', () => master.isSubscribed)
    await platform.deploy(1, { name: 'too-large', istreams: {}, ostreams: ['o'], resources: { cpus: 64 } })
    return {
      async measure() {
        const cpu = async (whileMs: number, work: () => Promise<void>): Promise<number> => {
          const before = cpuSecondsOf(child.pid!)!
          const startMs = performance.now()
          await work()
          await sleep(Math.max(0, startMs + whileMs - performance.now()))
          return ((cpuSecondsOf(child.pid!)! - before) / (performance.now() - startMs)) * 100_000
        }
        await master.offer(warmUpMs)
        let tookMs: number[] = []
        const busy = await cpu(underLoadMs, async () => {
          tookMs = await master.offer(underLoadMs)
        })
        await sleep(settleMs)
        const idle = await cpu(idleMs, async () => {})
        const sorted = tookMs.sort((a, b) => a - b)
        const at = (share: number) => sorted[Math.floor(sorted.length * share)]!
        return { values: { p99: at(0.99), p50: at(0.5), cpu: busy, idle } }
      },
      async close() {
        for (const end of ends.reverse()) await end()
      },
    }
  },
}

class OfferingMaster {
  readonly #master: ScriptedMaster
  #write: ((text: string) => void) | undefined
  readonly #sentAtMs = new Map<string, number>()
  #tookMs: number[] = []
  #count = 0

  private constructor(master: ScriptedMaster) {
    this.#master = master
    master.answer = ({ body, socket }) => {
      if (body.type === 'SUBSCRIBE') {
        this.#write = (text) => socket.write(text)
        return streamHead + subscribed('offers')
      }
      for (const { value } of (body.decline ?? body.accept)?.offer_ids ?? []) this.#answered(value)
      return 'HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n'
    }
  }

  static async start(): Promise<OfferingMaster> {
    return new OfferingMaster(await ScriptedMaster.start())
  }

  get url(): string {
    return this.#master.url
  }

  get isSubscribed(): boolean {
    return this.#write !== undefined
  }

  /** Offers for so long, at an even pace. @returns How long each answer took, once all are there. */
  async offer(durationMs: number): Promise<number[]> {
    this.#tookMs = []
    const startMs = performance.now()
    for (let sent = 0; sent < (durationMs * perSecond) / 1000; ) {
      const due = Math.floor(((performance.now() - startMs) * perSecond) / 1000)
      for (; sent < due; sent++) this.#send()
      this.#master.calls.length = 0
      await sleep(1)
    }
    await until('every offer is answered', () => this.#sentAtMs.size === 0)
    return this.#tookMs
  }

  close(): Promise<void> {
    return this.#master.close()
  }

  #send(): void {
    const agent = this.#count % agents
    const value = `offer-${this.#count++}`
    const scalar = (name: string, amount: number) => ({
      ...{ name, type: 'SCALAR', scalar: { value: amount }, allocation_info: { role: 'concord' } },
    })
    const offer = {
      ...{ id: { value }, agent_id: { value: `agent-${agent}` }, hostname: `agent-${agent}` },
      resources: [scalar('cpus', 4), scalar('mem', 8_192), scalar('disk', 8_192)],
      attributes: [{ name: 'zone', type: 'TEXT', text: { value: `zone-${agent % 3}` } }],
      allocation_info: { role: 'concord' },
    }
    this.#sentAtMs.set(value, performance.now())
    this.#write!(chunk({ type: 'OFFERS', offers: { offers: [offer] } }))
  }

  #answered(id: string): void {
    const sentAtMs = this.#sentAtMs.get(id)
    if (sentAtMs === undefined) return
    this.#sentAtMs.delete(id)
    this.#tookMs.push(performance.now() - sentAtMs)
  }
}
