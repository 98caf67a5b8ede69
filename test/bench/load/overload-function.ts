/**
 * A function that can do a fixed number of records a second, until a moment; then it is quick. A record out of turn is an
 * error, and skipped, so that it is counted.
 * @module
 */
import { defineFunction, shuffle } from 'concord'

const last = new Map<number, number>()
let records = 0

export default defineFunction({
  metadata: { name: 'slow', istreams: { in: shuffle }, onError: 'skip' },
  processRecord(ctx, { partition, value }) {
    const number = new DataView(value.buffer, value.byteOffset).getUint32(0, true)
    if (number <= (last.get(partition) ?? -1)) throw new Error(`${number} is out of turn`)
    last.set(partition, number)
    if (++records % 8 !== 0 || ctx.nowMs() > Number(ctx.env['SLOW_UNTIL'])) return
    return new Promise((resolve) => setTimeout(resolve, 1))
  },
})
