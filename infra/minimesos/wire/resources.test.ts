import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ResourceInfo } from './messages.ts'
import { keyOf } from './reservations.ts'
import {
  add,
  availableTo,
  contains,
  format,
  fromWire,
  type Resources,
  resources,
  scalar,
  subtract,
  toWire,
} from './resources.ts'

const web = { type: 'STATIC', role: 'web' } as const
const shop = { type: 'DYNAMIC', role: 'web/shop', principal: 'ops' } as const
const cores = fc.nat(8_000).map((milli) => milli / 1000)
const anyResources: fc.Arbitrary<Resources> = fc
  .record({
    cpus: cores,
    [keyOf('cpus', [web])]: cores,
    [keyOf('cpus', [web, shop])]: cores,
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

test('subtract undoes add if ports do not overlap', () => {
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

test('contains is true for a part of a sum, and false for more than the sum', () => {
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

/** As `convert` answers it. */
const read = (infos: unknown[]) =>
  (infos as ResourceInfo[]).map((info) => ({ ...info, reservations: info.reservations ?? [] }))

test('fromWire reads what toWire wrote', () => {
  fc.assert(
    fc.property(anyResources, (a) => {
      assert.deepEqual(fromWire(read(toWire(a, 'web', false))), a)
      const offered = availableTo(a, 'web/shop', true)
      assert.deepEqual(fromWire(read(toWire(offered, 'web/shop', true))), offered)
    }),
  )
})

test('availableTo hides resources reserved for other roles, and stacked reservations from frameworks that do not support them', () => {
  const all = resources({ cpus: 1, [keyOf('cpus', [web])]: 2, [keyOf('cpus', [web, shop])]: 4 })
  const cpus = (role: string, legacy = false) => scalar(availableTo(all, role, legacy), 'cpus')
  assert.deepEqual(
    [cpus('api'), cpus('webber'), cpus('web'), cpus('web/shop'), cpus('web/shop', true)],
    [1, 1, 3, 7, 3],
  )
})

test('format writes resources as a real master does', () => {
  const all = resources({ ports: [{ begin: 31_000, end: 32_000 }], cpus: 4, mem: 0, disk: 8_192 })
  assert.equal(
    format(all, 'web'),
    'ports(allocated: web):[31000-32000]; cpus(allocated: web):4; disk(allocated: web):8192',
  )
  const labels = { labels: [{ key: 'l', value: '1' }] }
  assert.equal(
    format(resources({ [keyOf('cpus', [web, { ...shop, labels }])]: 2 }), 'web/shop'),
    'cpus(allocated: web/shop)(reservations: [(STATIC,web),(DYNAMIC,web/shop,ops,{l: 1})]):2',
  )
})
