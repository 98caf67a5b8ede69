import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BatchSize, batchBytesMax, batchBytesMin } from './batch-size.ts'

test('BatchSize follows what is processed in some 10 ms, within its bounds (BS1)', () => {
  const size = new BatchSize()
  assert.equal(size.bytes, batchBytesMin)
  size.answered(batchBytesMin, 1)
  assert.equal(size.bytes, batchBytesMax)
  for (let call = 0; call < 40; call++) size.answered(size.bytes, size.bytes / 50_000)
  assert.ok(Math.abs(size.bytes - 500_000) < 5_000, `${size.bytes}`)
  for (let call = 0; call < 40; call++) size.answered(size.bytes, size.bytes / 1_000_000)
  assert.equal(size.bytes, batchBytesMax)
  for (let call = 0; call < 40; call++) size.answered(size.bytes, size.bytes / 10)
  assert.equal(size.bytes, batchBytesMin)
  size.answered(0, 5)
  size.answered(5, 0)
  assert.equal(size.bytes, batchBytesMin, 'a call that did nothing says nothing')
})
