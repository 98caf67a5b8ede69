/**
 * enrich: adds to each visit the country of its address, which another system knows. A function has no network, so it sends
 * the address to the stream `questions`, and lets the visit wait in its state until `answers` has the country.
 *
 *   - An address is asked for once, however many of its visits wait. Its answer is kept for an hour.
 *   - A question or an answer may get lost, since a stream keeps nothing for a program that is away. So a timer asks
 *     again; after the last time, the visits go on without a country.
 *   - The visits that wait for one address are bounded. More of them go on without a country.
 * @module
 */
import { type Context, defineFunction, groupBy } from 'concord'

const askAgainMs = 10_000
const asksMax = 3
const keptMs = 3_600_000
const waitingMax = 1_000

interface Waiting {
  readonly page: string
  readonly timeMs: number
}

export default defineFunction({
  metadata: {
    name: 'enrich',
    istreams: { visits: groupBy, answers: groupBy }, // both keyed by the address, so both meet in the same state
    ostreams: ['questions', 'enriched'],
  },

  processRecord(ctx, record) {
    const address = record.keyText()
    const country = ctx.value<string>(address, { ttlMs: keptMs })
    if (record.stream === 'answers') {
      country.set(record.text())
      return release(ctx, address, record.text())
    }
    const visit = { page: record.text(), timeMs: record.timeMs }
    const waiting = ctx.list<Waiting>(address)
    const known = country.get()
    if (known !== undefined || waiting.length === waitingMax) return send(ctx, address, visit, known)
    waiting.push(visit)
    if (waiting.length === 1) ask(ctx, address) // the others wait for the same answer
  },

  /** Asks again; after the last time, the visits go on without a country. */
  processTimer(ctx, address) {
    if (ctx.list<Waiting>(address).length === 0) return // the answer has come
    if (ctx.counter(address).get() < asksMax) ask(ctx, address)
    else release(ctx, address, undefined)
  },
})

function ask(ctx: Context, address: string): void {
  ctx.counter(address).add()
  ctx.produceRecord('questions', address, '')
  ctx.setTimer(address, ctx.nowMs() + askAgainMs)
}

function release(ctx: Context, address: string, country: string | undefined): void {
  const waiting = ctx.list<Waiting>(address)
  for (const visit of waiting.items()) send(ctx, address, visit, country)
  waiting.clear()
  ctx.counter(address).delete()
}

function send(ctx: Context, address: string, { page, timeMs }: Waiting, country: string | undefined): void {
  ctx.produceRecord('enriched', address, JSON.stringify({ page, country }), { timeMs })
}
