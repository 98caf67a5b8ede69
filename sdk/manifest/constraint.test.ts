import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isLike, parseConstraint } from './constraint.ts'

test('parseConstraint reads each form', () => {
  const read = (text: string) => {
    const { attribute: _, text: __, ...rest } = parseConstraint(text)!
    return rest
  }
  assert.deepEqual(parseConstraint(' zone   ==  eu west '), {
    attribute: 'zone',
    text: 'zone == eu west',
    kind: 'is',
    value: 'eu west',
  })
  assert.deepEqual(read('zone!=eu'), { kind: 'isNot', value: 'eu' })
  assert.deepEqual(read('zone in a,b , c'), { kind: 'in', values: ['a', 'b', 'c'] })
  assert.deepEqual(read('hostname like web-*'), { kind: 'like', pattern: 'web-*' })
  assert.deepEqual(read('hostname unique'), { kind: 'maxPer', max: 1 })
  assert.deepEqual(read('rack maxPer 3'), { kind: 'maxPer', max: 3 })
  assert.deepEqual(read('rack groupBy'), { kind: 'groupBy' })
})

test('parseConstraint refuses text that is no constraint', () => {
  const wrong = ['', 'zone', 'zone = a', 'zone ==', 'zone in', 'zone in a,', 'zone like', 'hostname unique 2']
  for (const text of [...wrong, 'rack maxPer', 'rack maxPer 0', 'rack maxPer x', 'rack groupBy 3', '== a'])
    assert.equal(parseConstraint(text), undefined, text)
})

test('parseConstraint reads constraints with any attribute and value, and never throws', () => {
  const word = fc.stringMatching(/^[a-z][a-z0-9_.-]{0,10}$/)
  fc.assert(
    fc.property(word, word, (attribute, value) => {
      const parsed = parseConstraint(`${attribute} == ${value}`)
      assert.ok(parsed?.kind === 'is' && parsed.attribute === attribute && parsed.value === value)
    }),
  )
  fc.assert(fc.property(fc.string(), (text) => void parseConstraint(text)))
})

test('isLike matches as the regular expression would, and no pattern makes it slow', () => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 8 })
  const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*', '?'), maxLength: 6 })
  fc.assert(
    fc.property(letters, pattern, (text, glob) => {
      const source = glob.replaceAll('.', '\\.').replaceAll('*', '.*').replaceAll('?', '.')
      assert.equal(isLike(text, glob), new RegExp(`^${source}$`).test(text))
    }),
    { numRuns: 1000 },
  )
  assert.equal(isLike('a'.repeat(2000), `${'*a'.repeat(200)}*b`), false)
})
