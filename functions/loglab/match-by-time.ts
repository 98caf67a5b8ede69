/**
 * log-match-by-time: log-match in windows of the lines' time, WINDOW_MS long (10 s) and sliding by SLIDE_MS (10 s: tumbling).
 * @module
 */
import { type Context, defineFunction, groupBy } from 'concord'
import { EventTime } from './event-time.ts'
import { idlePartition, lineCame } from './idle.ts'
import { parseLine } from './line.ts'
import { type Match, matchesIn, matchOf } from './matches.ts'
import { type SlidingPanes, slidingPanes, timeWindowOf, windowOf } from './panes.ts'
import { idleSetting, latenessSetting, setting, wordSetting } from './settings.ts'

/** Of a window: a match, or, when it has closed, how many there were in this partition. */
export type TimedMatch = { readonly from: string; readonly to: string; readonly partition: number } & (
  | { readonly match: Match }
  | { readonly matches: number }
)

const output = 'log-matches-by-time'
let word: string
let panes: SlidingPanes
let time: EventTime
let idleMs: number

export default defineFunction({
  metadata: {
    name: 'log-match-by-time',
    istreams: { logs: groupBy },
    ostreams: [output],
    onError: 'deadLetter',
  },

  init(ctx) {
    word = wordSetting(ctx)
    panes = slidingPanes(setting(ctx, 'WINDOW_MS', 10_000, 1), setting(ctx, 'SLIDE_MS', 10_000, 1), 'MS')
    time = new EventTime(panes, latenessSetting(ctx))
    idleMs = idleSetting(ctx)
  },

  processRecord(ctx, record) {
    const { partition } = record
    const line = record.text()
    const parsed = parseLine(line)
    const { pane, closing } = time.advance(ctx, parsed.timeMs)
    close(ctx, partition, closing)
    lineCame(ctx, partition, idleMs)
    if (!line.includes(word)) return
    const match = matchOf(parsed)
    matchesIn(ctx, panes).add(parsed.timeMs)
    for (let window = pane; window < pane + panes.count; window++)
      send(ctx, { ...timeWindowOf(panes, window), partition, match })
  },

  processTimer(ctx, key) {
    const partition = idlePartition(ctx, key, idleMs)
    if (partition !== undefined) close(ctx, partition, time.closeAll(ctx).closing)
  },
})

function close(ctx: Context, partition: number, closing: readonly number[]): void {
  for (const window of closing) {
    const matches = matchesIn(ctx, panes).close(windowOf(panes, window).from)
    if (matches > 0) send(ctx, { ...timeWindowOf(panes, window), partition, matches })
  }
}

function send(ctx: Context, result: TimedMatch): void {
  ctx.produceRecord(output, result.from, JSON.stringify(result))
}
