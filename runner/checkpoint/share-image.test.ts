import assert from 'node:assert/strict'
import { test } from 'node:test'
import { infraError } from '../../infra/errors.ts'
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
