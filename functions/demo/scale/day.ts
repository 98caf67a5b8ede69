/**
 * Day: sends the orders of a day, in a minute, and checks the receipts.
 *
 *   DY1. Each order is numbered within its customer, and its receipt contains the count in state. So a lost order, a
 *        repeated one, and wrong state become visible.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ConcordClient } from 'concord/client'
import { ofDay } from '../../../sdk/scaling/index.ts'

const customers = 200
const turnMs = 25
/** How long to wait at the end for orders that are still on their way. */
const lastMs = 30_000

/** A measurement. */
export interface Look {
  readonly perSecond: number
  readonly instances: number
  readonly waiting: number
  /** The longest latency of the receipts since the last measurement. */
  readonly latencyMs: number
}

export interface DayOptions {
  readonly client: ConcordClient
  readonly seconds: number
  /** The most orders a second. */
  readonly peak: number
  readonly signal: AbortSignal
  readonly onLook: (look: Look, time: number) => void
}

export interface Day {
  readonly looks: readonly Look[]
  readonly sent: number
  readonly received: number
  /** Receipts that were not the next one of their customer, or whose count was wrong. */
  readonly wrong: number
}

export async function runDay({ client, seconds, peak, signal, onLook }: DayOptions): Promise<Day> {
  const reading = new AbortController()
  const receipts = new Receipts()
  const following = receipts.read(client, AbortSignal.any([reading.signal, signal]))
  await receipts.ready
  const looks: Look[] = []
  const numbers = new Array<number>(customers).fill(0)
  const startMs = performance.now()
  const time = () => (performance.now() - startMs) / 1000 / seconds
  let [sent, owed, turn] = [0, 0, 0]
  let looking: Promise<void> | undefined

  const look = async () => {
    const { instancesRunning, ledger } = await client.inspect('desk')
    const waiting = ledger.reduce((sum, { inFlight }) => sum + inFlight, 0)
    const seen = {
      perSecond: peak * ofDay(time()),
      instances: instancesRunning,
      waiting,
      latencyMs: receipts.latencyMs(),
    }
    looks.push(seen)
    onLook(seen, time())
  }
  for (let lastLookMs = startMs, beforeMs = startMs; time() < 1; ) {
    signal.throwIfAborted()
    await sleep(turnMs)
    const nowMs = performance.now()
    owed += (peak * ofDay(time()) * (nowMs - beforeMs)) / 1000
    beforeMs = nowMs
    const count = Math.floor(owed)
    owed -= count
    const orders = Array.from({ length: count }, () => {
      const customer = turn++ % customers
      return { key: String(customer), value: `${++numbers[customer]!} ${nowMs}` }
    })
    if (count > 0) sent += (await client.produce('orders', orders)).accepted
    if (nowMs - lastLookMs < 500) continue
    lastLookMs = nowMs
    await looking
    looking = look()
  }
  await looking
  const deadlineMs = performance.now() + lastMs
  while (receipts.received < sent && performance.now() < deadlineMs) {
    signal.throwIfAborted()
    await sleep(turnMs)
  }
  reading.abort()
  await following
  return { looks, sent, received: receipts.received, wrong: receipts.wrong }
}

class Receipts {
  readonly #ready = Promise.withResolvers<void>()
  readonly #seen = new Array<number>(customers).fill(0)
  #latestMs = 0
  received = 0
  wrong = 0

  get ready(): Promise<void> {
    return this.#ready.promise
  }

  /** The longest latency since the last call. */
  latencyMs(): number {
    const latestMs = this.#latestMs
    this.#latestMs = 0
    return latestMs
  }

  async read(client: ConcordClient, signal: AbortSignal): Promise<void> {
    try {
      for await (const line of client.follow('receipts', { hold: true, signal })) {
        if (!('event' in line)) this.#see(Number(line.key), line.value ?? '')
        else if (line.event === 'ready') this.#ready.resolve()
      }
    } catch (error) {
      this.#ready.reject(error)
      if (!signal.aborted) throw error
    }
  }

  #see(customer: number, value: string): void {
    const [number, sentMs, counted] = value.split(' ').map(Number) as [number, number, number]
    const expected = ++this.#seen[customer]!
    this.received += 1
    this.#latestMs = Math.max(this.#latestMs, performance.now() - sentMs)
    if (number !== expected || counted !== expected) this.wrong += 1
  }
}
