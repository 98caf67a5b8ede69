/**
 * The function of the throughput benchmark, which throws for good at each record that the load has marked as poison (workload.ts).
 */
import { defineFunction, groupBy } from 'concord'

/** What stands where others have their number. */
const poison = 0xffffffff
const value = new Uint8Array(100)
const state = new Uint8Array(4)

export default defineFunction({
  metadata: { name: 'poison', istreams: { in: groupBy }, ostreams: ['out'] },
  processRecord(ctx, record) {
    const number = read(record.value) >>> 0
    if (number === poison) check(number)
    const before = ctx.getState(record.key)
    write(1 + (before === undefined ? 0 : read(before)))
    ctx.setState(record.key, state)
    value.set(record.value)
    value.set(state, 96)
    ctx.produceRecord('out', record.key, value)
  },
})

function check(number: number): void {
  validate(number)
}

function validate(number: number): void {
  throw new RangeError(`this value is out of range: ${number}`)
}

function read(bytes: Uint8Array): number {
  return bytes[0]! | (bytes[1]! << 8) | (bytes[2]! << 16) | (bytes[3]! << 24)
}

function write(count: number): void {
  state[0] = count
  state[1] = count >>> 8
  state[2] = count >>> 16
  state[3] = count >>> 24
}
