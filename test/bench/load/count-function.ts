/**
 * The function of the throughput benchmark: counts the records of each key in its state, and sends the value on with
 * the count in its last four bytes (its first four are the sink's, to check order with).
 */
import { defineFunction, groupBy } from 'concord'

const value = new Uint8Array(100)
const state = new Uint8Array(4)
const stateView = new DataView(state.buffer)

export default defineFunction({
  metadata: { name: 'count', istreams: { in: groupBy }, ostreams: ['out'] },
  processRecord(ctx, record) {
    const before = ctx.getState(record.key)
    const count =
      1 + (before === undefined ? 0 : new DataView(before.buffer, before.byteOffset).getUint32(0, true))
    stateView.setUint32(0, count, true)
    ctx.setState(record.key, state)
    value.set(record.value)
    value.set(state, 96)
    ctx.produceRecord('out', record.key, value)
  },
})
