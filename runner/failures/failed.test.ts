import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { TakenFrame } from '../../infra/bus/index.ts'
import { frameOf, parseFrame, type RawRecord, stampHeader } from '../../sdk/wire/frame.ts'
import type { RecordFailure } from '../isolate/index.ts'
import { type Failed, FailedRecord, locate, tellerOf } from './failed.ts'

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

function recordOf(failed: Failed | undefined): FailedRecord {
  assert.ok(failed instanceof FailedRecord)
  return failed
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
        found
          .map(recordOf)
          .reverse() // whoever asks first
          .map(({ sequence, record }) => [sequence, Buffer.from(record.key).toString()])
          .reverse(),
        indexes.map((index) => [open[index], String(open[index])]),
      )
    }),
  )
})

test('locate says where a failure is that is only counted, and finds no record for a timer', () => {
  const batch = [taken(['a', 'b'], 7, 0, 0)]
  const [counted, timer] = locate(batch, [failure(1, false), failure(Number.POSITIVE_INFINITY)])
  assert.equal(recordOf(counted).sequence, 8)
  assert.equal(counted!.frame, batch[0])
  assert.equal(timer!.frame, undefined)
  assert.equal(tellerOf(timer!)(), error)
})

test('locate counts from the records that were unfinished then', () => {
  const frame = taken(['a', 'b', 'c'], 7, 1, 0)
  const [failed] = locate([frame], [failure(1)])
  frame.finished = 2
  assert.equal(recordOf(failed).sequence, 9)
  assert.deepEqual([...recordOf(failed).record.key], [...Buffer.from('c')])
})

test('tellerOf names the record by stream, partition, producer, sequence and key, also when the memory of its frame is used again', () => {
  const frame = taken(['a', 'b'], 7, 1, 0)
  const [failed] = locate([frame], [failure(0)])
  const tell = tellerOf(failed!)
  frame.bytes.fill(9)
  const producer = '0000000000000001'
  assert.deepEqual(tell(), {
    ...error,
    record: { stream: 'in', partition: 3, producer, sequence: 8, key: 'b' },
  })
})
