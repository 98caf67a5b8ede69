import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CodedError } from '../errors.ts'
import {
  checkRecordSize,
  frameBytesMax,
  frameFlags,
  frameOf,
  headerBytesV1,
  parseFrame,
  parseId64,
  recordsOf,
  stampHeader,
} from './frame.ts'

const record = fc.record({
  key: fc.uint8Array({ maxLength: 40 }),
  value: fc.uint8Array({ maxLength: 200 }),
  timeMs: fc.integer({ min: -(2 ** 50), max: 2 ** 52 }),
})
const hexId = fc.stringMatching(/^[0-9a-f]{16}$/)

function stamped(records: readonly { key: Uint8Array; value: Uint8Array; timeMs: number }[]): Uint8Array {
  const frame = frameOf(records)
  stampHeader(frame, {
    flags: 0,
    partition: 3,
    producer: parseId64('00000001000000aa'),
    origin: parseId64('ffffffffffffffff'),
    epoch: 7,
    count: records.length,
    sequence: 2 ** 40 + 5,
  })
  return frame
}

test('parseFrame and recordsOf read what frameOf and stampHeader wrote', () => {
  fc.assert(
    fc.property(
      fc.array(record, { maxLength: 20 }),
      hexId,
      hexId,
      fc.nat(),
      fc.integer({ min: 0, max: 2 ** 52 }),
      fc.integer({ min: 1, max: 255 }),
      (records, producer, origin, epoch, sequence, creditVersion) => {
        const frame = frameOf(records)
        stampHeader(frame, {
          flags: 0,
          partition: 9,
          producer: parseId64(producer),
          origin: parseId64(origin),
          epoch,
          count: records.length,
          sequence,
          creditVersion,
        })
        const header = parseFrame(frame)
        assert.deepEqual(
          { ...header },
          {
            flags: 0,
            headerBytes: headerBytesV1,
            partition: 9,
            producer,
            origin,
            epoch,
            count: records.length,
            sequence,
            bodyBytes: frame.length - headerBytesV1,
            creditVersion,
          },
        )
        assert.deepEqual(
          [...recordsOf(frame, header)].map((r) => ({ ...r, key: r.key.slice(), value: r.value.slice() })),
          records.map((r) => ({ ...r })),
        )
      },
    ),
    { numRuns: 1000 },
  )
})

test('parseFrame refuses every truncation', () => {
  const frame = stamped([{ key: new Uint8Array([1]), value: new Uint8Array(10), timeMs: 5 }])
  for (let length = 0; length < frame.length; length++) {
    assert.throws(
      () => parseFrame(frame.subarray(0, length)),
      (error) => error instanceof CodedError && error.code === 'ERR_FRAME_MALFORMED',
    )
  }
})

test('parseFrame returns a sound header or throws a CodedError for any bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => attempt(bytes)),
    { numRuns: 20000 },
  )
})

test('parseFrame returns a sound header or throws a CodedError for a frame with flipped bytes', () => {
  const mutation = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(fc.array(record, { maxLength: 5 }), mutation, (records, changes) => {
      const frame = stamped(records)
      for (const [at, byte] of changes) frame[at % frame.length] = byte
      attempt(frame)
    }),
    { numRuns: 20000 },
  )
})

function attempt(bytes: Uint8Array): void {
  try {
    const header = parseFrame(bytes)
    let records = 0
    for (const { key, value } of recordsOf(bytes, header)) {
      assert.ok(key.byteOffset + key.length <= bytes.byteOffset + bytes.length)
      assert.ok(value.byteOffset + value.length <= bytes.byteOffset + bytes.length)
      records += 1
    }
    assert.equal(records, header.count)
  } catch (error) {
    if (!(error instanceof CodedError)) throw error
    assert.match(error.code, /^ERR_FRAME_/)
  }
}

test('parseFrame names the version and refuses flags it does not know', () => {
  const newer = stamped([])
  newer[1] = 2
  assert.throws(() => parseFrame(newer), /version 2/)
  const flagged = stamped([])
  flagged[2] = 0x80
  assert.throws(() => parseFrame(flagged), /flags 128/)
})

test('parseFrame skips a header extension', () => {
  const plain = stamped([{ key: new Uint8Array([1, 2]), value: new Uint8Array([3]), timeMs: 4 }])
  const extended = new Uint8Array(plain.length + 8)
  extended.set(plain.subarray(0, headerBytesV1))
  extended.set(plain.subarray(headerBytesV1), headerBytesV1 + 8)
  new DataView(extended.buffer).setUint16(4, headerBytesV1 + 8, true)
  const header = parseFrame(extended)
  assert.deepEqual([...recordsOf(extended, header)][0]!.key, new Uint8Array([1, 2]))
})

test('parseFrame refuses a beacon that claims records', () => {
  const frame = stamped([{ key: new Uint8Array(0), value: new Uint8Array(0), timeMs: 0 }])
  frame[2] = frameFlags.beacon
  assert.throws(() => parseFrame(frame), /beacon/)
})

test('checkRecordSize accepts the largest record and refuses one byte more', () => {
  const most = frameBytesMax - headerBytesV1 - 16
  checkRecordSize(0, most)
  assert.throws(() => checkRecordSize(0, most + 1), /at most/)
  assert.throws(() => checkRecordSize(65536, 0), /key of 65536/)
})
