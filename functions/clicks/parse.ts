/**
 * parse: a line of a web server's log becomes a click, keyed by the client's address.
 *
 * The line's own time goes into the click (event time, for the model); the record's time stays what it was, the time
 * at which the line was produced, and so measures the way through the pipeline.
 *
 * Lines are grouped by their key, whatever the producer made it (the client, the log's file): lines of one key stay in
 * order all the way to the model. With `shuffle` they would spread over partitions and could overtake one another.
 * @module
 */
import { defineFunction, groupBy } from 'concord'
import { parseCombined } from './combined-log.ts'

export default defineFunction({
  // A line that is not a log line becomes a dead letter with its reason (`concord dlq ls parse`): one bad line stops
  // nothing.
  metadata: { name: 'parse', istreams: { lines: groupBy }, ostreams: ['clicks'], onError: 'deadLetter' },

  processRecord(ctx, record) {
    const click = parseCombined(record.text())
    ctx.produceRecord('clicks', click.client, JSON.stringify(click))
  },
})
