import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isCode } from '../../../sdk/errors.ts'
import { parseAttributes } from './attributes.ts'

test('parseAttributes reads texts, scalars and ranges', () => {
  assert.deepEqual(parseAttributes('rack:r1; weight:2.5;ids:[1-3, 5-5];'), [
    { name: 'rack', type: 'TEXT', text: { value: 'r1' } },
    { name: 'weight', type: 'SCALAR', scalar: { value: 2.5 } },
    {
      name: 'ids',
      type: 'RANGES',
      ranges: {
        range: [
          { begin: 1, end: 3 },
          { begin: 5, end: 5 },
        ],
      },
    },
  ])
})

test('parseAttributes refuses a pair without a name or a value', () => {
  for (const text of ['rack', ':r1', 'rack:', 'a b:c']) {
    assert.throws(
      () => parseAttributes(text),
      (error) => isCode(error, 'ERR_BAD_OPTION'),
    )
  }
})
