import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openArena } from '../../sdk/runtime/arena/index.ts'
import { slabsOf } from './reader.ts'
import { setUpOwners } from './testing.ts'

test('Checkpointer: a checkpoint has the slabs that the arena uses; what was stored of others goes with the next one', async (t) => {
  const { store, owner, save, sourceOf, restored, instance, arena, slabs } = await setUpOwners(t)
  const fill = (): void => {
    for (let i = 0; i < 3000; i++) arena.set(`key ${i}`, new Uint8Array(1000))
  }
  const sizes = async () => (await store.readManifest('3'))!.manifest.current!.slabs.length
  const first = owner(1)
  await first.own(instance(1), 0)
  assert.equal(await save(first, 'one'), true)
  fill()
  arena.rollback()
  assert.ok(slabs.count > 1)
  assert.equal(await save(first, 'two'), true)
  assert.equal(await sizes(), 1)
  assert.equal(await restored(owner(2), 2), 'two')

  const third = owner(3)
  await third.own(instance(3), 0)
  const source = sourceOf('three')
  fill() // and its writer is ended before the commit
  const commitWord = new Int32Array(slabs.get(0) as SharedArrayBuffer)[3]!
  assert.equal(await third.cut({ ...source, commitWord }), true)
  assert.equal(await sizes(), slabs.count)

  const fourth = owner(4)
  const found = slabsOf((await fourth.own(instance(4), commitWord)).get(3)!.slabs)
  assert.equal(openArena(found).getText('key'), 'three')
  assert.equal(await fourth.cut({ ...source, arenas: [[3, found]] }), true)
  assert.equal(await sizes(), 1)
  const { segments } = (await store.readManifest('3'))!.manifest.current!
  assert.deepEqual(
    segments.map(({ epoch }) => epoch),
    [4],
  )
  assert.equal(await restored(owner(5), 5), 'three')
})

test('Checkpointer: where slabs were taken away and others came in their place, nothing stays that was stored of them', async (t) => {
  const { store, owner, restored, instance, sourceOf, arena, slabs, warnings } = await setUpOwners(t)
  const by = owner(1)
  await by.own(instance(1), 0)
  const source = sourceOf('one')
  arena.set('large', new Uint8Array(1_000_000)) // its writer is ended before the commit
  const commitWord = new Int32Array(slabs.get(0) as SharedArrayBuffer)[3]!
  assert.equal(await by.cut({ ...source, commitWord }), true)
  const next = owner(2)
  const found = [...(await next.own(instance(2), commitWord)).get(3)!.slabs]
  openArena(slabsOf(found))
  found.length = 1
  const smaller = (bytes = 65_536) => found.push(new SharedArrayBuffer(bytes)) > 0
  const present = { ...slabsOf(found), grow: () => smaller(), heldBytes: 0 }
  Object.defineProperty(present, 'count', { get: () => found.length })
  const again = openArena(present)
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 90; i++) again.set(`key ${i}`, new Uint8Array(1000))
    again.commit()
    assert.equal(await next.cut({ ...source, arenas: [[3, present]] }), true)
    const { slabs: sizes, segments } = (await store.readManifest('3'))!.manifest.current!
    assert.deepEqual([...new Set(sizes)], [65_536])
    assert.ok(segments.every(({ epoch }) => epoch === 2))
  }
  assert.equal(await restored(owner(3), 3), 'one')
  assert.deepEqual(warnings, [])
})
