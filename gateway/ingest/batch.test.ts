import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { frameBytesMax, parseFrame, type RawRecord, recordsOf, stampHeader } from '../../sdk/wire/frame.ts'
import { partitionOf } from '../../sdk/wire/hash.ts'
import { Batch } from './batch.ts'

interface Sent {
  readonly partition: number
  readonly records: readonly RawRecord[]
  readonly bytes: number
}

function run(records: readonly RawRecord[], partitions: number, keyed: boolean): Sent[] {
  const sent: Sent[] = []
  const send = (_: string, partition: number, frame: Uint8Array, count: number): void => {
    const id = { low: 1, high: 1 }
    stampHeader(frame, { flags: 0, partition, producer: id, origin: id, epoch: 1, count, sequence: 0 })
    sent.push({ partition, records: [...recordsOf(frame, parseFrame(frame))], bytes: frame.length })
  }
  const batch = new Batch({ send }, { name: 's', partitions, keyed, consumers: [] }, { partition: 0 })
  for (const record of records) batch.add(record)
  batch.flush()
  assert.equal(batch.sent, records.length)
  return sent
}

const record = fc.record({
  key: fc.constantFrom('', 'a', 'b', 'c').map((text) => new Uint8Array(Buffer.from(text))),
  value: fc.constantFrom(0, 10, 5000, 60_000, 700_000).map((length) => new Uint8Array(length)),
  timeMs: fc.integer({ min: 0 }),
})

test('Batch sends every record once, each key in order to the partition of its hash, in frames of bounded size', () => {
  fc.assert(
    fc.property(
      fc.array(record, { maxLength: 25 }),
      fc.integer({ min: 1, max: 5 }),
      fc.boolean(),
      (records, partitions, keyed) => {
        const sent = run(records, partitions, keyed)
        assert.ok(sent.every(({ bytes }) => bytes <= frameBytesMax))
        for (const key of ['', 'a', 'b', 'c']) {
          const of = (list: readonly RawRecord[]) =>
            list.filter((r) => Buffer.from(r.key).toString() === key).map(({ timeMs }) => timeMs)
          assert.deepEqual(of(sent.flatMap((frame) => frame.records)), of(records))
          if (key === '' && !keyed) continue
          const home = partitionOf(Buffer.from(key), partitions)
          assert.ok(sent.every((frame) => frame.partition === home || of(frame.records).length === 0))
        }
      },
    ),
    { numRuns: 60 },
  )
})

test('Batch gives records without a key to the partitions in turn, a frame at a time', () => {
  const records = Array.from({ length: 10 }, (_, i) => ({
    key: new Uint8Array(0),
    value: new Uint8Array(20_000),
    timeMs: i,
  }))
  assert.deepEqual(
    run(records, 3, false).map(({ partition, records }) => [partition, records.length]),
    [
      [0, 2],
      [1, 2],
      [2, 2],
      [0, 2],
      [1, 2],
    ],
  )
})
