import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CodedError } from '../../sdk/errors.ts'
import type { RawRecord } from '../../sdk/wire/frame.ts'
import { recordReader, recordsType } from './record-reader.ts'

const bytes = fc.uint8Array({ maxLength: 40 })
const records = fc.array(
  fc.record({ key: bytes, value: bytes, timeMs: fc.integer({ min: 0, max: 2 ** 45 }) }),
  { maxLength: 12 },
)
const cuts = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 5 })

function* cut(body: Uint8Array, sizes: readonly number[]): Generator<Uint8Array> {
  for (let at = 0, i = 0; at < body.length; i++) {
    const size = sizes[i % sizes.length]!
    yield body.subarray(at, at + size)
    at += size
  }
}

function readAll(type: string, body: Uint8Array, sizes: readonly number[]): RawRecord[] {
  const reader = recordReader(type, () => 77)
  const read: RawRecord[] = []
  const copy = ({ key, value, timeMs }: RawRecord) => ({
    key: Uint8Array.from(key),
    value: Uint8Array.from(value),
    timeMs,
  })
  for (const chunk of cut(body, sizes)) for (const record of reader.push(chunk)) read.push(copy(record))
  for (const record of reader.end()) read.push(copy(record))
  return read
}

const base64 = (data: Uint8Array) => Buffer.from(data).toString('base64')

test('RecordReader reads NDJSON as it was written, however it is cut', () => {
  fc.assert(
    fc.property(records, cuts, fc.constantFrom('\n', '\r\n', '\n\n'), (written, sizes, lineEnd) => {
      const lines = written.map(({ key, value, timeMs }) =>
        JSON.stringify({ keyBase64: base64(key), valueBase64: base64(value), timeMs }),
      )
      assert.deepEqual(
        readAll('application/x-ndjson', Buffer.from(lines.join(lineEnd)), sizes),
        written.map((record) => ({ ...record })),
      )
    }),
  )
})

test('RecordReader reads length-prefixed bytes as they were written, however they are cut', () => {
  fc.assert(
    fc.property(records, cuts, (written, sizes) => {
      const parts = written.map(({ key, value }) => {
        const head = Buffer.alloc(8)
        head.writeUInt32LE(key.length, 0)
        head.writeUInt32LE(value.length, 4)
        return Buffer.concat([head, key, value])
      })
      const expected = written.map(({ key, value }) => ({ key, value, timeMs: 77 }))
      assert.deepEqual(readAll(recordsType, Buffer.concat(parts), sizes), expected)
    }),
  )
})

test('RecordReader returns records or a refusal for arbitrary bytes', () => {
  const type = fc.constantFrom(recordsType, 'application/x-ndjson')
  const small = fc.oneof(
    fc.uint8Array({ maxLength: 100 }),
    fc.string().map((text) => new Uint8Array(Buffer.from(`{"value":"${text}"}`))),
  )
  fc.assert(
    fc.property(type, small, cuts, (contentType, body, sizes) => {
      try {
        readAll(contentType, body, sizes)
      } catch (error) {
        assert.ok(error instanceof CodedError, String(error))
        assert.match(error.code, /^ERR_(RECORD_INVALID|TOO_LARGE)$/)
      }
    }),
  )
})

test('RecordReader takes a record as a follower prints it, and names an unknown field', () => {
  const read = (fields: object) => readAll('application/x-ndjson', Buffer.from(JSON.stringify(fields)), [9])
  const printed = { stream: 's', partition: 3, producer: 'p', sequence: 7, timeMs: 5, key: 'k', value: 'v' }
  assert.deepEqual(read(printed), [{ key: new Uint8Array([107]), value: new Uint8Array([118]), timeMs: 5 }])
  assert.throws(
    () => read({ Key: 'k', value: 'v' }),
    /line 1 as a record: unknown key 'Key'; did you mean 'key'\?/,
  )
  assert.throws(() => read({ ...printed, sequence: 'x' }), /'sequence': expected a number/)
})

test('RecordReader names the line that is too long, although its end has yet to come', () => {
  const body = Buffer.concat([Buffer.from('{"value":"first"}\n'), Buffer.alloc(3 * 1024 * 1024, 'x')])
  assert.throws(
    () => readAll('application/x-ndjson', body, [64 * 1024]),
    /Cannot read line 2 as a record: it is longer/,
  )
})
