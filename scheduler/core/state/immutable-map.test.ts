import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ImmutableMap } from './immutable-map.ts'

const key = fc.integer({ min: 0, max: 600 }).map((n) => `task-${n}`)
const change = fc.oneof(
  fc.tuple(fc.constant('set' as const), key),
  fc.tuple(fc.constant('delete' as const), key),
)

test('An ImmutableMap is not changed by changes to a draft of it (MD1)', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(key, fc.string())), fc.array(change), (entries, changes) => {
      const draft = new ImmutableMap<string>().draft()
      for (const [k, value] of entries) draft.set(k, value)
      const before = draft.finish()
      const expected = new Map(entries)
      const kept = new Map(before)
      assert.deepEqual(kept, expected)
      const next = before.draft()
      for (const [what, k] of changes) {
        if (what === 'set') {
          next.set(k, 'new')
          expected.set(k, 'new')
        } else assert.equal(next.delete(k), expected.delete(k))
        assert.equal(next.size, expected.size)
        assert.equal(next.get(k), expected.get(k))
      }
      const after = next.finish()
      assert.deepEqual(new Map(after), expected)
      assert.deepEqual([...after.values()].sort(), [...expected.values()].sort())
      assert.deepEqual([...next.keys()].sort(), [...after.keys()].sort())
      assert.equal(after.size, expected.size)
      assert.deepEqual(new Map(before), kept)
    }),
  )
})

test('An ImmutableMap without changes is returned as the same object', () => {
  const map = new ImmutableMap<number>().draft().set('a', 1).finish()
  const draft = map.draft()
  assert.equal(draft.delete('b'), false)
  assert.equal(draft.finish(), map)
})

test('ImmutableMapDraft shows the newest values to an iteration during which it changes (MD2)', () => {
  const keys = ['a', 'b', 'c', 'd']
  const draft = new ImmutableMap<number>().draft()
  for (const [i, k] of keys.entries()) draft.set(k, i)
  const order = [...draft.keys()]
  const seen: number[] = []
  for (const value of draft.values()) {
    seen.push(value)
    if (seen.length === 1) draft.set(order[1]!, 10).delete(order[2]!)
  }
  assert.deepEqual(seen, [keys.indexOf(order[0]!), 10, keys.indexOf(order[3]!)])
})
