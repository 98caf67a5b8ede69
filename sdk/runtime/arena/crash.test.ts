import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Arena, faultsOf, OwnSlabs, openArena, type Slabs } from './index.ts'
import { Memory } from './memory.ts'
import { applyTo, applyToModel, type Contents, contentsOf, copyOf, transactionOf } from './testing.ts'

/** Memory that keeps a copy of all slabs as they are before each store, or before some of them. */
class WatchedMemory extends Memory {
  /** Of how many stores one is looked at; 0: none. */
  every = 1
  stores = 0
  readonly #copies: Slabs[] = []

  protected override view(slab: ArrayBufferLike): Int32Array {
    return new Proxy(super.view(slab), {
      get: (words, name) => Reflect.get(words, name),
      set: (words, name, value) => {
        if (this.every > 0 && this.stores++ % this.every === 0) this.#copies.push(copyOf(this.slabs))
        words[Number(name)] = value
        return true
      },
    })
  }

  /** Every state that a writer stopped in the meantime leaves behind must be one of `allowed` to who opens it. */
  verify(...allowed: readonly Contents[]): void {
    for (const slabs of this.#copies.splice(0)) {
      const found = foundIn(slabs)
      assert.ok(
        allowed.some((contents) => same(found, contents)),
        `up to store ${this.stores}`,
      )
    }
  }
}

function foundIn(slabs: Slabs): Contents {
  const contents = contentsOf(openArena(slabs))
  assert.deepEqual(faultsOf(slabs), [])
  return contents
}

const same = (one: Contents, other: Contents): boolean =>
  one.size === other.size && [...one].every(([key, value]) => other.get(key) === value)

/** Where the index gets its second block of heads, slabs are added, and the journal its second chunk. */
function almostGrown(): { readonly slabs: OwnSlabs; readonly model: Map<string, string> } {
  const slabs = new OwnSlabs({ slabBytes: 256 * 1024 })
  const arena = openArena(slabs)
  const model = new Map<string, string>()
  const changes = Array.from({ length: 505 }, (_, i) => ({ key: `key ${i}`, value: new Uint8Array(20) }))
  applyTo(arena, changes)
  applyToModel(model, changes)
  arena.commit()
  return { slabs, model }
}

const large = { key: 'large', value: new Uint8Array(60_000) }
/** Many small changes, so that each store of each kind of change is a place to stop at. */
const transactions = [
  [{ key: 'key 3', value: new Uint8Array(20).fill(1) }],
  Array.from({ length: 12 }, (_, i) => ({ key: `new ${i}`, value: new Uint8Array(9 * i) })),
  [
    { key: 'key 5', value: new Uint8Array(33) },
    { key: 'key 6', value: undefined },
    { key: 'key 7', value: undefined },
  ],
  [
    { key: 'key 9', value: undefined },
    { key: 'newer', value: new Uint8Array(20) },
    { key: 'newest', value: new Uint8Array(7) },
  ],
  Array.from({ length: 70 }, (_, i) => ({
    key: `key ${20 + i}`,
    value: i % 3 === 0 ? undefined : new Uint8Array(2 * i),
  })),
  [large],
  [
    { ...large, value: new Uint8Array(70_000) },
    { key: 'new 1', value: undefined },
  ],
  [
    { key: 'key 30', value: new Uint8Array(50) },
    { key: 'large', value: undefined },
  ],
]

test('openArena finds the old or the new state, before whichever store the writer was stopped', () => {
  const { slabs, model } = almostGrown()
  const memory = new WatchedMemory(slabs)
  const arena = new Arena(memory)
  const before = new Map(model)
  memory.verify(before)
  for (const changes of transactions) {
    for (const change of changes) {
      memory.every = (change.value?.length ?? 0) > 10_000 ? 997 : 1 // the words of a large value are all alike
      applyTo(arena, [change])
      memory.verify(before) // as long as nothing is committed, it is all the old
    }
    applyToModel(model, changes)
    memory.every = 1
    arena.commit()
    memory.verify(before, model)
    assert.ok(same(foundIn(copyOf(slabs)), model))
    applyToModel(before, changes)
  }
  assert.ok(memory.stores > 3000, `${memory.stores} stores`)
})

test('openArena and Arena.rollback may be stopped before any store', () => {
  const { slabs, model } = almostGrown()
  const writer = new WatchedMemory(slabs)
  writer.every = 0
  const arena = new Arena(writer)
  const many = Array.from({ length: 500 }, (_, i) => ({ key: `key ${2 * i}`, value: new Uint8Array(i % 50) }))
  for (const changes of [...transactions, many]) applyTo(arena, changes) // more than one chunk of journal

  const opener = new WatchedMemory(copyOf(slabs))
  opener.every = 13
  new Arena(opener)
  opener.verify(model)
  assert.ok(opener.stores > 3000, `${opener.stores} stores`)

  writer.every = 29
  arena.rollback()
  writer.verify(model)
  assert.ok(writer.stores > 3000, `${writer.stores} stores`)
  assert.ok(same(contentsOf(arena), model))
})

test('Arena is created completely or not at all', () => {
  const slabs = new OwnSlabs()
  slabs.grow(0)
  new Int32Array(slabs.get(0)).fill(0x5a5a5a5a, 1)
  const memory = new WatchedMemory(slabs)
  memory.every = 7
  new Arena(memory)
  memory.verify(new Map())
  assert.ok(memory.stores > 3300, `${memory.stores} stores`)
})

test('Arena survives random transactions, any store of which may be the last', () => {
  const slabs = new OwnSlabs({ slabBytes: 256 * 1024 })
  slabs.grow(0)
  const memory = new WatchedMemory(slabs)
  memory.every = 211
  const arena = new Arena(memory)
  const model = new Map<string, string>()
  const before = new Map<string, string>()
  for (let number = 0; number < 400; number++) {
    const changes = transactionOf(number, 400)
    applyTo(arena, changes)
    memory.verify(before)
    applyToModel(model, changes)
    arena.commit()
    memory.verify(before, model)
    applyToModel(before, changes)
  }
})

test('Arena.shrink leaves an empty arena, before whichever store the writer was stopped, and it can be filled again', () => {
  const slabs = new OwnSlabs({ slabBytes: 256 * 1024 })
  slabs.grow(0)
  const memory = new WatchedMemory(slabs)
  memory.every = 0
  const arena = new Arena(memory)
  for (const round of [1, 2]) {
    const changes = Array.from({ length: 800 }, (_, i) => ({ key: `key ${i}`, value: new Uint8Array(100) }))
    const timers = changes.map(({ key, value }, i) => ({ key, value, timeMs: i }))
    applyTo(arena, [...changes, ...timers])
    arena.commit()
    const { heldBytes } = arena
    assert.ok(heldBytes > 150_000)
    arena.shrink()
    assert.equal(arena.heldBytes, heldBytes, 'not while there is anything in it')
    const none = [...changes, ...timers].map((change) => ({ ...change, value: undefined }))
    applyTo(arena, none)
    arena.commit()
    memory.every = 3 * round
    arena.shrink()
    memory.verify(new Map())
    memory.every = 0
    assert.equal(arena.heldBytes, 65_536, `round ${round}`)
    assert.ok(same(foundIn(copyOf(slabs)), new Map()))
  }
})
