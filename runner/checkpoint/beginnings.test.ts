/** State that began, and whose owner ended before its first checkpoint. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CheckpointStore } from '../../infra/checkpoints/index.ts'
import { infraError } from '../../infra/errors.ts'
import { openArena } from '../../sdk/runtime/arena/index.ts'
import { slabsOf } from './reader.ts'
import { setUpOwners } from './testing.ts'

const some = { hasArena: () => true, slabsOf: () => [new SharedArrayBuffer(131_072)] }

test('Checkpointer: an owner killed between its first state and its first checkpoint leaves word of where its state began (FS1)', async (t) => {
  const { store, owner, save, instance, warnings } = await setUpOwners(t)
  const none = { ...some, hasArena: () => false }
  const ids = { producer: '1'.padStart(16, '0'), origin: '1'.padStart(16, '0'), epoch: 1 }
  const at = (through: number) => () => ({ lost: 0, positions: [{ ...ids, through }] })
  const first = owner(1)
  await first.slots.own(instance(1), 0)
  assert.equal(first.begin(none, at(3)), undefined)
  assert.deepEqual(await owner(1).slots.own(instance(1), 0), new Map(), 'a function without state loses none')
  const second = owner(2)
  await second.slots.own(instance(2), 0)
  await second.begin(some, at(5))
  assert.equal(second.begin(some, at(9)), undefined, 'once')

  const third = owner(3)
  const found = (await third.slots.own(instance(3), 0)).get(3)!
  assert.deepEqual(found.checkpoint.inputs, { in: at(5)() })
  assert.equal(openArena(slabsOf(found.slabs)).entries, 0, 'any build can open it')
  assert.equal(found.slabs[0]!.byteLength, 131_072)
  assert.equal(third.begin(some, at(9)), undefined, 'what the store knows stays')
  assert.equal(await save(third, 'one'), true)
  assert.equal((await store.readManifest('3'))!.manifest.previous?.epoch, 2)
  assert.deepEqual(warnings, [])
})

test('Checkpointer: a share is not given away, and has no checkpoint, while the store is told that its state begins', async (t) => {
  const { store, owner, instance, image, saveAt } = await setUpOwners(t)
  const answer = Promise.withResolvers<void>()
  let writes = 0
  const slow = {
    ...store,
    writeManifest: async (...args: Parameters<CheckpointStore['writeManifest']>) => {
      if (++writes === 2) await answer.promise // the first is the claim
      return await store.writeManifest(...args)
    },
  }
  const by = owner(1, undefined, { store: slow })
  await by.slots.own(instance(1), 0)
  const begun = by.begin(some, () => ({ lost: 0, positions: [] }))
  const saved = saveAt(by, 'one', 7)
  assert.equal(image(by, 'two'), undefined)
  answer.resolve()
  await begun
  assert.equal(await saved, true)
  const { current, previous } = (await store.readManifest('3'))!.manifest
  assert.deepEqual([previous?.slabs, current?.inputs['in']?.positions[0]?.through], [[131_072], 7])
})

test('Checkpointer: an owner goes on where the store does not hear that its state begins, and says so', async (t) => {
  const { store, owner, instance, warnings, save, image } = await setUpOwners(t)
  let isSilent = false
  const deaf = {
    ...store,
    writeManifest: async (...args: Parameters<CheckpointStore['writeManifest']>) => {
      if (isSilent) throw infraError('ERR_CHECKPOINT_STORE', 'nobody answers')
      return await store.writeManifest(...args)
    },
  }
  const by = owner(1, undefined, { store: deaf })
  await by.slots.own(instance(1), 0)
  isSilent = true
  assert.equal(await by.begin(some, () => ({ lost: 0, positions: [] })), false)
  assert.match(
    warnings.join(),
    /partition 3 would not be counted before its first checkpoint: nobody answers/,
  )
  assert.deepEqual(by.slots.unstored(some), [3], 'a stop counts what is lost by itself')
  assert.equal(image(by, 'one'), undefined, 'whoever took it could not count what is lost')
  isSilent = false
  by.slots.keep(3)
  assert.equal(await save(by, 'one'), true)
  assert.deepEqual(by.slots.unstored(some), [])
  assert.notEqual(image(by, 'two'), undefined)
})
