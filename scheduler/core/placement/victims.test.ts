import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseConstraint } from '../../../sdk/manifest/constraint.ts'
import type { Resources } from '../../engine.ts'
import { Census } from './census.ts'
import type { Request } from './placement.ts'
import { fits, plus } from './resources.ts'
import { type AgentTasks, chooseVictims } from './victims.ts'

const resources = (cpus: number): Resources => ({ cpus, memMib: 0, diskMib: 0 })
const request = (cpus: number, priority: number, ...constraints: string[]): Request => ({
  ...{ id: 'r', spread: 'f', resources: resources(cpus), priority },
  wants: [{ function: 'f', count: 1, constraints: constraints.map((c) => parseConstraint(c)!), peers: [] }],
})
const agent = (
  agentId: string,
  free: number,
  ...tasks: readonly (readonly [number, number])[]
): AgentTasks => ({
  ...{ agentId, hostname: agentId, attributes: {}, free: resources(free) },
  tasks: tasks.map(([priority, cpus], i) => ({
    taskId: `${agentId}${i}`,
    priority,
    resources: resources(cpus),
  })),
})
const nobody = new Census([])
const victims = (answer: ReturnType<typeof chooseVictims>) => answer?.victims.map((task) => task.taskId)

test('chooseVictims takes the least important, and no more of them than needed', () => {
  assert.deepEqual(victims(chooseVictims(request(1, 5), [agent('a', 0, [0, 1], [1, 1])], nobody)), ['a0'])
  assert.deepEqual(victims(chooseVictims(request(1, 5), [agent('a', 0.5, [0, 0.25], [1, 0.5])], nobody)), [
    'a1',
  ])
  assert.deepEqual(
    victims(chooseVictims(request(1, 5), [agent('a', 0, [3, 2]), agent('b', 0, [2, 1])], nobody)),
    ['b0'],
  )
  const many = [agent('a', 0, [0, 0.5], [0, 0.5]), agent('b', 0, [0, 1])]
  assert.deepEqual(victims(chooseVictims(request(1, 5), many, nobody)), ['b0'])
})

test('chooseVictims spares runners that are as important, or whose end would not help', () => {
  assert.equal(chooseVictims(request(1, 5), [agent('a', 0, [5, 4])], nobody), undefined)
  assert.equal(chooseVictims(request(2, 5), [agent('a', 0.5, [0, 1])], nobody), undefined)
  assert.equal(chooseVictims(request(1, 5, 'hostname == b'), [agent('a', 0, [0, 4])], nobody), undefined)
})

test('chooseVictims counts what gives way towards the quota, and takes nobody if even that is too little', () => {
  const agents = [agent('a', 2, [0, 1], [0, 1]), agent('b', 2)]
  const within = (cpus: number, left: number) =>
    victims(chooseVictims(request(cpus, 5), agents, nobody, { cpus: left }))
  assert.equal(within(2, 2), undefined, 'there is room already')
  assert.deepEqual(within(2, 1), ['a0'])
  assert.deepEqual(within(2, 0), ['a0', 'a1'])
  assert.equal(within(3, 0), undefined)
})

test('chooseVictims keeps its invariants for random clusters (PE1–PE3)', () => {
  const amount = fc.integer({ min: 1, max: 20 }).map((n) => n / 4)
  const task = fc.tuple(fc.integer({ min: 0, max: 6 }), amount)
  const agents = fc.array(fc.tuple(amount, fc.array(task, { maxLength: 6 })), { maxLength: 4 })
  fc.assert(
    fc.property(agents, amount, fc.integer({ min: 1, max: 6 }), (made, cpus, priority) => {
      const all = made.map(([free, tasks], i) => agent('abcd'[i]!, free, ...tasks))
      const asked = request(cpus, priority)
      const answer = chooseVictims(asked, all, nobody)
      const isRoom = all.some(({ free }) => fits(asked.resources, free))
      if (isRoom) return assert.equal(answer, undefined, 'there is room already')
      if (answer === undefined) {
        for (const { free, tasks } of all) {
          const most = tasks.filter((t) => t.priority < priority).reduce((r, t) => plus(r, t.resources), free)
          assert.ok(!fits(asked.resources, most), 'somebody could have gone')
        }
        return
      }
      const there = all.find(({ agentId }) => agentId === answer.place.agentId)!
      const room = (who: typeof answer.victims) => who.reduce((r, t) => plus(r, t.resources), there.free)
      assert.ok(
        answer.victims.every((t) => t.priority < priority && there.tasks.includes(t)),
        'PE1',
      )
      assert.ok(fits(asked.resources, room(answer.victims)))
      for (const one of answer.victims)
        assert.ok(!fits(asked.resources, room(answer.victims.filter((t) => t !== one))), 'PE2')
    }),
    { numRuns: 1000 },
  )
})
