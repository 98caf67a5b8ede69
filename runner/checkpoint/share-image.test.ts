import assert from 'node:assert/strict'
import { test } from 'node:test'
import { infraError } from '../../infra/errors.ts'
import { openArena } from '../../sdk/runtime/arena/index.ts'
import { slabsOf } from './reader.ts'
import { setUpOwners } from './testing.ts'

test('Checkpointer finds out what became of a manifest without an answer, also where there is nothing new: the share could not be given otherwise', async (t) => {
  const { store, owner, own, sourceOf, slabs } = await setUpOwners(t)
  let isSilent = false
  const writeManifest: typeof store.writeManifest = async (...args) => {
    const revision = await store.writeManifest(...args)
    if (isSilent) throw infraError('ERR_CHECKPOINT_STORE', 'nobody answers')
    return revision
  }
  const giver = owner(1, undefined, { store: { ...store, writeManifest } })
  await own(giver, 1)
  const source = sourceOf('one')
  assert.equal(await giver.cut(source), true)
  isSilent = true
  const later = { ...source, positions: () => ({ lost: 1, positions: [] }) }
  assert.equal(await giver.cut(later), false)
  isSilent = false
  assert.equal(await giver.cut(source), true) // as at first, since the input that was further is its own no more
  assert.ok(giver.imageOf(3, slabs, source.positions) !== undefined)
})

test('Checkpointer undoes nothing of an image, though the checkpoint that it builds on is of a writer that was ended', async (t) => {
  const { owner, own, sourceOf, arena, slabs, take } = await setUpOwners(t)
  const ended = owner(1)
  await own(ended, 1)
  const source = sourceOf('one')
  arena.set('key', 'lost') // and its writer is ended before the commit
  const commitWord = new Int32Array(slabs.get(0) as SharedArrayBuffer)[3]!
  assert.equal(await ended.cut({ ...source, commitWord }), true)

  const giver = owner(2)
  const held = slabsOf((await own(giver, 2, commitWord)).slabs)
  const atWork = openArena(held)
  assert.equal(atWork.getText('key'), 'one')
  atWork.set('key', 'two') // in a transaction that begins at the same commit word
  atWork.commit()
  giver.slots.prepare(3)
  const image = giver.imageOf(3, held, source.positions)!
  const found = slabsOf((await take(owner(3), 3, image, commitWord + 1)).slabs)
  assert.equal(openArena(found).getText('key'), 'two')
})
