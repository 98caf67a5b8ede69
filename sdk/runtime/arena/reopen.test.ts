import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Arena, faultsOf, Memory, OwnSlabs, openArena } from './index.ts'

const steps = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('set' as const), key: fc.nat(400), bytes: fc.nat(3000) }),
    fc.record({ kind: fc.constant('delete' as const), key: fc.nat(400) }),
    fc.record({ kind: fc.constant('timer' as const), key: fc.nat(400), timeMs: fc.nat(50) }),
    fc.record({ kind: fc.constant('other' as const) }),
  ),
  { minLength: 1, maxLength: 400 },
)

test('Arena.reopen finds what another arena over the same slabs has committed meanwhile', () => {
  fc.assert(
    fc.property(steps, (taken) => {
      const slabs = new OwnSlabs({ slabBytes: 256 * 1024 })
      let mine: Arena = openArena(slabs)
      let others: Arena | undefined
      const model = new Map<string, number>()
      const timers = new Set<string>()
      for (const step of taken) {
        if (step.kind === 'other') {
          others ??= openArena(slabs, {}, new Memory(slabs))
          others.reopen()
          ;[mine, others] = [others, mine]
          continue
        }
        const key = `k${step.key}`
        if (step.kind === 'set') {
          mine.set(key, new Uint8Array(step.bytes).fill(step.key))
          model.set(key, step.bytes)
        } else if (step.kind === 'delete') {
          assert.equal(mine.delete(key), model.delete(key))
        } else {
          mine.timers.set(key, step.timeMs, step.timeMs, mine.timers.orderNext)
          timers.add(`${key} ${step.timeMs}`)
        }
        mine.commit()
      }
      for (const [key, bytes] of model) assert.equal(mine.get(key)?.length, bytes)
      assert.equal(mine.entries, model.size)
      assert.deepEqual(new Set(mine.timers.list().map(({ key, timeMs }) => `${key} ${timeMs}`)), timers)
      assert.deepEqual(faultsOf(slabs), [])
    }),
    { numRuns: 60 },
  )
})
