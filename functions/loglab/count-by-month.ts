/**
 * log-count-by-month: how many different words each month has, in each partition of the words; log-total adds them up.
 *
 * A month is as long as a month, so its count so far goes out too, every REPORT_MS (10 s) in which there were words.
 * @module
 */
import { type Context, defineFunction, groupBy } from 'concord'
import { addWord, closeWindow, openCounts } from './distinct.ts'
import { EventTime } from './event-time.ts'
import { months, timeWindowOf } from './panes.ts'
import type { CountPart } from './parts.ts'
import { latenessSetting, setting } from './settings.ts'

const output = 'log-counts-by-month-parts'
const reportingKey = 'reporting'
let time: EventTime
let reportMs: number

export default defineFunction({
  metadata: {
    name: 'log-count-by-month',
    istreams: { 'log-words': groupBy },
    ostreams: [output],
    onError: 'deadLetter',
  },

  init(ctx) {
    time = new EventTime(months, latenessSetting(ctx))
    reportMs = setting(ctx, 'REPORT_MS', 10_000, 1)
  },

  processRecord(ctx, record) {
    const { partition, timeMs } = record
    const { pane, closing, closed } = time.advance(ctx, timeMs)
    for (const month of closing) send(ctx, partition, month, closeWindow(ctx, month), true)
    addWord(ctx, record.keyText(), pane, months.count, closed)
    if (ctx.counter(reportingKey).get() > 0) return
    ctx.counter(reportingKey).add()
    ctx.setTimer(String(partition), ctx.nowMs() + reportMs)
  },

  processTimer(ctx, partition) {
    const { closed, newest } = time.progress(ctx)!
    for (const [month, words] of openCounts(ctx, closed, newest))
      send(ctx, Number(partition), month, words, false)
    ctx.counter(reportingKey).delete()
  },
})

function send(ctx: Context, partition: number, month: number, words: number, closed: boolean): void {
  if (words === 0) return
  const window = timeWindowOf(months, month)
  const part: CountPart = { ...window, partition, words, closed }
  ctx.produceRecord(output, window.from.slice(0, 'YYYY-MM'.length), JSON.stringify(part))
}
