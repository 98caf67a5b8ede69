import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Arena, faultsOf, OwnSlabs, openArena } from './index.ts'
import { randomOf } from './testing.ts'

interface Model {
  readonly key: string
  readonly timeMs: number
  readonly dueMs: number
  readonly order: number
}

const inOrder = (timers: Iterable<Model>): Model[] =>
  [...timers].toSorted((a, b) => a.dueMs - b.dueMs || a.order - b.order)

function verify(arena: Arena, slabs: OwnSlabs, model: ReadonlyMap<string, Model>): void {
  assert.deepEqual(faultsOf(slabs), [])
  const sorted = inOrder(model.values())
  assert.deepEqual(arena.timers.list(), sorted)
  assert.equal(arena.timers.count, model.size)
  assert.equal(arena.timers.dueMs, sorted[0]?.dueMs ?? Number.POSITIVE_INFINITY)
}

const burst = fc.record({
  what: fc.constantFrom('set', 'set', 'delete', 'take', 'commit', 'rollback', 'reopen'),
  seed: fc.nat(),
  count: fc.oneof(
    { weight: 3, arbitrary: fc.nat({ max: 10 }) },
    { weight: 1, arbitrary: fc.nat({ max: 900 }) },
  ),
  /** Few times, many, or ever later ones. */
  times: fc.constantFrom(3, 5000, 2 ** 45, 0),
})

test('Arena keeps timers as a sorted list would, with commits, rollbacks and reopening in between', () => {
  fc.assert(
    fc.property(fc.array(burst, { maxLength: 25, size: 'max' }), (bursts) => {
      const slabs = new OwnSlabs({ slabBytes: 256 * 1024 })
      let arena = openArena(slabs)
      let model = new Map<string, Model>()
      let committed = new Map(model)
      let order = 0
      let laterMs = 1e12
      for (const { what, seed, count, times } of bursts) {
        const random = randomOf(seed)
        if (what === 'set')
          for (let i = 0; i < count; i++) {
            const timeMs = times === 0 ? laterMs++ : (random() * 2 ** 20 + random()) % times
            const key = `key ${random() % 50}`
            const timer = { key, timeMs, dueMs: Math.max(timeMs, 2), order: order++ }
            const fresh = !model.has(`${timeMs} ${key}`)
            assert.equal(arena.timers.set(key, timeMs, timer.dueMs, timer.order), fresh)
            if (fresh) model.set(`${timeMs} ${key}`, timer)
          }
        else if (what === 'delete') {
          const list = [...model.values()]
          for (let i = 0; i < count && list.length > 0; i++) {
            const { key, timeMs } = list[random() % list.length]!
            assert.equal(arena.timers.delete(key, timeMs), model.delete(`${timeMs} ${key}`))
          }
        } else if (what === 'take') {
          for (const { key, timeMs } of inOrder(model.values()).slice(0, count)) {
            assert.deepEqual(arena.timers.take(), { key, timeMs })
            model.delete(`${timeMs} ${key}`)
          }
        } else if (what === 'commit') {
          arena.commit()
          committed = new Map(model)
        } else {
          if (what === 'rollback') arena.rollback()
          else arena = openArena(slabs)
          model = new Map(committed)
          verify(arena, slabs, model)
        }
      }
      arena.commit()
      verify(arena, slabs, model)
    }),
    { numRuns: 120 },
  )
})

test('Arena keeps timers apart from state, and frees all of their memory', () => {
  const slabs = new OwnSlabs()
  const arena = openArena(slabs)
  const random = randomOf(7)
  arena.set('a', 'state')
  const setAll = (): void => {
    for (let i = 0; i < 30_000; i++) {
      arena.timers.set(`timer of user ${i}`, random(), random(), i)
      arena.commit()
    }
  }
  setAll()
  const held = slabs.heldBytes
  assert.deepEqual([arena.entries, arena.timers.count], [1, 30_000])
  assert.ok(held < 30_000 * 130, `${held} bytes`)
  for (let round = 0; round < 3; round++) {
    while (arena.timers.take() !== undefined) arena.commit()
    setAll()
  }
  assert.ok(slabs.heldBytes < 1.3 * held, `${slabs.heldBytes} bytes, ${held} at first`)
  assert.equal(arena.getText('a'), 'state')
  assert.deepEqual([...arena.keys()].length, 1)
  assert.deepEqual(faultsOf(slabs), [])
})

test('Arena.setTimer refuses at the limit and changes nothing, and deleting still works', () => {
  const slabs = new OwnSlabs({ limitBytes: 256 * 1024, slabBytes: 256 * 1024 })
  const arena = openArena(slabs)
  const random = randomOf(3)
  let order = 0
  const fill = (): void => {
    for (;;) {
      const timeMs = random()
      arena.timers.set('a timer', timeMs, timeMs, order++)
      if (order % 3 === 0) arena.commit()
    }
  }
  assert.throws(fill, { code: 'ERR_STATE_FULL' })
  arena.commit()
  assert.deepEqual(faultsOf(slabs), [])
  const count = arena.timers.count
  assert.ok(count > 1000, `${count}`)
  while (arena.timers.take() !== undefined) arena.commit()
  assert.throws(fill, { code: 'ERR_STATE_FULL' })
  arena.rollback()
  assert.deepEqual(faultsOf(slabs), [])
  assert.ok(arena.timers.count > 0.85 * count, `${arena.timers.count} of ${count}`)
})
