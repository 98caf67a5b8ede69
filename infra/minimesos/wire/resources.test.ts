import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { add, contains, format, fromWire, type Resources, resources, subtract, toWire } from './resources.ts'

const anyResources: fc.Arbitrary<Resources> = fc
  .record({
    cpus: fc.nat(8_000).map((milli) => milli / 1000),
    mem: fc.nat(4_096),
    ports: fc.array(
      fc.tuple(fc.nat(50), fc.nat(9)).map(([begin, length]) => ({ begin, end: begin + length })),
      { maxLength: 4 },
    ),
  })
  .map(resources)

const ports = (all: Resources): Set<number> => {
  const amount = all.get('ports')
  const ranges = typeof amount === 'object' ? amount : []
  return new Set(ranges.flatMap((r) => Array.from({ length: r.end - r.begin + 1 }, (_, i) => r.begin + i)))
}

test('subtract gives back what add put in, where ports do not overlap', () => {
  fc.assert(
    fc.property(anyResources, anyResources, (a, b) => {
      fc.pre([...ports(a)].every((port) => !ports(b).has(port)))
      assert.deepEqual(new Map([...subtract(add(a, b), b)].sort()), new Map([...a].sort()))
    }),
  )
})

test('subtract treats ports as a set', () => {
  fc.assert(
    fc.property(anyResources, anyResources, (a, b) => {
      const left = [...ports(a)].filter((port) => !ports(b).has(port))
      assert.deepEqual([...ports(subtract(a, b))].sort(), left.sort())
    }),
  )
})

test('contains holds of a part and its sum, and not of more', () => {
  fc.assert(
    fc.property(anyResources, anyResources, (a, b) => {
      assert.ok(contains(add(a, b), a))
      assert.equal(contains(a, add(a, resources({ cpus: 0.001 }))), false)
    }),
  )
})

test('add keeps three decimals', () => {
  assert.deepEqual(add(resources({ cpus: 0.1 }), resources({ cpus: 0.2 })), resources({ cpus: 0.3 }))
})

test('fromWire reads what toWire wrote', () => {
  fc.assert(
    fc.property(anyResources, (a) => {
      const infos = toWire(a, 'web', false) as Parameters<typeof fromWire>[0]
      assert.deepEqual(fromWire(infos), a)
    }),
  )
})

test('format writes as a master does', () => {
  const all = resources({ ports: [{ begin: 31_000, end: 32_000 }], cpus: 4, mem: 0, disk: 8_192 })
  assert.equal(
    format(all, 'web'),
    'ports(allocated: web):[31000-32000]; cpus(allocated: web):4; disk(allocated: web):8192',
  )
})
