import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Timer, Timers } from './timers.ts'

function* allDue(timers: Timers, nowMs: number, end = timers.orderNext): Generator<Timer> {
  for (;;) {
    const timer = timers.takeDue(nowMs, end)
    if (timer === undefined) return
    yield timer
  }
}

test('Timers answers what a sorted list would, through commits and rollbacks', () => {
  const step = fc.record({
    what: fc.constantFrom('set', 'set', 'set', 'delete', 'commit', 'rollback', 'due'),
    partition: fc.nat(1),
    key: fc.constantFrom('a', 'b', 'c'),
    timeMs: fc.nat(20),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const timers = new Timers()
      let model = new Map<string, number>()
      let committed = new Map(model)
      for (const { what, partition, key, timeMs } of steps) {
        const id = `${partition} ${key} ${timeMs}`
        if (what === 'set') {
          timers.set(partition, key, timeMs, 0)
          if (!model.has(id)) model.set(id, timeMs)
        } else if (what === 'delete') {
          assert.equal(timers.delete(partition, key, timeMs), model.delete(id))
        } else if (what === 'rollback') {
          timers.rollback()
          model = new Map(committed)
        } else {
          timers.commit()
          for (const timer of what === 'due' ? allDue(timers, timeMs) : []) {
            assert.equal(timer.timeMs, Math.min(...model.values()))
            assert.ok(model.delete(`${timer.partition} ${timer.key} ${timer.timeMs}`))
          }
          if (what === 'due') assert.ok(Math.min(...model.values()) > timeMs)
          committed = new Map(model)
        }
        assert.equal(timers.count, model.size)
        assert.equal(timers.nextMs, Math.min(...model.values()))
      }
      assert.deepEqual(
        timers
          .list()
          .map((t) => `${t.partition} ${t.key} ${t.timeMs}`)
          .toSorted(),
        [...model.keys()].toSorted(),
      )
    }),
    { numRuns: 500 },
  )
})

test('Timers keeps those of one time in the order set, and those set since for the next batch', () => {
  const timers = new Timers()
  for (const key of ['x', 'a', 'm']) timers.set(0, key, 5, 0)
  const end = timers.orderNext
  timers.set(0, 'past', 1, 5)
  const taken = [...allDue(timers, 5, end)].map(({ key }) => key)
  assert.deepEqual(taken, ['x', 'a', 'm'])
  assert.equal(timers.takeDue(5, timers.orderNext)?.key, 'past')
})
