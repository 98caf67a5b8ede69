/**
 * A scorer of a fixed price: the mean of what it saw of a key, kept in state, goes with the value's bytes through a logistic
 * model, SCORER_ROUNDS times over. The rounds stand for a larger model; the benchmark chooses them so that a record costs
 * about 5 µs in a bare loop on the machine at hand.
 */
import { defineFunction, groupBy } from 'concord'

const weights = Float64Array.from({ length: 32 }, (_, i) => Math.sin(i + 1) / 8)
const value = new Uint8Array(100)
const state = new Uint8Array(8)
const profile = new Float64Array(state.buffer)
let rounds = 0

export default defineFunction({
  metadata: { name: 'scorer', istreams: { in: groupBy }, ostreams: ['out'] },
  processRecord(ctx, record) {
    if (rounds === 0) rounds = Number(ctx.env['SCORER_ROUNDS'])
    const before = ctx.getState(record.key)
    if (before === undefined) profile[0] = 0
    else state.set(before)
    value.set(record.value)
    const score = judge(profile[0]!, value)
    profile[0] = 0.9 * profile[0]! + 0.1 * score
    ctx.setState(record.key, state)
    value[99] = score * 255
    ctx.produceRecord('out', record.key, value)
  },
})

/** The number in the value's first eight bytes is the record's own and takes no part: scores depend on the key's past. */
function judge(mean: number, bytes: Uint8Array): number {
  let score = mean
  for (let round = 0; round < rounds; round++) {
    let sum = score
    for (let i = 0; i < weights.length; i++) sum += weights[i]! * (bytes[16 + i]! / 255 + mean)
    score = 1 / (1 + Math.exp(-sum))
  }
  return score
}
