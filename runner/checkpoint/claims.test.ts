/** What earlier and later owners of a slot write around a claim to it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { infraError } from '../../infra/errors.ts'
import { openArena } from '../../sdk/runtime/arena/index.ts'
import type { Checkpointer } from './checkpointer.ts'
import { slabsOf } from './reader.ts'
import type { ShareImage } from './share-image.ts'
import { setUpOwners } from './testing.ts'

test('Checkpointer: an owner whose claim meets what an earlier one has written meanwhile reads that, and claims it', async (t) => {
  const { store, owner, save, restored, warnings, own } = await setUpOwners(t)
  const first = owner(1)
  await restored(first, 1)
  assert.equal(await save(first, 'one'), true)
  let isLate = true
  const writeManifest: typeof store.writeManifest = async (...args) => {
    if (isLate) {
      isLate = false
      assert.equal(await save(first, 'two'), true) // it was on its way as its owner left
    }
    return await store.writeManifest(...args)
  }
  const second = owner(2, undefined, { store: { ...store, writeManifest } })
  assert.equal(await restored(second, 2), 'two')
  assert.equal(await save(second, 'three'), true)

  isLate = true
  const third = owner(3, undefined, { store: { ...store, writeManifest } })
  const late = owner(4)
  isLate = false
  await own(late, 4)
  await assert.rejects(own(third, 3), { code: 'ERR_CHECKPOINT_SUPERSEDED' }, 'not over a later one')
  assert.deepEqual(warnings, [])
})

test('Checkpointer: an owner that was not told that its claim was made has no doubt about the one before', async (t) => {
  const { store, owner, save, restored, instance } = await setUpOwners(t)
  const first = owner(1)
  await restored(first, 1)
  assert.equal(await save(first, 'one'), true)
  let isSilent = true
  const writeManifest: typeof store.writeManifest = async (...args) => {
    const revision = await store.writeManifest(...args)
    if (!isSilent) return revision
    isSilent = false
    throw infraError('ERR_CHECKPOINT_STORE', 'nobody answers')
  }
  const second = owner(2, undefined, { store: { ...store, writeManifest } })
  await assert.rejects(second.slots.restore(3, 2), { code: 'ERR_CHECKPOINT_STORE' })
  await second.slots.restore(3, 2)
  second.slots.assign(instance(2))
  const { slabs } = second.slots.open(3, 0)
  second.slots.own(3)
  assert.equal(openArena(slabsOf(slabs)).getText('key'), 'one')
  assert.equal(second.tried.suspects({ partition: 3, key: 'a', timeMs: 700 }), false)
})

for (const isGiven of [true, false])
  test(`Checkpointer: a share that came under an epoch before that of its cuts is in no doubt, ${isGiven ? 'given' : 'claimed'}`, async (t) => {
    const { owner, save, restored, image, instance, own, warnings } = await setUpOwners(t)
    const first = owner(1)
    await restored(first, 1)
    assert.equal(await save(first, 'one'), true)
    const second = owner(6)
    if (isGiven) await second.slots.receive(3, 5, image(first, 'two'))
    else await second.slots.restore(3, 5)
    second.slots.assign(instance(6))
    second.slots.open(3, 0)
    second.slots.own(3)
    assert.equal(await save(second, 'three'), true)
    const third = owner(7)
    await own(third, 7)
    assert.equal(third.slots.get(3)!.inDoubt, false)
    assert.deepEqual(warnings, [])
  })

/** What an owner gives of a share without state. */
function given(by: Checkpointer): ShareImage {
  by.slots.prepare(3)
  return by.imageOf(3, undefined, () => ({ lost: 0, positions: [] }))!
}

for (const [what, isLate, isSilent] of [
  ['a late one', true, false],
  ['a late one, behind a silence', true, true],
  ['a later owner', false, false],
] as const)
  test(`Checkpointer: who was given a share without state claims over a late claim of an earlier owner, not over a later owner: ${what} (MN3)`, async (t) => {
    const { store, owner, save, restored, take, warnings } = await setUpOwners(t)
    const first = owner(1)
    await restored(first, 1)
    const sent = Promise.withResolvers<void>()
    const written = Promise.withResolvers<void>()
    const slow: typeof store.writeManifest = async (...args) => {
      await sent.promise
      return await store.writeManifest(...args).finally(written.resolve)
    }
    const epoch = isLate ? 2 : 4
    const other = owner(epoch, undefined, { store: { ...store, writeManifest: slow } })
    await take(other, epoch, given(first))
    let hasAnswered = !isSilent
    const writeManifest: typeof store.writeManifest = async (...args) => {
      sent.resolve()
      await written.promise
      if (hasAnswered) return await store.writeManifest(...args)
      hasAnswered = true
      throw infraError('ERR_CHECKPOINT_STORE', 'nobody answers')
    }
    const taker = owner(3, undefined, { store: { ...store, writeManifest } })
    await take(taker, 3, given(isLate ? other : first))
    if (isLate) other.slots.letGo(3)
    assert.equal(await save(taker, 'one'), isLate)
    assert.equal((await store.readManifest('3'))!.manifest.epoch, Math.max(3, epoch))
    if (isLate) assert.equal(await restored(owner(5), 5), 'one')
    const silent = ['partition 3 is not claimed in the store: nobody answers']
    if (isLate) assert.deepEqual(warnings, isSilent ? silent : [])
    else assert.match(warnings.join(), /4 has it/)
  })

test('Checkpointer: a late claim does not go over that of the next owner, though its owner was told the same epoch since (MN3)', async (t) => {
  const { store, owner, save, restored, take, instance, warnings } = await setUpOwners(t)
  const first = owner(1)
  await restored(first, 1)
  const sent = Promise.withResolvers<void>()
  const writeManifest: typeof store.writeManifest = async (...args) => {
    await sent.promise
    return await store.writeManifest(...args)
  }
  const giver = owner(2, undefined, { store: { ...store, writeManifest } })
  await take(giver, 2, given(first))
  giver.slots.assign(instance(4)) // another share comes, while this one is promised under 3
  const late = giver.slots.get(3)!
  const taker = owner(3)
  await take(taker, 3, given(giver))
  giver.slots.letGo(3)
  await taker.slots.get(3)!.tell() // its claim is made
  assert.equal((await store.readManifest('3'))!.manifest.epoch, 4, 'OW2')
  sent.resolve()
  await assert.rejects(late.tell(), { code: 'ERR_CHECKPOINT_SUPERSEDED' })
  assert.equal(await save(taker, 'one'), true)
  assert.equal(await restored(owner(5), 5), 'one')
  assert.deepEqual(warnings, [])
})

test('Checkpointer: a share is not given while something is written of it, so that nothing comes behind its next owner', async (t) => {
  const { store, owner, save, restored, image } = await setUpOwners(t)
  const answer = Promise.withResolvers<void>()
  let isSlow = false
  const writeManifest: typeof store.writeManifest = async (...args) => {
    if (isSlow) await answer.promise
    return await store.writeManifest(...args)
  }
  const giver = owner(1, undefined, { store: { ...store, writeManifest } })
  await restored(giver, 1)
  assert.equal(await save(giver, 'one'), true)
  isSlow = true
  giver.tried.set({ partition: 3, key: 'a', timeMs: 700 }, { attempts: 1, version: 1 })
  const told = giver.tried.tell()
  await new Promise(setImmediate)
  assert.equal(image(giver, 'two'), undefined)
  answer.resolve()
  await told
  assert.notEqual(image(giver, 'two'), undefined)
})
