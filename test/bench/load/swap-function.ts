/**
 * The function of the swap benchmark: a gigabyte of state, of which each record overwrites a random part; what it puts out
 * says which version did it.
 */
import { defineFunction, groupBy } from 'concord'

/** Set by the benchmark: so much of state in each partition, and another bundle for every other version. */
declare const KEYS: number
declare const VARIANT: string
/** Whether each version has a `migrate`, and reads an entry, in whatever shape, before it overwrites it. */
declare const MIGRATES: boolean

const valueBytes = 1000
/** Entries that a record adds until all are there. */
const addedAtOnce = 8
const stored = new Uint8Array(valueBytes)
const value = new Uint8Array(100)
let random = 1

export default defineFunction({
  metadata: { name: 'swapped', istreams: { in: groupBy }, ostreams: ['out'] },
  processRecord(ctx, record) {
    value.set(record.value)
    const filled = ctx.counter('filled')
    const count = filled.get()
    if (count < KEYS) {
      for (let i = 0; i < addedAtOnce; i++) ctx.setState(`key ${count + i}`, stored)
      filled.add(addedAtOnce)
    }
    random = (Math.imul(random, 1664525) + 1013904223) >>> 0
    stored[0] = ctx.version
    const key = `key ${random % Math.min(KEYS, count + 1)}`
    if (MIGRATES) ctx.getState(key)
    ctx.setState(key, stored)
    value[92] = ctx.version
    value[93] = ctx.version >>> 8
    value[94] = VARIANT.length
    ctx.produceRecord('out', record.key, value)
  },
  ...(MIGRATES && {
    migrate(ctx) {
      ctx.set(ctx.value)
    },
  }),
})
