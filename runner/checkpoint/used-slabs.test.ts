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
