import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CopyOnWrite } from './copy-on-write.ts'

test('CopyOnWrite is the same map until it is changed, and leaves that one as it was (W1)', () => {
  const key = fc.integer({ min: 0, max: 5 })
  const change = fc.oneof(
    fc.tuple(fc.constant('set' as const), key),
    fc.tuple(fc.constant('delete' as const), key),
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(key, fc.string())), fc.array(change), (entries, changes) => {
      const before = new Map(entries)
      const kept = new Map(before)
      const expected = new Map(before)
      const map = new CopyOnWrite<number, string>(before)
      assert.equal(map.map, before)
      for (const [what, k] of changes) {
        if (what === 'set') {
          map.set(k, 'new')
          expected.set(k, 'new')
        } else assert.equal(map.delete(k), expected.delete(k))
        assert.equal(map.size, expected.size)
        assert.equal(map.get(k), expected.get(k))
      }
      assert.deepEqual([...map.map], [...expected])
      assert.deepEqual([...map.values()], [...expected.values()])
      assert.deepEqual([...before], [...kept])
    }),
  )
})

test('CopyOnWrite shows the newest values to who goes through it while it changes (W2)', () => {
  const map = new CopyOnWrite<string, number>(new Map([...'abcd'].map((k, i) => [k, i])))
  const seen: number[] = []
  for (const value of map.values()) {
    seen.push(value)
    if (value === 0) map.set('b', 10)
    if (value === 10) map.delete('c')
  }
  assert.deepEqual(seen, [0, 10, 3])
})
