/**
 * log-total: adds up the counts that the partitions of the words have of a window.
 *
 * A new sum goes out with each part; the last one of a window counts. A window of time is forgotten KEEP_MS (an hour of the
 * platform's clock) after its last part; months are kept, they are few.
 * @module
 */
import { defineFunction, groupBy } from 'concord'
import type { Count, CountPart } from './parts.ts'
import { setting } from './settings.ts'

interface Known {
  /** By partition: the words, and whether the window has closed there. */
  readonly parts: Record<string, readonly [words: number, closed: boolean]>
  cameMs: number
}

const monthParts = 'log-counts-by-month-parts'
const outputs: Readonly<Record<string, string>> = {
  [monthParts]: 'log-counts-by-month',
  'log-counts-by-time-parts': 'log-counts-by-time',
}
let keepMs: number

export default defineFunction({
  metadata: {
    name: 'log-total',
    istreams: { [monthParts]: groupBy, 'log-counts-by-time-parts': groupBy },
    ostreams: Object.values(outputs),
  },

  init(ctx) {
    keepMs = setting(ctx, 'KEEP_MS', 3_600_000, 1)
  },

  processRecord(ctx, record) {
    const { from, to, partition, words, closed } = record.json<CountPart>()
    const key = `${record.stream}/${record.keyText()}`
    const known = ctx.getJson<Known>(key)
    const parts: Known['parts'] = { ...known?.parts, [partition]: [words, closed] }
    if (known === undefined && record.stream !== monthParts) ctx.setTimer(key, ctx.nowMs() + keepMs)
    ctx.setJson(key, { parts, cameMs: ctx.nowMs() } satisfies Known)
    const all = Object.values(parts)
    const count: Count = {
      from,
      to,
      words: all.reduce((sum, [part]) => sum + part, 0),
      parts: all.length,
      closed: all.filter(([, closedThere]) => closedThere).length,
    }
    ctx.produceRecord(outputs[record.stream]!, record.key, JSON.stringify(count))
  },

  processTimer(ctx, key) {
    const dueMs = ctx.getJson<Known>(key)!.cameMs + keepMs
    if (ctx.nowMs() < dueMs) ctx.setTimer(key, dueMs)
    else ctx.deleteState(key)
  },
})
