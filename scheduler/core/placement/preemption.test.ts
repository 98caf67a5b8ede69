import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseConstraint } from '../../../sdk/manifest/constraint.ts'
import type { Resources } from '../../engine.ts'
import { Census } from './census.ts'
import type { Request } from './placement.ts'
import { type Ground, makeRoom } from './preemption.ts'
import { fits, plus } from './resources.ts'

const resources = (cpus: number): Resources => ({ cpus, memMib: 0, diskMib: 0 })
const request = (cpus: number, priority: number, ...constraints: string[]): Request => ({
  ...{ id: 'r', spread: 'f', resources: resources(cpus), priority },
  wants: [{ function: 'f', count: 1, constraints: constraints.map((c) => parseConstraint(c)!), peers: [] }],
})
const ground = (
  agentId: string,
  free: number,
  ...tenants: readonly (readonly [number, number])[]
): Ground => ({
  ...{ agentId, hostname: agentId, attributes: {}, free: resources(free) },
  tenants: tenants.map(([priority, cpus], i) => ({
    taskId: `${agentId}${i}`,
    priority,
    resources: resources(cpus),
  })),
})
const nobody = new Census([])
const goes = (answer: ReturnType<typeof makeRoom>) => answer?.goes.map((tenant) => tenant.taskId)

test('makeRoom takes the least important, and no more of them than needed', () => {
  assert.deepEqual(goes(makeRoom(request(1, 5), [ground('a', 0, [0, 1], [1, 1])], nobody)), ['a0'])
  assert.deepEqual(goes(makeRoom(request(1, 5), [ground('a', 0.5, [0, 0.25], [1, 0.5])], nobody)), ['a1'])
  assert.deepEqual(goes(makeRoom(request(1, 5), [ground('a', 0, [3, 2]), ground('b', 0, [2, 1])], nobody)), [
    'b0',
  ])
  const many = [ground('a', 0, [0, 0.5], [0, 0.5]), ground('b', 0, [0, 1])]
  assert.deepEqual(goes(makeRoom(request(1, 5), many, nobody)), ['b0'])
})

test('makeRoom spares runners that are as important, or whose end would not help', () => {
  assert.equal(makeRoom(request(1, 5), [ground('a', 0, [5, 4])], nobody), undefined)
  assert.equal(makeRoom(request(2, 5), [ground('a', 0.5, [0, 1])], nobody), undefined)
  assert.equal(makeRoom(request(1, 5, 'hostname == b'), [ground('a', 0, [0, 4])], nobody), undefined)
})

test('makeRoom keeps its invariants for random clusters (PE1–PE3)', () => {
  const amount = fc.integer({ min: 1, max: 20 }).map((n) => n / 4)
  const tenant = fc.tuple(fc.integer({ min: 0, max: 6 }), amount)
  const grounds = fc.array(fc.tuple(amount, fc.array(tenant, { maxLength: 6 })), { maxLength: 4 })
  fc.assert(
    fc.property(grounds, amount, fc.integer({ min: 1, max: 6 }), (made, cpus, priority) => {
      const all = made.map(([free, tenants], i) => ground('abcd'[i]!, free, ...tenants))
      const asked = request(cpus, priority)
      const answer = makeRoom(asked, all, nobody)
      const isRoom = all.some(({ free }) => fits(asked.resources, free))
      if (isRoom) return assert.equal(answer, undefined, 'there is room already')
      if (answer === undefined) {
        for (const { free, tenants } of all) {
          const most = tenants
            .filter((t) => t.priority < priority)
            .reduce((r, t) => plus(r, t.resources), free)
          assert.ok(!fits(asked.resources, most), 'somebody could have gone')
        }
        return
      }
      const there = all.find(({ agentId }) => agentId === answer.place.agentId)!
      const room = (who: typeof answer.goes) => who.reduce((r, t) => plus(r, t.resources), there.free)
      assert.ok(
        answer.goes.every((t) => t.priority < priority && there.tenants.includes(t)),
        'PE1',
      )
      assert.ok(fits(asked.resources, room(answer.goes)))
      for (const one of answer.goes)
        assert.ok(!fits(asked.resources, room(answer.goes.filter((t) => t !== one))), 'PE2')
    }),
    { numRuns: 1000 },
  )
})
