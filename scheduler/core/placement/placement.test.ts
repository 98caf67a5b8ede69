import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseConstraint } from '../../../sdk/manifest/constraint.ts'
import type { Offer, Resources } from '../../engine.ts'
import { attributeOf, type Resident } from './census.ts'
import { inOrder, place, type Request } from './placement.ts'

type Attributes = Readonly<Record<string, string>>

const offer = (
  id: string,
  agentId: string,
  cpus: number,
  attributes: Attributes = {},
  memMib = 1024,
): Offer => ({ id, agentId, hostname: agentId, resources: { cpus, memMib, diskMib: 1024 }, attributes })

interface Asked {
  readonly memMib?: number
  readonly name?: string
  readonly priority?: number
  readonly constraints?: readonly string[]
  readonly peers?: readonly string[]
}
const request = (id: string, cpus: number, asked: Asked = {}): Request => {
  const { memMib = 64, name = 'f', priority = 0, constraints = [], peers = [] } = asked
  const parsed = constraints.map((text) => parseConstraint(text)!)
  return {
    ...{ id, spread: name, priority, resources: { cpus, memMib, diskMib: 0 } },
    wants: [{ function: name, count: 1, constraints: parsed, peers }],
  }
}
const resident = (agentId: string, name = 'f', attributes: Attributes = {}): Resident => ({
  ...{ agentId, hostname: agentId, attributes, spread: name },
  instances: [{ function: name, count: 1 }],
  resources: { cpus: 1, memMib: 64, diskMib: 0 },
})
const where = (answer: ReturnType<typeof place>) =>
  Object.fromEntries(answer.placed.map((p) => [p.request.id, p.place.agentId]))

test('place spreads a function over agents, and counts what runs there already', () => {
  const offers = [offer('o1', 'a', 4), offer('o2', 'b', 4)]
  const spread = place([request('f-0', 1), request('f-1', 1)], offers, [])
  assert.deepEqual(spread.placed.map((p) => p.place.agentId).sort(), ['a', 'b'])
  const beside = place([request('f-0', 1)], offers, [resident('a')])
  assert.deepEqual(where(beside), { 'f-0': 'b' })
  assert.equal(beside.placed[0]?.why, '2 offers seen, 2 suit: b runs the fewest of f (0)')
})

test('place prefers agents on which no launch has failed lately, then the one where that is longest ago', () => {
  const offers = [offer('o1', 'a', 1), offer('o2', 'b', 1), offer('o3', 'c', 1)]
  const failed = new Map(Object.entries({ a: 2_000, b: 1_000 }))
  const asked = ['f-0', 'f-1', 'f-2'].map((id) => request(id, 1))
  const answer = place(asked, offers, [resident('c'), resident('c')], undefined, failed)
  assert.deepEqual(
    answer.placed.map(({ place: { agentId }, why }) => [agentId, why]),
    [
      ['c', '3 offers seen, 3 suit: c has no failed launch lately'],
      ['b', '3 offers seen, 2 suit: b has the oldest failed launch'],
      ['a', '3 offers seen, only a suits, although the latest launch on it failed'],
    ],
  )
})

test('place takes the tightest fit among equals, so that large gaps stay for large requests', () => {
  const offers = [offer('o1', 'wide', 8), offer('o2', 'tight', 1)]
  const answer = place([request('small', 1, { name: 'f' }), request('large', 8, { name: 'g' })], offers, [])
  assert.deepEqual(where(answer), { small: 'tight', large: 'wide' })
  assert.deepEqual(answer.placed.map((p) => p.why).sort(), [
    '2 offers seen, only tight suits',
    '2 offers seen, only wide suits',
  ])
})

test('place joins the offers of one agent, but not those of two pools, and says what the nearest miss lacks', () => {
  const offers = [offer('o1', 'a', 0.2), offer('o2', 'a', 0.3), offer('o3', 'b', 0.1)]
  const { placed, unplaced } = place([request('f-0', 0.5), request('f-1', 1)], offers, [])
  assert.deepEqual(
    placed.map((p) => [p.request.id, p.place.agentId]),
    [['f-0', 'a']],
  )
  assert.equal(unplaced.get('f-1'), '3 offers seen; no machine has 1 cpus: the largest has 0.5')
  const pools = [
    { ...offer('o1', 'a', 0.2), pool: 'x' },
    { ...offer('o2', 'a', 0.3), pool: 'y' },
  ]
  const apart = place([request('f-0', 0.5)], pools, [])
  assert.equal(apart.placed.length, 0)
  assert.equal(apart.left.get('a')?.cpus, 0.3, 'what a request can have of it')
})

test('place explains misses in cpus, memory and disk, and tells too large for any machine from in use', () => {
  const offers = [offer('o1', 'a', 0.5), offer('o2', 'b', 0.25, {}, 8192)]
  const why = (asked: Request) => place([asked], offers, [resident('a'), resident('a')]).unplaced.get('f-0')
  assert.equal(why(request('f-0', 1, { memMib: 4096 })), '2 offers seen; the best misses 0.75 cpus')
  assert.equal(
    why(request('f-0', 1, { memMib: 1100 })),
    '2 offers seen; the best misses 0.5 cpus and 76 MiB of memory',
  )
  assert.equal(why(request('f-0', 500)), '2 offers seen; no machine has 500 cpus: the largest has 2.5')
  assert.equal(
    why(request('f-0', 0.25, { memMib: 9000 })),
    '2 offers seen; no machine has 9000 MiB of memory: the largest has 8192',
  )
})

test('place counts ports, and never gives one port twice', () => {
  const withPorts = (ports: number): Offer => {
    const plain = offer('o1', 'a', 4)
    return { ...plain, resources: { ...plain.resources, ports } }
  }
  const asking = (id: string, ports: number): Request => {
    const plain = request(id, 1)
    return { ...plain, resources: { ...plain.resources, ports } }
  }
  const requests = [asking('f-0', 2), asking('f-1', 2), asking('f-2', 1)]
  const { placed, unplaced } = place(requests, [withPorts(3)], [])
  assert.deepEqual(placed.map(({ request: { id } }) => id).sort(), ['f-0', 'f-2'])
  assert.equal(unplaced.get('f-1'), '1 offer seen; the best misses 1 ports')
  assert.deepEqual(place([request('g-0', 1)], [offer('o1', 'a', 4)], []).unplaced, new Map())
})

test('place keeps to the constraints, and names the one that keeps an agent off', () => {
  const offers = [
    offer('o1', 'web-1', 4, { zone: 'a' }),
    offer('o2', 'web-2', 4, { zone: 'b' }),
    offer('o3', 'db-1', 4),
  ]
  const on = (...constraints: string[]) =>
    where(place([request('f-0', 1, { constraints })], offers, []))['f-0']
  assert.equal(on('zone == b'), 'web-2')
  assert.equal(on('zone != a', 'hostname like web-*'), 'web-2')
  assert.equal(on('zone != a', 'zone != b'), 'db-1')
  assert.equal(on('zone in b, c'), 'web-2')
  assert.equal(on('hostname == db-1'), 'db-1')
  assert.equal(on('zone like ?', 'hostname != web-1'), 'web-2')
  const constraints = ['zone == a']
  const { unplaced } = place(
    [request('f-0', 9, { constraints }), request('g-0', 1, { constraints: ['zone == z'] })],
    offers,
    [],
  )
  assert.equal(
    unplaced.get('f-0'),
    "3 offers seen; 2 kept off by 'zone == a'; no machine of the others has 9 cpus: the largest has 4",
  )
  assert.equal(unplaced.get('g-0'), "3 offers seen; 3 kept off by 'zone == z'")
})

test('place counts instances for unique and maxPer, and balances groupBy as far as there is room', () => {
  const racks = [
    offer('o1', 'a1', 4, { rack: '1' }),
    offer('o2', 'a2', 4, { rack: '1' }),
    offer('o3', 'b1', 2, { rack: '2' }),
    offer('o4', 'c1', 4),
  ]
  const four = (...constraints: string[]) =>
    place(
      [0, 1, 2, 3].map((i) => request(`f-${i}`, 1, { constraints })),
      racks,
      [resident('a1', 'f', { rack: '1' })],
    )
  const unique = four('hostname unique')
  assert.deepEqual(unique.placed.map((p) => p.place.agentId).sort(), ['a2', 'b1', 'c1'])
  assert.equal([...unique.unplaced.values()][0], "4 offers seen; 4 kept off by 'hostname unique'")
  const perRack = four('rack maxPer 2')
  assert.deepEqual(perRack.placed.map((p) => p.place.agentId).sort(), ['a2', 'b1', 'b1'])
  const grouped = four('rack groupBy', 'rack in 1, 2')
  assert.deepEqual(
    grouped.placed.map((p) => p.place.attributes['rack']),
    ['2', '1', '2', '1'],
    'rack 2 catches up, and is full at last',
  )
})

test('place prefers the agent of those that a function exchanges records with, after its own spread', () => {
  const offers = [offer('o1', 'a', 4), offer('o2', 'b', 4)]
  const beside = place([request('f-0', 1, { peers: ['g', 'h'] })], offers, [resident('b', 'g')])
  assert.deepEqual(where(beside), { 'f-0': 'b' })
  assert.equal(beside.placed[0]?.why, '2 offers seen, 2 suit: b runs g, with which it exchanges records')
  const own = [resident('b', 'g'), resident('b', 'f')]
  assert.deepEqual(where(place([request('f-1', 1, { peers: ['g'] })], offers, own)), { 'f-1': 'a' })
})

test('place serves important requests first, within the budget', () => {
  const requests = [request('low', 2), request('high', 1, { priority: 5 })]
  const scarce = place(requests, [offer('o1', 'a', 2)], [])
  assert.deepEqual(where(scarce), { high: 'a' })
  const quota = place(requests, [offer('o1', 'a', 8)], [], { cpus: 2.5 })
  assert.deepEqual(where(quota), { high: 'a' })
  assert.equal(quota.unplaced.get('low'), 'the quota of its namespace is short of 0.5 cpus')
})

const amount = fc.integer({ min: 0, max: 80 }).map((n) => n / 10)
const zones = fc.constantFrom('x', 'y', 'z')
const offered = fc
  .array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd'), amount, amount), { maxLength: 8 })
  .chain((offers) => fc.tuple(fc.constant(offers), fc.tuple(zones, zones, zones, zones)))
  .map(([offers, zoneOf]) =>
    offers.map(([agentId, cpus, mem], i) =>
      offer(`o${i}`, agentId, cpus, { zone: zoneOf['abcd'.indexOf(agentId)] ?? 'x' }, mem * 1000),
    ),
  )
const constraint = fc.constantFrom(
  ...['zone == x', 'zone != x', 'zone in x, y', 'hostname like ?', 'zone unique', 'zone maxPer 2'],
  ...['hostname maxPer 3', 'zone groupBy'],
)
const asked = fc.array(
  fc.record({
    cpus: amount,
    mem: amount,
    name: fc.constantFrom('f', 'g'),
    priority: fc.integer({ min: 0, max: 3 }),
    constraints: fc.array(constraint, { maxLength: 2 }),
    comesOn: fc.option(fc.constantFrom('a', 'b', 'c', 'd'), { nil: undefined }),
  }),
  { maxLength: 12 },
)
const budgets = fc.option(fc.record({ cpus: amount }), { nil: undefined })

test('place says for whom the rest of the quota is kept, if it would be enough otherwise (P5)', () => {
  const budget = { cpus: 3 }
  const high = { ...request('high-0', 4, { priority: 9 }), comesOn: 'a' }
  const asked = [high, request('low-0', 2), request('vast-0', 3.5)]
  const { unplaced } = place(asked, [offer('o1', 'b', 8)], [], budget)
  assert.deepEqual(Object.fromEntries(unplaced), {
    'high-0': 'the quota of its namespace is short of 1 cpus',
    'vast-0': 'the quota of its namespace is short of 4.5 cpus',
    'low-0': 'the rest of the quota is kept for high-0, for which room is made',
  })
})

test('place keeps its invariants for random requests and offers (P1–P5)', () => {
  fc.assert(
    fc.property(offered, asked, budgets, (offers, wanted, budget) => {
      const requests = wanted.map(({ cpus, mem, comesOn, ...more }, i) => ({
        ...request(`r${i}`, cpus, { memMib: mem * 1000, ...more }),
        ...(comesOn === undefined ? {} : { comesOn }),
      }))
      const before = [resident('e', 'f', { zone: 'x' })]
      const { placed, unplaced, left } = place(requests, offers, before, budget)
      assert.equal(placed.length + unplaced.size, requests.length)
      assert.ok([...placed.map((p) => p.why), ...unplaced.values()].every((why) => why.length > 10))
      const sum = (all: readonly Resources[], of: 'cpus' | 'memMib') =>
        all.reduce((total, one) => total + one[of], 0)
      for (const agentId of ['a', 'b', 'c', 'd']) {
        const there = offers.filter((each) => each.agentId === agentId).map((each) => each.resources)
        const used = placed.filter((p) => p.place.agentId === agentId).map((p) => p.request.resources)
        assert.ok(sum(used, 'cpus') <= sum(there, 'cpus') + 1e-9)
        assert.ok(sum(used, 'memMib') <= sum(there, 'memMib') + 1e-6)
        if (there.length > 0)
          assert.ok(Math.abs((left.get(agentId)?.cpus ?? 0) - sum(there, 'cpus') + sum(used, 'cpus')) < 1e-6)
      }
      const all = placed.map((p) => p.request.resources)
      if (budget !== undefined) assert.ok(sum(all, 'cpus') <= budget.cpus + 1e-9, 'P4')
      const kept = new Set<string>()
      const spent: Resources[] = []
      for (const each of inOrder(requests)) {
        const found = placed.find((p) => p.request === each)
        if (found !== undefined) assert.ok(!kept.has(found.place.agentId), 'P5')
        else if (each.comesOn !== undefined) kept.add(each.comesOn)
        if (found !== undefined || each.comesOn !== undefined) spent.push(each.resources)
        if (found !== undefined && budget !== undefined)
          assert.ok(sum(spent, 'cpus') <= budget.cpus + 1e-9, 'P4 and P5')
      }
      // P3, checked afterwards: counts only grow, so the last placement of a function must still meet its
      // constraints.
      const counts = (name: string, attribute: string, value: string | undefined, upTo: number) =>
        [
          ...before,
          ...placed
            .slice(0, upTo)
            .map((p) => resident(p.place.agentId, p.request.spread, p.place.attributes)),
        ].filter((r) => r.spread === name && attributeOf(r, attribute) === value).length
      for (const [i, p] of placed.entries())
        for (const c of p.request.wants[0]!.constraints) {
          const value = attributeOf(p.place, c.attribute)
          if (c.kind === 'is') assert.equal(value, c.value)
          if (c.kind === 'isNot') assert.notEqual(value, c.value)
          if (c.kind === 'in') assert.ok(value !== undefined && c.values.includes(value))
          if (c.kind === 'maxPer') assert.ok(counts(p.request.spread, c.attribute, value, i) < c.max)
        }
      assert.deepEqual(place(requests, offers, before, budget), { placed, unplaced, left }, 'the same answer')
    }),
    { numRuns: 500 },
  )
})
