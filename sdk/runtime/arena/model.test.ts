import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Arena, faultsOf, OwnSlabs, openArena } from './index.ts'
import { contentsOf } from './testing.ts'

const utf8 = new TextEncoder()
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

type Step =
  | { readonly kind: 'set'; readonly key: number; readonly bytes: number; readonly text: boolean }
  | { readonly kind: 'get' | 'delete'; readonly key: number }
  | { readonly kind: 'burst'; readonly key: number; readonly count: number; readonly bytes: number }
  | { readonly kind: 'sweep'; readonly key: number; readonly count: number }
  | { readonly kind: 'commit' | 'rollback' | 'reopen' | 'shrink' }

const key = fc.nat({ max: 30 })
const bytes = fc.oneof(
  { weight: 6, arbitrary: fc.nat({ max: 100 }) },
  { weight: 2, arbitrary: fc.nat({ max: 2000 }) },
  { weight: 1, arbitrary: fc.nat({ max: 90_000 }) },
)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('set' as const), key, bytes, text: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('get' as const, 'delete' as const), key }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('burst' as const),
      key: fc.nat({ max: 2000 }),
      count: fc.nat({ max: 900 }),
      bytes: fc.nat({ max: 60 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('sweep' as const),
      key: fc.nat({ max: 2000 }),
      count: fc.nat({ max: 900 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constantFrom('commit' as const, 'rollback' as const, 'reopen' as const, 'shrink' as const),
    }),
  },
)

/** The arena beside a Map that is what the arena should be. */
class Pair {
  readonly slabs = new OwnSlabs({ slabBytes: 256 * 1024 })
  arena: Arena = openArena(this.slabs)
  map = new Map<string, Uint8Array>()
  committed = new Map<string, Uint8Array>()
  #count = 0

  set(name: string, length: number, text: boolean): void {
    const value = new Uint8Array(length).fill(97 + (this.#count++ % 26))
    this.arena.set(text ? name : utf8.encode(name), text ? new TextDecoder().decode(value) : value)
    this.map.set(name, value)
  }

  delete(name: string): void {
    assert.equal(this.arena.delete(name), this.map.delete(name))
  }

  get(name: string): void {
    const found = this.arena.get(name)
    assert.deepEqual(found, this.map.get(name))
    assert.equal(this.arena.getText(utf8.encode(name)), found && new TextDecoder().decode(found))
  }

  take(step: Step): void {
    switch (step.kind) {
      case 'set':
        return this.set(`key ${step.key}`, step.bytes, step.text)
      case 'get':
      case 'delete':
        return this[step.kind](`key ${step.key}`)
      case 'burst':
        for (let i = 0; i < step.count; i++) this.set(`many ${step.key + i}`, step.bytes, false)
        return
      case 'sweep':
        for (let i = 0; i < step.count; i++) this.delete(`many ${step.key + i}`)
        return
      case 'commit':
        this.arena.commit()
        this.committed = new Map(this.map)
        return
      case 'shrink':
        this.take({ kind: 'commit' })
        this.arena.shrink()
        return this.verify()
      case 'rollback':
      case 'reopen':
        if (step.kind === 'rollback') this.arena.rollback()
        else this.arena = openArena(this.slabs)
        this.map = new Map(this.committed)
        this.verify()
    }
  }

  /** At rest. */
  verify(): void {
    assert.deepEqual(faultsOf(this.slabs), [])
    assert.equal(this.arena.entries, this.map.size)
    assert.deepEqual(
      contentsOf(this.arena),
      new Map([...this.map].map(([name, value]) => [hex(utf8.encode(name)), hex(value)])),
    )
  }
}

test('Arena behaves as a Map, with commits, rollbacks and reopening in between', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
      const pair = new Pair()
      for (const each of steps) pair.take(each)
      pair.take({ kind: 'commit' })
      pair.verify()
    }),
    { numRuns: 150 },
  )
})
