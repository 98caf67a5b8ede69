import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Outside } from './outside.ts'

const mib = 2 ** 20

test('Outside separates texts of batches from memory that the code holds, and measures that again after a collection (OU1, OU2)', () => {
  const outside = new Outside()
  outside.add(30 * mib)
  assert.equal(outside.look(30 * mib), 0)
  outside.add(5 * mib)
  assert.equal(outside.look(55 * mib), 20 * mib, 'what comes beside the text is the code’s')
  assert.equal(outside.look(54 * mib), 20 * mib, 'a little text has gone')
  assert.equal(outside.look(20 * mib), 20 * mib, 'all of it')
  assert.equal(outside.look(0), 0)
})

test('Outside is exact after a collection, and never reports more memory than there is', () => {
  const step = fc.record({
    text: fc.nat(3 * mib),
    own: fc.integer({ min: -mib, max: mib }),
    share: fc.double({ min: 0, max: 0.3, noNaN: true }),
  })
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
      const outside = new Outside()
      let [text, own] = [0, 0]
      for (const { text: more, own: grown, share } of steps) {
        text = Math.floor((text + more) * (1 - share))
        own = Math.max(0, own + grown)
        outside.add(more)
        const told = outside.look(text + own)
        assert.ok(told >= 0 && told <= text + own)
      }
      outside.add(100 * mib)
      outside.look(text + own + 100 * mib)
      assert.equal(outside.look(own), own)
    }),
  )
})
