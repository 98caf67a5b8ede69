import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Arena, OwnSlabs, openArena } from './index.ts'

/** Values that differ little, so that the bytes of one often stand where those of another stood. */
const value = fc.oneof(
  fc.record({ a: fc.integer({ min: 10, max: 13 }), b: fc.constantFrom('x', 'y', 'é', '🙂') }),
  fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 4 }),
  fc.constantFrom(1, 12, 13),
  fc.constantFrom<unknown>(null, true, -0, 1.5, '', 'text', {}, [], [[1]], { a: { b: 1 } }, { a: [2] }),
  fc.integer({ min: 0, max: 3 }).map((n) => ({ long: `${'-'.repeat(300)}${n}` })),
  fc.integer({ min: 0, max: 3 }).map((n) => JSON.parse(`{"__proto__":${n},"length":2}`) as unknown),
)
const at = { arena: fc.nat({ max: 1 }), key: fc.constantFrom('one', 'two', 'three') }
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('set' as const), value, ...at }) },
  {
    weight: 9,
    arbitrary: fc.record({ kind: fc.constant('get' as const), times: fc.integer({ min: 1, max: 4 }), ...at }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom('delete', 'commit', 'rollback', 'reopen'), ...at }),
  },
)

/** Does to a value whatever an author might. */
function spoil(found: unknown): void {
  if (typeof found !== 'object' || found === null) return
  for (const inner of Object.values(found)) spoil(inner)
  Object.assign(found, { spoilt: true, a: 'spoilt' })
  if (Array.isArray(found)) found.push('spoilt')
}

test('getJson answers what JSON.parse makes of the stored text, to callers who change it, across undo and other isolates', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const slabs = [new OwnSlabs(), new OwnSlabs()]
      const arenas: Arena[] = slabs.map((its) => openArena(its))
      const maps = slabs.map(() => new Map<string, string>())
      const committed = slabs.map(() => new Map<string, string>())
      for (const step of steps) {
        const i = step.arena
        if (step.kind === 'set') {
          const text = JSON.stringify(step.value)
          arenas[i]!.set(step.key, text)
          maps[i]!.set(step.key, text)
        } else if (step.kind === 'get') {
          const text = maps[i]!.get(step.key)
          for (let time = 0; time < step.times; time++) {
            const found = arenas[i]!.getJson(step.key)
            assert.deepStrictEqual(found, text === undefined ? undefined : JSON.parse(text))
            spoil(found)
          }
        } else if (step.kind === 'delete')
          assert.equal(arenas[i]!.delete(step.key), maps[i]!.delete(step.key))
        else if (step.kind === 'commit') {
          arenas[i]!.commit()
          committed[i] = new Map(maps[i])
        } else {
          if (step.kind === 'rollback') arenas[i]!.rollback()
          else arenas[i] = openArena(slabs[i]!) // as another isolate does
          maps[i] = new Map(committed[i])
        }
      }
    }),
    { numRuns: 500 },
  )
})

test('getJson throws what JSON.parse throws, however often', () => {
  const arena = openArena(new OwnSlabs())
  arena.set('k', '{"a":')
  for (let i = 0; i < 4; i++) assert.throws(() => arena.getJson('k'), SyntaxError)
  arena.set('k', '{"a":1}')
  for (let i = 0; i < 4; i++) assert.deepEqual(arena.getJson('k'), { a: 1 })
})
