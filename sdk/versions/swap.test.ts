import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AssetRefs, assetBytesOf, assetChanges } from '../manifest/assets.ts'
import { type ManifestInput, manifestSchema } from '../manifest/manifest.ts'
import { drainReason, movesBeside, refusalReason } from './swap.ts'

const mib = 2 ** 20
const of = (sha256: string, sizeMib: number) => ({ sha256, bytes: sizeMib * mib })
const version = (assets: AssetRefs, more: Partial<ManifestInput> = {}) => ({
  manifest: manifestSchema.parse({ name: 'scored', resources: { memMib: 256 }, ...more }),
  assets,
})
const given = { cpus: 0.25, memMib: 256, diskMib: 32 }

test('drainReason lets a version with other assets take over in place only if both fit', () => {
  const before = version({ model: of('a', 70) })
  assert.equal(drainReason(before, version({ model: of('b', 70) }), given), undefined)
  assert.equal(drainReason(before, version({ model: of('a', 70), same: of('a', 70) }), given), undefined)
  assert.match(drainReason(before, version({ model: of('b', 71) }), given)!, /its assets do not fit/)
  const shared = { instancesPerRunner: 4 }
  const [one, other] = [version({ model: of('a', 400) }, shared), version({ model: of('b', 400) }, shared)]
  assert.equal(drainReason(one, other, given), undefined)
  assert.equal(drainReason({ manifest: before.manifest }, before, given), undefined)
})

test('assetBytesOf counts each content once, under whatever names', () => {
  assert.equal(assetBytesOf({ a: of('x', 1), b: of('x', 1) }, { a: of('x', 1), c: of('y', 2) }), 3 * mib)
  assert.equal(assetBytesOf(), 0)
})

test('assetChanges names assets that were added, removed and replaced', () => {
  const [x, y] = [of('x'.repeat(64), 1), of('y'.repeat(64), 2)]
  assert.deepEqual(assetChanges({ gone: x, kept: x, other: x }, { kept: x, new: y, other: y }), [
    { path: 'gone', before: 'xxxxxxxxxxxx (1048576 bytes)' },
    { path: 'new', after: 'yyyyyyyyyyyy (2097152 bytes)' },
    { path: 'other', before: 'xxxxxxxxxxxx (1048576 bytes)', after: 'yyyyyyyyyyyy (2097152 bytes)' },
  ])
})

const sized = (memMib: number, bundleSha256: string, more: Partial<ManifestInput> = {}) => ({
  ...version({}, { resources: { memMib }, istreams: { in: { grouping: 'groupBy' } }, ...more }),
  bundleSha256,
})

test('drainReason restarts the same code for fewer resources, and lets other code keep more until its next start', () => {
  assert.equal(drainReason(sized(256, 'a'), sized(128, 'a'), given), 'it asks for fewer resources')
  assert.equal(drainReason(sized(256, 'a'), sized(128, 'b'), given), undefined)
  assert.equal(drainReason(sized(256, 'a'), sized(256, 'a'), given), undefined)
  assert.equal(drainReason(sized(256, 'a'), sized(512, 'b'), given), 'it asks for more resources')
})

test('movesBeside is true if all state belongs to shares of the same inputs', () => {
  assert.ok(movesBeside(sized(256, 'a'), sized(512, 'a'), given))
  assert.ok(!movesBeside(sized(256, 'a'), sized(256, 'b'), given), 'it changes in place')
  const all = { istreams: { in: { grouping: 'groupBy' }, all: { grouping: 'broadcast' } } } as const
  assert.ok(!movesBeside(sized(256, 'a', all), sized(512, 'a', all), given))
  assert.ok(!movesBeside(sized(256, 'a'), sized(512, 'a', all), given))
  assert.ok(!movesBeside(sized(256, 'a'), sized(512, 'a', { checkpoint: false }), given))
})

test('refusalReason names the memory that an instance needs for its state', () => {
  const refused = (from: number, to: number, stateMib: number, more?: Partial<ManifestInput>) =>
    refusalReason(sized(from, 'a', more).manifest, sized(to, 'a', more).manifest, stateMib * mib)
  assert.equal(
    refused(512, 128, 100),
    'resources.memMib is 128, and an instance holds 100 MiB of state. Let it be at least 205',
  )
  assert.equal(refused(512, 205, 100, { limits: { stateMib: 100 } }), undefined)
  assert.equal(refused(128, 128, 100, { limits: { stateMib: 100 } }), undefined, 'it is no less than before')
  assert.equal(refused(512, 80, 0), undefined)
  const packed = { instancesPerRunner: 4, limits: { stateMib: 100 } }
  assert.match(refused(512, 100, 100, packed)!, /at least 125/)
})
