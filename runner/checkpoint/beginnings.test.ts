/** State that began, and whose owner ended before its first checkpoint. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { CheckpointStore } from '../../infra/checkpoints/index.ts'
import { infraError } from '../../infra/errors.ts'
import { openArena } from '../../sdk/runtime/arena/index.ts'
import type { Checkpointer } from './checkpointer.ts'
import type { CutSource } from './cut.ts'
import { slabsOf } from './reader.ts'
import { setUpOwners } from './testing.ts'

/** @returns When the store knows that its state has begun. */
function begin(by: Checkpointer, positions: CutSource['positions']): Promise<void> {
  return new Promise((resolve) => by.begin(some, positions, resolve))
}

const some = { hasArena: () => true, slabsOf: () => [new SharedArrayBuffer(131_072)] }

test('Checkpointer: an owner killed between its first state and its first checkpoint leaves word of where its state began (FS1)', async (t) => {
  const { store, owner, save, warnings, own } = await setUpOwners(t)
  const none = { ...some, hasArena: () => false }
  const ids = { producer: '1'.padStart(16, '0'), origin: '1'.padStart(16, '0'), epoch: 1 }
  const at = (through: number) => () => ({ lost: 0, positions: [{ ...ids, through }] })
  const first = owner(1)
  await own(first, 1)
  const isNot = (): void => assert.fail('there is nothing to tell')
  first.begin(none, at(3), isNot)
  assert.equal(first.untold, undefined)
  assert.equal((await own(owner(1), 1)).inputs, undefined, 'a function without state loses none')
  const second = owner(2)
  await own(second, 2)
  const begun = begin(second, at(5))
  assert.deepEqual(second.untold, new Set([3]))
  second.begin(some, at(9), isNot) // once
  await begun
  assert.equal(second.untold, undefined)

  const third = owner(3)
  const found = await own(third, 3)
  assert.deepEqual(found.inputs, { in: at(5)() })
  assert.equal(openArena(slabsOf(found.slabs)).entries, 0, 'any build can open it')
  assert.equal(found.slabs[0]!.byteLength, 131_072)
  third.begin(some, at(9), isNot) // what the store knows stays
  assert.equal(await save(third, 'one'), true)
  assert.equal((await store.readManifest('3'))!.manifest.previous?.epoch, 2)
  assert.deepEqual(warnings, [])
})

test('Checkpointer: a share is not given away, and has no checkpoint, while the store is told that its state begins', async (t) => {
  const { store, owner, image, saveAt, own } = await setUpOwners(t)
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
  await own(by, 1)
  const begun = begin(by, () => ({ lost: 0, positions: [] }))
  const saved = saveAt(by, 'one', 7)
  assert.equal(image(by, 'two'), undefined)
  answer.resolve()
  await begun
  assert.equal(await saved, true)
  const { current, previous } = (await store.readManifest('3'))!.manifest
  assert.deepEqual([previous?.slabs, current?.inputs['in']?.positions[0]?.through], [[131_072], 7])
})

test('Checkpointer: a store that does not take it is told again that state begins, until it does, and the log says so once', async (t) => {
  const { store, owner, warnings, save, image, clock, own, instance } = await setUpOwners(t)
  let attempts = 0
  let isFull = false
  const full = {
    ...store,
    writeManifest: async (...args: Parameters<CheckpointStore['writeManifest']>) => {
      attempts += 1
      if (isFull) throw infraError('ERR_CHECKPOINT_STORE', 'there is no room')
      return await store.writeManifest(...args)
    },
  }
  const by = owner(1, undefined, { store: full })
  await own(by, 1)
  isFull = true
  const ids = { producer: '1'.padStart(16, '0'), origin: '1'.padStart(16, '0'), epoch: 1 }
  let through = 3
  const begun = begin(by, () => ({ lost: 0, positions: [{ ...ids, through }] }))
  for (let told = 1; told <= 3; told++) {
    while (attempts <= told) await turn() // the first was the claim
    await turn()
    assert.deepEqual(by.untold, new Set([3]), 'none of its records is acknowledged, and a stop counts them')
    clock.advance(1_000)
  }
  assert.deepEqual(warnings, [
    'partition 3 has got its first state, and its records are not acknowledged until that can be stored: there is no room',
  ])
  assert.equal(image(by, 'one'), undefined, 'whoever took it could not count what is lost')
  by.slots.assign(instance(2))
  isFull = false
  through = 5 // an acknowledgement was under way
  while (by.untold !== undefined) {
    clock.advance(1_000)
    await turn()
  }
  await begun
  const { manifest } = (await store.readManifest('3'))!
  assert.deepEqual([manifest.epoch, manifest.current?.epoch], [2, 2], 'it did not end without a word')
  assert.equal(manifest.current?.inputs['in']?.positions[0]?.through, 5, 'as at the attempt that was taken')
  by.slots.keep(3)
  assert.equal(await save(by, 'one'), true)
  assert.notEqual(image(by, 'two'), undefined)
})

test('Checkpointer: the store is told that state begins where the checkpoint made meanwhile fails too', async (t) => {
  const { store, owner, warnings, save, clock, own } = await setUpOwners(t)
  const failure = Promise.withResolvers<never>()
  failure.promise.catch(() => undefined)
  let isFull = false
  const full = {
    ...store,
    writeManifest: (...args: Parameters<CheckpointStore['writeManifest']>) =>
      isFull ? failure.promise : store.writeManifest(...args),
  }
  const by = owner(1, undefined, { store: full })
  await own(by, 1)
  isFull = true
  const begun = begin(by, () => ({ lost: 0, positions: [] }))
  const saved = save(by, 'one')
  failure.reject(infraError('ERR_CHECKPOINT_STORE', 'there is no room'))
  assert.equal(await saved, false)
  assert.deepEqual(by.untold, new Set([3]))
  assert.match(warnings.join(), /partition 3 has got its first state/)
  isFull = false
  let isTold = false
  void begun.then(() => {
    isTold = true
  })
  while (!isTold) {
    clock.advance(1_000)
    await turn()
  }
  assert.deepEqual((await store.readManifest('3'))!.manifest.current?.slabs, [131_072])
})

test('Checkpointer: a checkpoint is as good as the word that state begins', async (t) => {
  const { store, owner, save, clock, own } = await setUpOwners(t)
  let writes = 0
  const refuses = {
    ...store,
    writeManifest: async (...args: Parameters<CheckpointStore['writeManifest']>) => {
      if (++writes === 2) throw infraError('ERR_CHECKPOINT_STORE', 'there is no room')
      return await store.writeManifest(...args)
    },
  }
  const by = owner(1, undefined, { store: refuses })
  await own(by, 1)
  const begun = begin(by, () => ({ lost: 0, positions: [] }))
  assert.equal(await save(by, 'one'), true)
  await begun
  assert.equal(by.untold, undefined)
  clock.advance(1_000)
  await turn()
  assert.equal(writes, 3)
})

test('Checkpointer: nothing of a slot that was released waits for the store any more, told or not (FS1)', async (t) => {
  const { store, owner, own } = await setUpOwners(t)
  let isFull = false
  const full = {
    ...store,
    writeManifest: async (...args: Parameters<CheckpointStore['writeManifest']>) => {
      if (isFull) throw infraError('ERR_CHECKPOINT_STORE', 'there is no room')
      return await store.writeManifest(...args)
    },
  }
  const by = owner(1, undefined, { store: full })
  await own(by, 1)
  isFull = true
  void begin(by, () => ({ lost: 0, positions: [] }))
  assert.deepEqual(by.untold, new Set([3]))
  by.slots.letGo(3)
  assert.equal(by.untold, undefined)
})
