import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isBase64 } from './base64.ts'

test('isBase64 accepts what bytes are written as, padded or not, and nothing that would lose some of it', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      const text = Buffer.from(bytes).toString('base64')
      assert.ok(isBase64(text) && isBase64(text.replaceAll('=', '')))
    }),
  )
  for (const text of ['#', 'A', 'A=', 'A==', '=', '==', 'AAA==', 'AA AA', 'AAAA=', 'AAA=AAAA'])
    assert.ok(!isBase64(text), text)
  assert.ok(isBase64('AAAA'.repeat(6_000_000)), 'however long')
})
