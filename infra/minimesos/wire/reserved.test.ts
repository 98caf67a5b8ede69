import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isCode } from '../../../sdk/errors.ts'
import { keyOf } from './reservations.ts'
import { parseReserved } from './reserved.ts'
import { resources } from './resources.ts'

test('parseReserved reads scalars and ranges as --resources of Mesos does', () => {
  const web = [{ type: 'STATIC', role: 'web/shop' }] as const
  assert.deepEqual(
    parseReserved('cpus(web/shop):0.5; mem(web/shop):64;ports(web/shop):[1-3, 7-9];'),
    resources({
      [keyOf('cpus', web)]: 0.5,
      [keyOf('mem', web)]: 64,
      [keyOf('ports', web)]: [
        { begin: 1, end: 3 },
        { begin: 7, end: 9 },
      ],
    }),
  )
})

test('parseReserved refuses text without a role or an amount', () => {
  for (const text of ['cpus:2', 'cpus(web)', 'cpus(web):many', 'cpus():2', 'cpus(a b):2'])
    assert.throws(
      () => parseReserved(text),
      (error) => isCode(error, 'ERR_BAD_OPTION'),
    )
})
