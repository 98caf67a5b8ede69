import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Offer, Resources } from '../engine.ts'
import { place, type Request } from './placement.ts'

const nobody = () => 0
const offer = (id: string, agentId: string, cpus: number, memMib = 1024, diskMib = 1024): Offer => ({
  id,
  agentId,
  hostname: agentId,
  resources: { cpus, memMib, diskMib },
})
const request = (id: string, cpus: number, memMib = 64, name = 'f'): Request => ({
  id,
  function: name,
  resources: { cpus, memMib, diskMib: 0 },
})

test('place spreads a function over agents, and counts what runs there already', () => {
  const offers = [offer('o1', 'a', 4), offer('o2', 'b', 4)]
  const spread = place([request('f-0', 1), request('f-1', 1)], offers, nobody)
  assert.deepEqual(spread.placed.map((p) => p.agentId).sort(), ['a', 'b'])
  const beside = place([request('f-0', 1)], offers, (_name, agentId) => (agentId === 'a' ? 1 : 0))
  assert.deepEqual(
    beside.placed.map((p) => p.agentId),
    ['b'],
  )
})

test('place takes the tightest fit among equals, so that large gaps stay for large requests', () => {
  const offers = [offer('o1', 'wide', 8), offer('o2', 'tight', 1)]
  const { placed } = place([request('small', 1, 64, 'f'), request('large', 8, 64, 'g')], offers, nobody)
  assert.deepEqual(Object.fromEntries(placed.map((p) => [p.request.id, p.agentId])), {
    small: 'tight',
    large: 'wide',
  })
})

test('place joins the offers of one agent, and says what the nearest miss lacks', () => {
  const offers = [offer('o1', 'a', 0.2), offer('o2', 'a', 0.3), offer('o3', 'b', 0.1)]
  const { placed, unplaced } = place([request('f-0', 0.5), request('f-1', 1)], offers, nobody)
  assert.deepEqual(
    placed.map((p) => [p.request.id, p.agentId]),
    [['f-0', 'a']],
  )
  assert.equal(unplaced.get('f-1'), '3 offers seen; the best misses 0.5 cpus')
})

test('place explains in cpus, memory and disk', () => {
  const { unplaced } = place(
    [request('f-0', 1, 4096)],
    [offer('o1', 'a', 0.5), offer('o2', 'b', 0.25, 8192)],
    nobody,
  )
  assert.equal(unplaced.get('f-0'), '2 offers seen; the best misses 0.75 cpus')
  const both = place([request('f-0', 1, 2048)], [offer('o1', 'a', 0.5)], nobody)
  assert.equal(both.unplaced.get('f-0'), '1 offer seen; the best misses 0.5 cpus and 1024 MiB of memory')
})

test('place never gives more than is offered, and places or explains each request (P1, P2)', () => {
  const amount = fc.integer({ min: 0, max: 80 }).map((n) => n / 10)
  const offers = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), amount, amount), { maxLength: 6 })
  const requests = fc.array(fc.tuple(amount, amount, fc.constantFrom('f', 'g')), { maxLength: 12 })
  fc.assert(
    fc.property(offers, requests, (offered, requested) => {
      const given = offered.map(([agentId, cpus, mem], i) => offer(`o${i}`, agentId, cpus, mem * 1000, 0))
      const asked = requested.map(([cpus, mem, name], i) => request(`r${i}`, cpus, mem * 1000, name))
      const { placed, unplaced } = place(asked, given, nobody)
      assert.equal(placed.length + unplaced.size, asked.length)
      for (const agentId of ['a', 'b', 'c']) {
        const sum = (all: readonly Resources[], of: 'cpus' | 'memMib') =>
          all.reduce((total, one) => total + one[of], 0)
        const there = given.filter((each) => each.agentId === agentId).map((each) => each.resources)
        const used = placed.filter((p) => p.agentId === agentId).map((p) => p.request.resources)
        assert.ok(
          sum(used, 'cpus') <= sum(there, 'cpus') + 1e-9 &&
            sum(used, 'memMib') <= sum(there, 'memMib') + 1e-6,
        )
      }
      assert.deepEqual(place(asked, given, nobody), { placed, unplaced }, 'the same answer again')
    }),
  )
})
