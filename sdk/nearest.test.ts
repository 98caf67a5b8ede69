import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { editDistance, nearest } from './nearest.ts'

test('nearest names the key that was probably meant, and none if nothing is close', () => {
  const known = ['computation_name', 'executable_name', 'instances', 'logLevel', 'env']
  assert.equal(nearest('instnaces', known), 'instances')
  assert.equal(nearest('computationName', known), 'computation_name')
  assert.equal(nearest('log_level', known), 'logLevel')
  assert.equal(nearest('zookeeper_hosts', known), undefined)
  assert.equal(nearest('x', ['in', 'y']), undefined)
  assert.equal(nearest('mem', ['cpus', 'memMib', 'diskMib']), 'memMib')
  assert.equal(nearest('stat', ['start', 'stop', 'state']), 'state')
  assert.equal(nearest('heap', ['heapMib', 'heapShare', 'callbackMs']), undefined)
})

test('editDistance is a distance: 0 for the same, the same both ways, one for one edit', () => {
  const word = fc.string({ maxLength: 12 })
  fc.assert(
    fc.property(word, word, (a, b) => {
      assert.equal(editDistance(a, a), 0)
      assert.equal(editDistance(a, b), editDistance(b, a))
      assert.equal(editDistance(a, `${a}x`), 1)
      assert.ok(editDistance(a, b) <= Math.max(a.length, b.length))
    }),
  )
})
