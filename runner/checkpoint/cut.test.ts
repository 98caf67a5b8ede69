import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OwnSlabs, openArena, Shadow, shadowBytes } from '../../sdk/runtime/arena/index.ts'
import { slabsOf } from './reader.ts'
import { setUpOwners } from './testing.ts'

test('Checkpointer stores no cut of which more changed at once than the shadow has room for', async (t) => {
  const { owner, restored, own, sourceOf } = await setUpOwners(t)
  const first = owner(1)
  await restored(first, 1)
  const shadow = new SharedArrayBuffer(shadowBytes(2))
  const slabs = new OwnSlabs({ make: (bytes) => new SharedArrayBuffer(bytes) })
  const arena = openArena(slabs, { keeper: new Shadow(shadow).of(3) })
  const keys = Array.from({ length: 300 }, (_, i) => `key ${i}`)
  const fill = (value: string): void => {
    for (const key of keys) arena.set(key, value)
    arena.commit()
  }
  const source = { ...sourceOf(''), arenas: [[3, slabs]] as const, shadow }
  fill('one')
  assert.equal(await first.cut(source), true)
  fill('two')
  const second = first.cut(source)
  fill('six') // before anything of the cut is read
  assert.equal(await second, false)
  const found = openArena(slabsOf((await own(owner(2), 2)).slabs))
  assert.deepEqual([...new Set(keys.map((key) => found.getText(key)))], ['one'])
})
