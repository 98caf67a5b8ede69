import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { TakenFrame } from '../../infra/bus/index.ts'
import { frameOf, parseFrame, type RawRecord, stampHeader } from '../../sdk/wire/frame.ts'
import type { RecordFailure } from '../isolate/index.ts'
import { errorOf, locate } from './failed.ts'

const id = { low: 1, high: 0 }
const error = { name: 'RangeError', message: 'no', stack: '', timeMs: 1 }

function failure(index: number, told = true): RecordFailure {
  return { index, action: 'skip', attempts: told ? 1 : 0, told, error }
}

function taken(keys: readonly string[], sequence: number, skip: number, finished: number): TakenFrame {
  const records: RawRecord[] = keys.map((key) => ({
    key: Buffer.from(key),
    value: new Uint8Array(0),
    timeMs: 0,
  }))
  const bytes = frameOf(records)
  stampHeader(bytes, {
    flags: 0,
    partition: 3,
    producer: id,
    origin: id,
    epoch: 1,
    count: keys.length,
    sequence,
  })
  return { stream: 'in', partition: 3, bytes, header: parseFrame(bytes), skip, finished }
}

test('locate finds the record of each failure, whatever was skipped or finished before it', () => {
  const frames = fc.array(
    fc.record({ count: fc.integer({ min: 1, max: 6 }), skip: fc.nat(6), finished: fc.nat(6) }),
    { minLength: 1, maxLength: 5 },
  )
  fc.assert(
    fc.property(frames, fc.array(fc.boolean(), { maxLength: 30 }), (shapes, fails) => {
      let sequence = 100
      const open: number[] = []
      const batch = shapes.map(({ count, skip, finished }) => {
        const first = sequence
        sequence += count
        const skipped = Math.min(skip, count)
        const done = Math.min(finished, count - skipped)
        for (let i = skipped + done; i < count; i++) open.push(first + i)
        const keys = Array.from({ length: count }, (_, i) => String(first + i))
        return taken(keys, first, skipped, done)
      })
      const indexes = open.flatMap((_, index) => (fails[index] === true ? [index] : []))
      const found = locate(
        batch,
        indexes.map((index) => failure(index)),
      )
      assert.deepEqual(
        found.map(({ sequence, record }) => [sequence, Buffer.from(record!.key).toString()]),
        indexes.map((index) => [open[index], String(open[index])]),
      )
    }),
  )
})

test('locate reads no record for a failure that is only counted, and finds none for a timer', () => {
  const batch = [taken(['a', 'b'], 7, 0, 0)]
  const [counted, timer] = locate(batch, [failure(1, false), failure(Number.POSITIVE_INFINITY)])
  assert.equal(counted!.sequence, 8)
  assert.equal(counted!.frame, batch[0])
  assert.equal(counted!.record, undefined)
  assert.equal(timer!.frame, undefined)
  assert.equal(errorOf(timer!), error)
})

test('locate copies the record of a letter, since the memory of its frame is used again', () => {
  const frame = taken(['a', 'b'], 7, 0, 0)
  const [failed] = locate([frame], [{ ...failure(1), action: 'deadLetter' }])
  frame.bytes.fill(9)
  assert.deepEqual([...failed!.record!.key], [...Buffer.from('b')])
  assert.deepEqual(errorOf(failed!).record?.key, 'b')
})

test('locate copies small records of letters side by side, whatever else is copied meanwhile, so that one holds little memory', () => {
  const frame = taken(['a', 'b'], 7, 0, 0)
  const blocks = new Set<ArrayBufferLike>()
  for (let i = 0; i < 1000; i++) {
    const [failed] = locate([frame], [{ ...failure(1), action: 'deadLetter' }])
    blocks.add(failed!.record!.key.buffer)
    Buffer.from('x'.repeat(1000))
  }
  assert.ok(blocks.size <= 2, `1000 keys of a byte hold ${blocks.size} blocks`)
  const [large] = locate([taken(['k'.repeat(5000)], 7, 0, 0)], [{ ...failure(0), action: 'deadLetter' }])
  assert.equal(large!.record!.key.buffer.byteLength, 5000)
})

test('errorOf names the record by stream, partition, producer, sequence and key', () => {
  const [failed] = locate([taken(['a', 'b'], 7, 1, 0)], [failure(0)])
  const producer = '0000000000000001'
  assert.deepEqual(errorOf(failed!), {
    ...error,
    record: { stream: 'in', partition: 3, producer, sequence: 8, key: 'b' },
  })
})
