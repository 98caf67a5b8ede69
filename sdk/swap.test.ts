import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AssetRefs, assetBytesOf, assetChanges } from './assets.ts'
import { type ManifestInput, manifestSchema } from './manifest.ts'
import { drainReason } from './swap.ts'

const mib = 2 ** 20
const of = (sha256: string, sizeMib: number) => ({ sha256, bytes: sizeMib * mib })
const version = (assets: AssetRefs, more: Partial<ManifestInput> = {}) => ({
  manifest: manifestSchema.parse({ name: 'scored', resources: { memMib: 256 }, ...more }),
  assets,
})
const given = { cpus: 0.25, memMib: 256, diskMib: 32 }

test('drainReason lets a version with other assets take over in place where both fit, and else not', () => {
  const before = version({ model: of('a', 70) })
  assert.equal(drainReason(before, version({ model: of('b', 70) }), given), undefined)
  assert.equal(drainReason(before, version({ model: of('a', 70), same: of('a', 70) }), given), undefined)
  assert.match(drainReason(before, version({ model: of('b', 71) }), given)!, /its assets do not fit/)
  const shared = { instancesPerRunner: 4 }
  const [one, other] = [version({ model: of('a', 400) }, shared), version({ model: of('b', 400) }, shared)]
  assert.equal(drainReason(one, other, given), undefined)
  assert.equal(drainReason({ manifest: before.manifest }, before, given), undefined)
})

test('assetBytesOf counts a content once, whatever it is called', () => {
  assert.equal(assetBytesOf({ a: of('x', 1), b: of('x', 1) }, { a: of('x', 1), c: of('y', 2) }), 3 * mib)
  assert.equal(assetBytesOf(), 0)
})

test('assetChanges tells what came, went and became another, by name', () => {
  const [x, y] = [of('x'.repeat(64), 1), of('y'.repeat(64), 2)]
  assert.deepEqual(assetChanges({ gone: x, kept: x, other: x }, { kept: x, new: y, other: y }), [
    { path: 'gone', before: 'xxxxxxxxxxxx (1048576 bytes)' },
    { path: 'new', after: 'yyyyyyyyyyyy (2097152 bytes)' },
    { path: 'other', before: 'xxxxxxxxxxxx (1048576 bytes)', after: 'yyyyyyyyyyyy (2097152 bytes)' },
  ])
})
