import assert from 'node:assert/strict'
import { test } from 'node:test'
import { murmur3 } from '../../wire/hash.ts'
import { spread } from './buckets.ts'
import { faultsOf, OwnSlabs, openArena } from './index.ts'

test('spread distributes the keys of one partition over all chains, however many partitions there are', () => {
  for (const partitions of [1, 2, 12, 16, 64]) {
    const chains = new Array<number>(1024).fill(0)
    for (let i = 0, keys = 0; keys < 4096; i++) {
      const hash = murmur3(new TextEncoder().encode(`user-${i}`))
      if (hash % partitions !== partitions - 1) continue
      chains[spread(hash) & 1023]!++
      keys++
    }
    // Poisson with mean 4: an empty chain in 2 %, one of 16 or more in 5 of a million.
    assert.ok(Math.max(...chains) < 16, `${partitions} partitions: a chain of ${Math.max(...chains)}`)
    const empty = chains.filter((length) => length === 0).length
    assert.ok(empty < 40, `${partitions} partitions: ${empty} chains are empty`)
  }
})

test('spread maps different hashes to different values', () => {
  const seen = new Set<number>()
  for (let i = 0; i < 200_000; i++) seen.add(spread(Math.imul(i, 0x10001) >>> 0))
  assert.equal(seen.size, 200_000)
})

test('Arena.expect changes nothing, for any hashes, also in the middle of a transaction', () => {
  const slabs = new OwnSlabs()
  const arena = openArena(slabs)
  const text = new TextEncoder()
  const keys = Array.from({ length: 5000 }, (_, i) => text.encode(`key-${i}`))
  for (const [i, key] of keys.entries()) {
    const hashes = Int32Array.from({ length: 16 }, (_, ahead) => murmur3(keys[(i + ahead) % keys.length]!))
    arena.expect(hashes, 1 + (i % 16))
    arena.set(key, key)
    arena.expect(hashes.fill(i * 0x9e3779b1), 16)
    if (i % 3 === 0) arena.commit()
  }
  arena.commit()
  for (const key of keys) assert.deepEqual(arena.get(key), key)
  assert.deepEqual(faultsOf(slabs), [])
})
