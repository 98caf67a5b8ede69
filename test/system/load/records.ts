/**
 * What lies in the records of the load, little-endian 32-bit words at the start of the value:
 *
 *   input   0 producer's index   4 number in (producer, partition)
 *   output  0 kind   4 producer's index   8 number   12 the number before, as the state knew it (-1: none, -2: untold)   16 tick at its begin
 *           20 tick at its end   24 1 if it has set a timer   28 the version that wrote it   32 a number that its isolate has drawn
 * @module
 */
import { partitionOf } from '../../../sdk/wire/hash.ts'

export const partitions = 16
export const valueBytes = 100
export const kinds = { output: 0, fired: 1 } as const

export interface FunctionOptions {
  readonly name: string
  /** Of a million records, how many throw, at a random point of the callback. */
  readonly throwsPerMillion: number
  /** How many set a timer. */
  readonly timersPerMillion: number
  /** How many wait for a setTimeout before they do anything. */
  readonly asyncPerMillion: number
  /** Whether outputs tell what the state knew; default true. */
  readonly keepsState?: boolean
  /** Whether it counts the records of each partition in its state, and answers the record 'ask' in NAME-counts. */
  readonly counts?: boolean
}

/** A key of each partition, so that a producer chooses the partition by the key. */
export function keysByPartition(): Uint8Array[] {
  const keys: (Uint8Array | undefined)[] = new Array(partitions).fill(undefined)
  for (let i = 0; keys.includes(undefined); i++) {
    const key = new TextEncoder().encode(`key-${i}`)
    keys[partitionOf(key, partitions)] ??= key
  }
  return keys as Uint8Array[]
}

/** The source of the function under load. */
export function functionOf({ name, keepsState = true, counts = false, ...chances }: FunctionOptions): string {
  return `
import { defineFunction, groupBy } from 'concord'
const chance = (perMillion: number): boolean => perMillion > 0 && Math.random() * 1e6 < perMillion
// What is put out or kept is copied: a buffer of its own for each would be most of what this function costs.
const [output, last] = [new Int32Array(9), new Int32Array(1)]
const isolate = Math.floor(Math.random() * 2 ** 31)
let tick = 0
export default defineFunction({
  metadata: { name: '${name}', istreams: { '${name}-in': groupBy }, ostreams: ['${name}-out'${counts ? `, '${name}-counts'` : ''}], onError: 'deadLetter' },
  processRecord(ctx, record) {
    if (${counts} && record.value.length === 3)
      return ctx.produceRecord('${name}-counts', record.key, String(ctx.counter('records').get()))
    const begin = tick++
    if (chance(${chances.asyncPerMillion})) return later(ctx, record, begin)
    try {
      work(ctx, record, begin)
    } finally {
      tick++
    }
  },
  processTimer(ctx, text) {
    const begin = tick++
    const [partition, producer, number] = text.split(' ').map(Number)
    send(ctx, partition, words(output, 1, producer, number, -1, begin, tick++, 0, ctx.version, isolate))
  },
})

async function later(ctx, record, begin) {
  try {
    await new Promise((resolve) => setTimeout(resolve, 1))
    work(ctx, record, begin)
  } finally {
    tick++
  }
}

function work(ctx, record, begin) {
  const { value } = record
  const [producer, number] = [int(value, 0), int(value, 4)]
  const setsTimer = chance(${chances.timersPerMillion})
  const throwsAt = chance(${chances.throwsPerMillion}) ? Math.floor(Math.random() * 4) : -1
  const fail = (point) => { if (point === throwsAt) throw new Error('at point ' + point) }
  fail(0)
  const stored = ctx.getState('last ' + producer)
  const before = !${keepsState} ? -2 : stored === undefined ? -1 : int(stored, 0)
  send(ctx, record.partition, words(output, 0, producer, number, before, begin, tick, setsTimer ? 1 : 0, ctx.version, isolate))
  fail(1)
  ctx.setState('last ' + producer, words(last, number))
  if (${counts}) ctx.counter('records').add(1)
  fail(2)
  if (setsTimer || throwsAt === 3) ctx.setTimer(record.partition + ' ' + producer + ' ' + number, ctx.nowMs() + 5)
  fail(3)
}

// By its number, not by key: so that an output lies where its input lay.
function send(ctx, partition, value) {
  ctx.produceRecord('${name}-out', '', value, { partition })
}

function words(target, ...numbers) {
  target.set(numbers)
  return new Uint8Array(target.buffer)
}

function int(bytes, at) {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)
}
`
}
