/**
 * log-count-by-time: how many different words lie in windows of the lines' time, WINDOW_MS long (10 s) and sliding by SLIDE_MS
 * (1 s), in each partition of the words; log-total adds them up.
 * @module
 */
import { type Context, defineFunction, groupBy } from 'concord'
import { addWord, closeWindow } from './distinct.ts'
import { EventTime } from './event-time.ts'
import { idlePartition, lineCame } from './idle.ts'
import { type Panes, slidingPanes, timeWindowOf } from './panes.ts'
import type { CountPart } from './parts.ts'
import { idleSetting, latenessSetting, setting } from './settings.ts'

const output = 'log-counts-by-time-parts'
let panes: Panes
let time: EventTime
let idleMs: number

export default defineFunction({
  metadata: {
    name: 'log-count-by-time',
    istreams: { 'log-words': groupBy },
    ostreams: [output],
    onError: 'deadLetter',
  },

  init(ctx) {
    panes = slidingPanes(setting(ctx, 'WINDOW_MS', 10_000, 1), setting(ctx, 'SLIDE_MS', 1000, 1), 'MS')
    time = new EventTime(panes, latenessSetting(ctx))
    idleMs = idleSetting(ctx)
  },

  processRecord(ctx, record) {
    const { partition, timeMs } = record
    const { pane, closing, closed } = time.advance(ctx, timeMs)
    close(ctx, partition, closing)
    lineCame(ctx, partition, idleMs)
    addWord(ctx, record.keyText(), pane, panes.count, closed)
  },

  processTimer(ctx, key) {
    const partition = idlePartition(ctx, key, idleMs)
    if (partition !== undefined) close(ctx, partition, time.closeAll(ctx).closing)
  },
})

function close(ctx: Context, partition: number, closing: readonly number[]): void {
  for (const window of closing) {
    const words = closeWindow(ctx, window)
    if (words === 0) continue
    const part: CountPart = { ...timeWindowOf(panes, window), partition, words, closed: true }
    ctx.produceRecord(output, part.from, JSON.stringify(part))
  }
}
