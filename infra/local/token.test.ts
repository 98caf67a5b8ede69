import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isToken, makeToken } from './token.ts'

test('makeToken makes tokens of one form, all different', () => {
  const tokens = Array.from({ length: 100 }, () => makeToken())
  assert.equal(new Set(tokens).size, 100)
  for (const token of tokens) assert.match(token, /^concord_[0-9A-Za-z]{49}$/)
})

test('isToken accepts every token, and none with a character changed, lost or added', () => {
  const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 })
  const alphabet = fc.constantFrom(...'0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-')
  fc.assert(
    fc.property(bytes, fc.nat({ max: 56 }), alphabet, (random, at, char) => {
      const token = makeToken(random)
      assert.ok(isToken(token))
      const changed = token.slice(0, at) + char + token.slice(at + 1)
      assert.equal(isToken(changed), changed === token)
      assert.equal(isToken(token.slice(0, at) + token.slice(at + 1)), false)
      assert.equal(isToken(token.slice(0, at) + char + token.slice(at)), false)
    }),
  )
  fc.assert(fc.property(fc.string(), (text) => assert.equal(isToken(text), false)))
})
