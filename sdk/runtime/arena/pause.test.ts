/** No operation takes long, however much there is: counted in words that it stores, which no busy machine can change. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Arena, OwnSlabs } from './index.ts'
import { Memory } from './memory.ts'
import { randomOf } from './testing.ts'

class CountingMemory extends Memory {
  stores = 0

  protected override view(slab: ArrayBufferLike): Int32Array {
    return new Proxy(super.view(slab), {
      get: (words, name) => Reflect.get(words, name),
      set: (words, name, value) => {
        this.stores++
        words[Number(name)] = value
        return true
      },
    })
  }
}

/** Less than the words of one page of the journal: ≈ 10 µs. */
const storesMax = 2_500

test('Arena never stores more than a few thousand words for one entry or timer, while index, tree and slabs grow', () => {
  const slabs = new OwnSlabs()
  slabs.grow(0)
  const memory = new CountingMemory(slabs)
  const arena = new Arena(memory)
  const random = randomOf(1)
  const most = { set: 0, timer: 0, delete: 0, take: 0 }
  const step = (name: keyof typeof most, act: () => unknown): void => {
    const before = memory.stores
    act()
    arena.commit()
    most[name] = Math.max(most[name], memory.stores - before)
  }
  for (let i = 0; i < 30_000; i++) {
    step('set', () =>
      arena.set(`key ${i}`, 'a value of sixty-four bytes, or about as many as that, or fewer'),
    )
    if (i % 3 === 0) step('timer', () => arena.timers.set(`timer ${i}`, random(), random(), i))
  }
  for (let i = 0; i < 30_000; i++) {
    step('delete', () => arena.delete(`key ${i}`))
    if (i % 3 === 0) step('take', () => arena.timers.take())
  }
  assert.deepEqual([arena.entries, arena.timers.count], [0, 0])
  for (const [name, stores] of Object.entries(most)) assert.ok(stores < storesMax, `${name}: ${stores} words`)
})
