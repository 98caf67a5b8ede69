import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { murmur3, murmur3Words, partitionOf } from './hash.ts'

const text = new TextEncoder()

// Vectors with seed 0 as published with the reference implementation's ports (Wikipedia, "MurmurHash", test table).
for (const [input, hash] of [
  ['', 0],
  ['test', 0xba6bd213],
  ['Hello, world!', 0xc0363e43],
  ['The quick brown fox jumps over the lazy dog', 0x2e4ff723],
] as const) {
  test(`murmur3 of '${input}' is the published value`, () => assert.equal(murmur3(text.encode(input)), hash))
}

test('murmur3 of a part equals murmur3 of a copy of the part', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(64), fc.nat(64), (bytes, a, b) => {
      const from = Math.min(a, bytes.length)
      const length = Math.min(b, bytes.length - from)
      assert.equal(murmur3(bytes, from, length), murmur3(bytes.slice(from, from + length)))
    }),
  )
})

test('murmur3Words of bytes at a word boundary equals murmur3, whatever follows them', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(8), fc.nat(255), (bytes, at, filler) => {
      const memory = new Uint8Array(4 * (at + 17)).fill(filler)
      memory.set(bytes, 4 * at)
      assert.equal(murmur3Words(new Int32Array(memory.buffer), at, bytes.length), murmur3(bytes))
    }),
  )
})

test('partitionOf spreads sequential keys evenly', () => {
  const counts = new Array<number>(16).fill(0)
  for (let i = 0; i < 16000; i++) counts[partitionOf(text.encode(`user-${i}`), 16)]! += 1
  for (const count of counts) assert.ok(count > 850 && count < 1150, `${counts}`)
})
