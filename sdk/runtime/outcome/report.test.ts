import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { reportBytesMax } from '../shared/layout.ts'
import { isStackless, readFields, reportOf, writeReport } from './report.ts'

function textOf(thrown: unknown, hasStack = true): string {
  const bytes = new Uint8Array(2 * reportBytesMax)
  const end = writeReport(reportOf(thrown, hasStack), bytes, 3)
  assert.ok(end - 3 <= reportBytesMax)
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(3, end))
}

test('readFields reads what writeReport wrote of an error, with its stack or without', () => {
  const part = fc.string({ unit: 'grapheme', maxLength: 60 })
  const fields = fc.record({ name: part, message: part, stack: part }, { noNullPrototype: true })
  fc.assert(
    fc.property(fields, fc.boolean(), (error, hasStack) => {
      const text = textOf(error, hasStack)
      assert.deepEqual(readFields(text), hasStack ? error : { ...error, stack: '' })
      assert.equal(isStackless(text), !hasStack)
    }),
  )
})

test('a report fits its bytes, whatever was thrown', () => {
  const long = { name: '\u20ac'.repeat(500), message: '\u20ac'.repeat(9000), stack: '\u20ac'.repeat(9000) }
  const { name, message, stack } = readFields(textOf(long))
  assert.deepEqual([name.length, message.length, stack.length], [128, 1024, 1024])
  const plain = readFields(textOf({ ...long, message: 'm'.repeat(9000), stack: 's'.repeat(9000) }))
  assert.equal(plain.message.length, 2048)
  for (const thrown of [
    undefined,
    null,
    7,
    Symbol('s'),
    {},
    () => 1,
    new Proxy({}, { get: () => assert.fail() }),
  ])
    assert.notEqual(readFields(textOf(thrown)).message, '')
})
