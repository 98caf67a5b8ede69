import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { isCode } from '../../sdk/errors.ts'
import { RecordReader, recordBytesMax } from './recordio.ts'

const encoder = new TextEncoder()

function frame(record: Uint8Array): Uint8Array {
  return Buffer.concat([encoder.encode(`${record.length}\n`), record])
}

/** Cuts bytes at the given places, each taken modulo the length. */
function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const at = [...new Set([0, ...places.map((place) => place % (bytes.length + 1)), bytes.length])].sort(
    (a, b) => a - b,
  )
  return at.slice(1).map((end, i) => bytes.subarray(at[i], end))
}

test('RecordReader answers the same records however the stream is cut (R1)', () => {
  const records = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 10 })
  fc.assert(
    fc.property(records, fc.array(fc.nat(), { maxLength: 30 }), (given, places) => {
      const reader = new RecordReader()
      const chunks = cut(Buffer.concat(given.map(frame)), places)
      const got = chunks.flatMap((chunk) => reader.push(chunk))
      assert.deepEqual(
        got.map((r) => Buffer.from(r)),
        given.map((r) => Buffer.from(r)),
      )
    }),
  )
})

test("RecordReader reads a master's stream in chunks of one byte", () => {
  const events = readFileSync(new URL('../testdata/lifecycle.events.jsonl', import.meta.url), 'utf8')
    .trim()
    .split('\n')
  const bytes = Buffer.concat(events.map((event) => frame(encoder.encode(event))))
  const reader = new RecordReader()
  const got: string[] = []
  for (const byte of bytes)
    for (const record of reader.push(Uint8Array.of(byte))) got.push(Buffer.from(record).toString())
  assert.deepEqual(got, events)
})

test('RecordReader reads a record of 16 MB, and refuses one above its bound before its bytes come (R2)', () => {
  const large = new Uint8Array(16_000_000).fill(7)
  assert.equal(new RecordReader().push(frame(large))[0]?.length, large.length)
  assert.throws(
    () => new RecordReader().push(encoder.encode(`${recordBytesMax + 1}\n`)),
    (error) => isCode(error, 'ERR_RECORDIO_MALFORMED'),
  )
  assert.throws(
    () => new RecordReader().push(encoder.encode('9'.repeat(400))),
    (error) => isCode(error, 'ERR_RECORDIO_MALFORMED'),
  )
})

test('RecordReader throws only its own error on arbitrary bytes', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 20 }), (chunks) => {
      const reader = new RecordReader()
      try {
        for (const chunk of chunks) reader.push(chunk)
      } catch (error) {
        assert.ok(isCode(error, 'ERR_RECORDIO_MALFORMED'))
      }
    }),
    { numRuns: 2000 },
  )
})
