/**
 * The function of the throughput benchmark: counts the records of each key in its state, and sends the value on with
 * the count in its last four bytes (its first four are the sink's, to check order with).
 */
import { defineFunction, groupBy } from 'concord'

const value = new Uint8Array(100)
const state = new Uint8Array(4)

export default defineFunction({
  metadata: { name: 'count', istreams: { in: groupBy }, ostreams: ['out'] },
  processRecord(ctx, record) {
    const before = ctx.getState(record.key)
    write(1 + (before === undefined ? 0 : read(before)))
    ctx.setState(record.key, state)
    value.set(record.value)
    value.set(state, 96)
    ctx.produceRecord('out', record.key, value)
  },
})

// By bytes: a DataView on a small array makes V8 move it out of its heap.
function read(bytes: Uint8Array): number {
  return bytes[0]! | (bytes[1]! << 8) | (bytes[2]! << 16) | (bytes[3]! << 24)
}

function write(count: number): void {
  state[0] = count
  state[1] = count >>> 8
  state[2] = count >>> 16
  state[3] = count >>> 24
}
