import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { giveBackMemory, limitKeptMemory, takeMemory } from './frame-memory.ts'

test('takeMemory gives memory that nobody else holds, and reuses what was given back (F1)', () => {
  const take = fc.record({ kind: fc.constant('take' as const), bytes: fc.nat(100_000) })
  const give = fc.record({ kind: fc.constant('give' as const), which: fc.nat() })
  fc.assert(
    fc.property(fc.array(fc.oneof(take, give), { maxLength: 200 }), (steps) => {
      const held: Uint8Array[] = []
      for (const step of steps) {
        if (step.kind === 'take') {
          const memory = takeMemory(step.bytes)
          assert.equal(memory.length, step.bytes)
          assert.ok(memory.length === 0 || held.every(({ buffer }) => buffer !== memory.buffer))
          held.push(memory)
        } else if (held.length > 0) giveBackMemory(held.splice(step.which % held.length, 1)[0]!)
      }
      for (const memory of held) giveBackMemory(memory)
    }),
  )
  const first = takeMemory(60_000)
  giveBackMemory(first)
  const all = Array.from({ length: 500 }, () => takeMemory(50_000).buffer)
  assert.ok(all.includes(first.buffer))
})

test('giveBackMemory refuses memory that is free already (F2), and ignores memory of others', () => {
  const memory = takeMemory(10_000)
  giveBackMemory(memory)
  assert.throws(() => giveBackMemory(memory), /twice/)
  const foreign = new Uint8Array(64 * 1024)
  giveBackMemory(foreign)
  giveBackMemory(foreign)
  for (let i = 0; i < 10; i++) assert.notEqual(takeMemory(64 * 1024).buffer, foreign.buffer)
})

test('giveBackMemory keeps a bounded amount (F3)', () => {
  const blocks = Array.from({ length: 1000 }, () => takeMemory(64 * 1024))
  for (const block of blocks) giveBackMemory(block)
  const again = new Set(Array.from({ length: 1000 }, () => takeMemory(64 * 1024).buffer))
  const kept = blocks.filter(({ buffer }) => again.has(buffer)).length
  assert.ok(kept > 0 && kept * 64 * 1024 <= 24 * 1024 * 1024, `${kept} blocks`)
})

test('limitKeptMemory bounds the pool, and empties it if it holds more (F3)', (t) => {
  t.after(() => limitKeptMemory())
  const give = (): ArrayBufferLike[] => {
    const blocks = Array.from({ length: 64 }, () => takeMemory(64 * 1024))
    for (const block of blocks) giveBackMemory(block)
    return blocks.map(({ buffer }) => buffer)
  }
  const keptOf = (buffers: readonly ArrayBufferLike[]): number => {
    const again = new Set(Array.from({ length: 64 }, () => takeMemory(64 * 1024).buffer))
    return buffers.filter((buffer) => again.has(buffer as ArrayBuffer)).length
  }
  const before = give()
  limitKeptMemory(512 * 1024)
  assert.equal(keptOf(before), 0)
  assert.equal(keptOf(give()), 8)
  limitKeptMemory()
  assert.equal(keptOf(give()), 64)
})

test('giveBackMemory makes room for other sizes when one size has filled the pool (F3)', () => {
  const large = Array.from({ length: 600 }, () => takeMemory(64 * 1024))
  for (const block of large) giveBackMemory(block)
  const small = Array.from({ length: 100 }, () => takeMemory(1024))
  for (const block of small) giveBackMemory(block)
  const again = new Set(Array.from({ length: 100 }, () => takeMemory(1024).buffer))
  assert.equal(small.filter(({ buffer }) => again.has(buffer)).length, 100)
})
