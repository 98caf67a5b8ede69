import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BatchSize } from './batch-size.ts'

const kib = 1024
const frame = (kibs: number) => ({ bytes: new Uint8Array(kibs * kib) })

test('BatchSize grows while batches of its size are quick, and only then', () => {
  const size = new BatchSize()
  const first = size.bytes
  for (let i = 0; i < 100; i++) size.took([frame(1)], [], 0.1)
  assert.equal(size.bytes, first, 'small batches say nothing of large ones')
  for (let i = 0; i < 100; i++) size.took([{ bytes: new Uint8Array(size.bytes) }], [], 15)
  assert.equal(size.bytes, first)
  size.took([frame(15), frame(20)], [frame(20)], 2)
  assert.equal(size.bytes, first, 'nor does what it has not come to')
  size.took([frame(20), frame(20)], [], 2)
  assert.equal(size.bytes, 2 * first)
  for (let i = 0; i < 10; i++) size.took([{ bytes: new Uint8Array(size.bytes) }], [], 2)
  assert.equal(size.bytes, 768 * kib)
  size.took([frame(500)], [], 60)
  assert.equal(size.bytes, 384 * kib)
})

test('BatchSize finds what a record costs, from both sides, and stays within its bounds', () => {
  fc.assert(
    fc.property(fc.double({ min: 0.001, max: 5, noNaN: true }), (msPerKib) => {
      const size = new BatchSize()
      for (let i = 0; i < 50; i++)
        size.took([{ bytes: new Uint8Array(size.bytes) }], [], (size.bytes / kib) * msPerKib)
      assert.ok(size.bytes >= 32 * kib && size.bytes <= 768 * kib)
      const ms = (size.bytes / kib) * msPerKib
      assert.ok(ms <= 25 || size.bytes === 32 * kib, `${ms} ms`)
      assert.ok(ms >= 8 || size.bytes === 768 * kib, `${ms} ms`)
    }),
  )
})
