import assert from 'node:assert/strict'
import { test } from 'node:test'
import { jsonBytes, parsedJson } from './json.ts'

test('parsedJson reads what jsonBytes writes, and finds nothing in what is no JSON', () => {
  for (const value of [null, 0, 'ä€😀', [1, { a: [] }]]) assert.deepEqual(parsedJson(jsonBytes(value)), value)
  for (const bytes of [[], [0xff], [0x7b]]) assert.equal(parsedJson(new Uint8Array(bytes)), undefined)
})
