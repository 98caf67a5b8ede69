import assert from 'node:assert/strict'
import { test } from 'node:test'
import { infraError } from '../../infra/errors.ts'
import { openArena } from '../../sdk/runtime/arena/index.ts'
import { slabsOf } from './reader.ts'
import { setUpOwners } from './testing.ts'

test('Checkpointer: a checkpoint has the slabs that the arena uses; what was stored of others goes with the next one', async (t) => {
  const { store, owner, save, sourceOf, restored, arena, slabs, own } = await setUpOwners(t)
  const fill = (): void => {
    for (let i = 0; i < 3000; i++) arena.set(`key ${i}`, new Uint8Array(1000))
  }
  const sizes = async () => (await store.readManifest('3'))!.manifest.current!.slabs.length
  const first = owner(1)
  await own(first, 1)
  assert.equal(await save(first, 'one'), true)
  fill()
  arena.rollback()
  assert.ok(slabs.count > 1)
  assert.equal(await save(first, 'two'), true)
  assert.equal(await sizes(), 1)
  assert.equal(await restored(owner(2), 2), 'two')

  const third = owner(3)
  await own(third, 3)
  const source = sourceOf('three')
  fill() // and its writer is ended before the commit
  const commitWord = new Int32Array(slabs.get(0) as SharedArrayBuffer)[3]!
  assert.equal(await third.cut({ ...source, commitWord }), true)
  assert.equal(await sizes(), slabs.count)

  const fourth = owner(4)
  const found = slabsOf((await own(fourth, 4, commitWord)).slabs)
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

/** An arena, of which a large value was undone, whose slabs but the first were taken away; it gets small ones. */
function regrown(list: SharedArrayBuffer[]) {
  openArena(slabsOf(list))
  list.length = 1
  const grow = (): boolean => list.push(new SharedArrayBuffer(65_536)) > 0
  const slabs = { ...slabsOf(list), grow, heldBytes: 0 }
  Object.defineProperty(slabs, 'count', { get: () => list.length })
  const arena = openArena(slabs)
  const fill = (): void => {
    for (let i = 0; i < 90; i++) arena.set(`key ${i}`, new Uint8Array(1000))
    arena.commit()
  }
  return { slabs, fill }
}

test('Checkpointer: where slabs were taken away and others came in their place, nothing stays that was stored of them (SG1)', async (t) => {
  const { store, owner, restored, sourceOf, arena, slabs, warnings, own } = await setUpOwners(t)
  const by = owner(1)
  await own(by, 1)
  const source = sourceOf('one')
  arena.set('large', new Uint8Array(1_000_000)) // its writer is ended before the commit
  const commitWord = new Int32Array(slabs.get(0) as SharedArrayBuffer)[3]!
  assert.equal(await by.cut({ ...source, commitWord }), true)
  const next = owner(2)
  const present = regrown([...(await own(next, 2, commitWord)).slabs])
  for (let round = 0; round < 2; round++) {
    present.fill()
    assert.equal(await next.cut({ ...source, arenas: [[3, present.slabs]] }), true)
    const { slabs: sizes, segments } = (await store.readManifest('3'))!.manifest.current!
    assert.deepEqual([...new Set(sizes)], [65_536])
    assert.ok(segments.every(({ epoch }) => epoch === 2))
  }
  assert.equal(await restored(owner(3), 3), 'one')
  assert.deepEqual(warnings, [])
})

test('Checkpointer: the same of slabs whose pages were stored for a manifest that was not written (SG1)', async (t) => {
  const { store, owner, save, restored, sourceOf, arena, slabs, warnings, own } = await setUpOwners(t)
  let isSilent = false
  const deaf: typeof store = {
    ...store,
    writeManifest: async (...args) => {
      if (isSilent) throw infraError('ERR_CHECKPOINT_STORE', 'nobody answers')
      return await store.writeManifest(...args)
    },
  }
  const by = owner(1, undefined, { store: deaf })
  await own(by, 1)
  assert.equal(await save(by, 'one'), true)
  const source = sourceOf('two')
  arena.set('large', new Uint8Array(1_000_000))
  arena.commit()
  isSilent = true
  assert.equal(await by.cut(source), false)
  isSilent = false
  arena.delete('large')
  arena.delete('key')
  arena.commit()
  arena.shrink()
  const present = regrown([slabs.get(0) as SharedArrayBuffer])
  for (let round = 0; round < 2; round++) {
    present.fill()
    assert.equal(await by.cut({ ...source, arenas: [[3, present.slabs]] }), true)
  }
  await restored(owner(2), 2)
  assert.deepEqual(warnings, ['no checkpoint: nobody answers'])
})
