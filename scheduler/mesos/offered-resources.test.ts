import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { LaunchOrder } from '../engine.ts'
import { readEvent } from './messages.ts'
import { OfferedResources, portsIn, type WireResource } from './offered-resources.ts'
import { transcript } from './scripted-master.ts'

const order = (cpus: number, memMib: number): LaunchOrder => ({
  taskId: 't',
  name: 't',
  agentId: 'S0',
  resources: { cpus, memMib, diskMib: 0 },
  command: { value: '/bin/true', arguments: [], environment: {} },
  killGraceMs: 0,
})
const scalar = (name: string, value: number, more: object = {}) => ({
  name,
  type: 'SCALAR',
  scalar: { value },
  allocation_info: { role: 'web' },
  ...more,
})
const offer = (resources: unknown[], more: object = {}) => ({
  id: { value: 'o1' },
  agent_id: { value: 'S0' },
  hostname: 'h',
  allocation_info: { role: 'web' },
  resources,
  ...more,
})
const reservations = [{ type: 'STATIC', role: 'web' }]

test('OfferedResources counts resources reserved to its role, keeps offers of two roles apart, and reads attributes', () => {
  const [line] = transcript('reservations.events.jsonl').toString().split('\n')
  const held = new OfferedResources('web')
  const offers = (readEvent(Buffer.from(line ?? '')).offers?.offers ?? []).map((each) => held.take(each))
  assert.ok(offers.length > 0)
  for (const { attributes, pool } of offers) {
    assert.deepEqual(attributes, { rack: 'r1', zone: 'z-a' })
    assert.ok(pool === 'web' || pool === 'api')
  }
})

test('OfferedResources cuts reserved resources first, and names their reservation', () => {
  const held = new OfferedResources('web')
  const { resources } = held.take(
    offer([scalar('cpus', 1), scalar('cpus', 0.5, { reservations }), scalar('mem', 512)]),
  )
  assert.deepEqual(resources, { cpus: 1.5, memMib: 512, diskMib: 0 })
  const role = { allocation_info: { role: 'web' }, type: 'SCALAR' }
  assert.deepEqual(held.cut(['o1'], [order(0.7, 64), order(0.3, 0)]), [
    [
      { name: 'cpus', scalar: { value: 0.5 }, reservations, ...role },
      { name: 'cpus', scalar: { value: 0.2 }, ...role },
      { name: 'mem', scalar: { value: 64 }, ...role },
    ],
    [{ name: 'cpus', scalar: { value: 0.3 }, ...role }],
  ])
})

test('OfferedResources ignores volumes, revocable, shared and unreadable resources (L2)', () => {
  const held = new OfferedResources('web')
  const strange = [
    scalar('cpus', 64, { revocable: {} }),
    scalar('disk', 64, { disk: { persistence: { id: 'v' } } }),
    scalar('mem', 64, { shared: {} }),
    { name: 'cpus' },
    { scalar: { value: 3 } },
    scalar('cpus', -4),
    'cpus',
    null,
  ]
  const attributes = [{ name: 'gen', scalar: { value: 3 } }, { text: { value: 'nameless' } }, 7]
  const taken = held.take(offer([scalar('cpus', 2), ...strange], { attributes }))
  assert.deepEqual(taken.resources, { cpus: 2, memMib: 0, diskMib: 0 })
  assert.deepEqual(taken.attributes, { gen: '3' })
})

test('OfferedResources says which field an offer lacks', () => {
  const held = new OfferedResources('web')
  assert.throws(() => held.take({ id: { value: 'o1' }, hostname: 'h' }), /agent_id/)
  assert.throws(() => held.take({ ...offer([]), hostname: '' }), /hostname/)
  assert.throws(() => held.take(null))
})

test('OfferedResources gives each order what it asks for, and never more of a resource than there is', () => {
  const amount = fc.integer({ min: 1, max: 4000 }).map((milli) => milli / 1000)
  const pieces = fc.array(fc.tuple(amount, fc.boolean()), { minLength: 1, maxLength: 5 })
  fc.assert(
    fc.property(pieces, fc.array(amount, { maxLength: 5 }), (offered, asked) => {
      const held = new OfferedResources('web')
      const { resources } = held.take(
        offer(offered.map(([cpus, reserved]) => scalar('cpus', cpus, reserved ? { reservations } : {}))),
      )
      const cuts = held.cut(
        ['o1'],
        asked.map((cpus) => order(cpus, 0)),
      )
      const milli = (all: readonly WireResource[]) =>
        all.reduce((sum, cut) => sum + (cut.type === 'SCALAR' ? Math.round(cut.scalar.value * 1000) : 0), 0)
      for (const [i, cut] of cuts.entries()) assert.equal(milli(cut), Math.round((asked[i] ?? 0) * 1000))
      const reserved = cuts.flat().filter((cut) => cut.reservations !== undefined)
      const there = offered.filter(([, is]) => is).reduce((sum, [cpus]) => sum + Math.round(cpus * 1000), 0)
      const total = Math.min(milli(cuts.flat()), Math.round(resources.cpus * 1000))
      assert.equal(milli(reserved), Math.min(there, total), 'reserved first, and not more than there is')
    }),
  )
})

test('OfferedResources gives each task ports of its own, out of those that were offered, reserved ones first (L4)', () => {
  const width = fc.integer({ min: 1, max: 6 })
  const piece = fc.record({ gap: width, width, reserved: fc.boolean() })
  fc.assert(
    fc.property(
      fc.array(piece, { minLength: 1, maxLength: 4 }),
      fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 5 }),
      (pieces, asked) => {
        let next = 31_000
        const ranges = pieces.map(({ gap, width, reserved }) => {
          const begin = next + gap
          next = begin + width
          return { begin, end: begin + width - 1, reserved }
        })
        const offered = ranges.map(({ begin, end, reserved }) => ({
          name: 'ports',
          type: 'RANGES',
          ranges: { range: [{ begin, end }] },
          allocation_info: { role: 'web' },
          ...(reserved ? { reservations } : {}),
        }))
        const held = new OfferedResources('web')
        const { resources } = held.take(offer(offered))
        const there = ranges.flatMap(({ begin, end }) =>
          Array.from({ length: end - begin + 1 }, (_, i) => begin + i),
        )
        assert.equal(resources.ports, there.length)
        const orders = asked.map((ports) => ({
          ...order(0, 0),
          resources: { cpus: 0, memMib: 0, diskMib: 0, ports },
        }))
        const cuts = held.cut(['o1'], orders)
        for (const [i, cut] of cuts.entries()) assert.equal(portsIn(cut).length, asked[i])
        const given = portsIn(cuts.flat()).filter((port) => there.includes(port))
        const total = asked.reduce((sum, ports) => sum + ports, 0)
        assert.equal(
          new Set(given).size,
          Math.min(total, there.length),
          'each for one task, as far as they go',
        )
        const kept = ranges
          .filter(({ reserved }) => reserved)
          .reduce((sum, r) => sum + r.end - r.begin + 1, 0)
        const ours = portsIn(cuts.flat().filter((cut) => cut.reservations !== undefined)).length
        assert.equal(ours, Math.min(kept, total))
      },
    ),
  )
})
