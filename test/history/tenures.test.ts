import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Tenure, Tenures } from './tenures.ts'

const effect = fc.record({
  owner: fc.constantFrom('a', 'b'),
  epoch: fc.integer({ min: 1, max: 3 }),
  from: fc.nat(30),
  count: fc.nat(6),
})

test('Tenures answers as a walk through all of them would, whatever their order', () => {
  fc.assert(
    fc.property(fc.array(effect, { maxLength: 30 }), (effects) => {
      const tenures = new Tenures()
      const walked: Tenure[] = []
      for (const { owner, epoch, from, count } of effects) {
        tenures.add(owner, epoch, from, from + count)
        const last = walked.at(-1)
        if (last?.owner === owner && last.epoch === epoch) last.end = Math.max(last.end, from + count)
        else walked.push({ owner, epoch, first: from, end: from + count })
      }
      assert.deepEqual([...tenures], walked)
      assert.deepEqual(tenures.last, walked.at(-1))
      for (let record = 0; record < 40; record++) {
        const from = walked.findLast(({ first }) => first <= record)
        assert.deepEqual(tenures.lastFrom(record), from)
        const beyond = walked.find(({ end }) => end > record)
        assert.deepEqual(tenures.firstBeyond(record), beyond)
      }
    }),
    { numRuns: 1000 },
  )
})
