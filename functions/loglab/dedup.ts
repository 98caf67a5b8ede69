/**
 * log-dedup: of equal lines, the first goes on.
 *
 * Equal lines have equal times, for the time stands in the line; so a line need be remembered only until lines of its
 * time are late. What is kept is bounded by that, and exact: the line itself, not a hash of it. Lines are grouped by
 * their key, so equal lines must have equal keys: none, or something that follows from the line, like its host.
 * @module
 */
import { defineFunction, groupBy } from 'concord'
import { EventTime } from './event-time.ts'
import { parseLine } from './line.ts'
import { slidingPanes } from './panes.ts'
import { push } from './queue.ts'
import { latenessSetting } from './settings.ts'

const seconds = slidingPanes(1000, 1000, 'MS')
const linePrefix = 'line/'

let time: EventTime

export default defineFunction({
  metadata: {
    name: 'log-dedup',
    istreams: { logs: groupBy },
    ostreams: ['log-unique'],
    onError: 'deadLetter',
  },

  init(ctx) {
    time = new EventTime(seconds, latenessSetting(ctx))
  },

  processRecord(ctx, record) {
    const line = record.text()
    const { timeMs } = parseLine(line)
    const { pane, closed } = time.advance(ctx, timeMs)
    const key = linePrefix + line
    if (ctx.getState(key) !== undefined) return
    ctx.setState(key, '')
    push(ctx, pane, line, closed + 1, (old) => ctx.deleteState(linePrefix + old))
    ctx.produceRecord('log-unique', record.key, record.value)
  },
})
