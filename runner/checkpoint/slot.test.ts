import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Consumer } from '../../infra/bus/index.ts'
import type { CheckpointManifest } from '../../infra/checkpoints/index.ts'
import { infraError } from '../../infra/errors.ts'
import { openArena } from '../../sdk/runtime/arena/index.ts'
import type { Timer } from '../../sdk/runtime/index.ts'
import type { Isolate } from '../isolate/index.ts'
import { slabsOf } from './reader.ts'
import { StateKeeper, type StateKeeperOptions } from './state-keeper.ts'
import { setUpOwners } from './testing.ts'

test('Checkpointer: the next owner restores the last checkpoint; the one before if that is torn; it refuses if both are', async (t) => {
  const { store, owner, save, restored, warnings, own } = await setUpOwners(t)
  const first = owner(1)
  assert.equal(await restored(first, 1), undefined)
  for (const value of ['one', 'two', 'three']) assert.equal(await save(first, value), true)
  assert.equal(await restored(owner(2), 2), 'three')
  const { current, previous } = (await store.readManifest('3'))!.manifest
  const tear = async (segments: readonly { epoch: number; number: number }[] = []): Promise<void> => {
    const part = await store.getPart('3', segments.at(-1)!, 0)
    await store.remove([part!.sequence])
  }
  await tear(current!.segments)
  assert.equal(await restored(owner(3), 3), 'two')
  assert.match(warnings.join(), /the last checkpoint of 3 is lost, the one before is taken/)
  await tear(previous!.segments)
  await assert.rejects(own(owner(4), 4), {
    code: 'ERR_CHECKPOINT_CORRUPT',
    message: /fn rm/,
  })
})

test('Checkpointer restores a slot that nobody gives from what it has read ahead; what is torn there keeps it from nothing', async (t) => {
  const { store, owner, save, restored, warnings } = await setUpOwners(t)
  const first = owner(1)
  await restored(first, 1)
  assert.equal(await save(first, 'one'), true)
  let parts = 0
  const getPart: typeof store.getPart = (...args) => {
    parts += 1
    return store.getPart(...args)
  }
  const second = owner(2, undefined, { store: { ...store, getPart } })
  await second.slots.readAhead(3)
  assert.equal(await save(first, 'two'), true)
  assert.equal(parts, 1)
  assert.equal(await restored(second, 2), 'two')
  assert.equal(parts, 2, 'only what was stored since')

  const { segments } = (await store.readManifest('3'))!.manifest.current!
  const part = await store.getPart('3', segments.at(-1)!, 0)
  await store.remove([part!.sequence])
  const third = owner(3)
  await assert.rejects(third.slots.readAhead(3), { code: 'ERR_CHECKPOINT_CORRUPT' })
  assert.match(warnings.splice(0).join(), /partition 3 cannot come yet/)
  assert.equal(await restored(third, 3), 'one')
  assert.match(warnings.join(), /the last checkpoint of 3 is lost, the one before is taken/)
})

test('Checkpointer: a superseded owner writes nothing more and is told so; an owner with a lower epoch is refused', async (t) => {
  const { owner, save, restored, warnings, own } = await setUpOwners(t)
  const old = owner(1)
  await own(old, 1)
  assert.equal(await save(old, 'one'), true)
  const next = owner(2)
  assert.equal(await restored(next, 2), 'one')
  assert.equal(await save(old, 'late'), false)
  assert.match(warnings.join(), /another owner has written one meanwhile/)
  assert.equal(old.report().failed, 1)
  await assert.rejects(own(owner(1), 1), { code: 'ERR_CHECKPOINT_SUPERSEDED' })
  assert.equal(await restored(owner(3), 3), 'one')
})

test('Checkpointer: a share moves as its stored checkpoint and the pages changed since; the claim follows', async (t) => {
  const { owner, save, restored, warnings, image, given: memory, take } = await setUpOwners(t)
  const giver = owner(1)
  assert.equal(await restored(giver, 1), undefined)
  assert.equal(await save(giver, 'one'), true)
  const taker = owner(2)
  await taker.slots.readAhead(3)
  assert.equal(await save(giver, 'two'), true) // so that what was read ahead is not the base any more
  const given = image(giver, 'three')
  assert.ok(given.pages.length > 0 && given.base !== undefined)
  const { slabs } = await take(taker, 2, given)
  assert.equal(openArena(slabsOf(slabs)).getText('key'), 'three')
  assert.ok(
    slabs.every((slab) => memory.includes(slab)),
    'in memory of its own, which it has had before',
  )
  assert.equal(
    await restored(owner(1), 1).catch((error: { code: string }) => error.code),
    'ERR_CHECKPOINT_SUPERSEDED',
  )
  assert.equal(await restored(owner(3), 3), 'two', 'what the taker has not stored yet is lost with it')
  const other = await take(owner(4), 4, { ...given, base: { epoch: 1, number: 77 } })
  assert.equal(
    openArena(slabsOf(other.slabs)).getText('key'),
    'two',
    'of an image of something else nothing is used',
  )
  assert.deepEqual(warnings, [])
})

test('Checkpointer: what came with a share is in the next checkpoint of its taker', async (t) => {
  const { owner, save, restored, image, take, sourceOf } = await setUpOwners(t)
  const giver = owner(1)
  await restored(giver, 1)
  assert.equal(await save(giver, 'one'), true)
  const taker = owner(2)
  const { slabs } = await take(taker, 2, image(giver, 'two'))
  assert.equal(await taker.cut({ ...sourceOf(''), arenas: [[3, slabsOf(slabs)]] }), true)
  assert.equal(await restored(owner(3), 3), 'two')
})

test('Checkpointer: a share can move from an owner that knows a later epoch than its taker', async (t) => {
  const { owner, save, restored, warnings, image, own, take } = await setUpOwners(t)
  const giver = owner(5)
  await own(giver, 5)
  assert.equal(await save(giver, 'one'), true)
  const taker = owner(2) // its epoch when it began, and it has taken nothing since
  await taker.slots.readAhead(3)
  const { slabs } = await take(taker, 4, image(giver, 'two'))
  assert.equal(openArena(slabsOf(slabs)).getText('key'), 'two')
  giver.slots.letGo(3)
  assert.equal(await save(taker, 'three'), true)
  await assert.rejects(own(owner(4), 4), { code: 'ERR_CHECKPOINT_SUPERSEDED' })
  assert.equal(await restored(owner(6), 6), 'three')
  assert.deepEqual(warnings, [])
})

test('Checkpointer: a checkpoint that the giver stored after the image is restored, whatever its epoch; one by a later owner is refused', async (t) => {
  const { owner, save, restored, image, warnings, own, take } = await setUpOwners(t)
  const giver = owner(5)
  await own(giver, 5)
  assert.equal(await save(giver, 'one'), true)
  const given = image(giver, 'two')
  giver.slots.keep(3)
  assert.equal(await save(giver, 'three'), true) // it had the share again meanwhile

  const taker = owner(2)
  await taker.slots.readAhead(3)
  const { slabs } = await take(taker, 4, given)
  assert.equal(openArena(slabsOf(slabs)).getText('key'), 'three')

  assert.equal(await restored(owner(7), 7), 'three')
  await assert.rejects(take(owner(2), 4, given), { code: 'ERR_CHECKPOINT_SUPERSEDED' })
  assert.deepEqual(warnings, [])
})

test('Checkpointer: a late taker does not get a share that its giver has taken back', async (t) => {
  const { owner, save, restored, image, warnings, own, take } = await setUpOwners(t)
  const giver = owner(5)
  await own(giver, 5)
  assert.equal(await save(giver, 'one'), true)
  const given = image(giver, 'two')
  giver.slots.letGo(3)
  const { slabs } = await take(giver, 7, given) // its taker was given up
  assert.equal(openArena(slabsOf(slabs)).getText('key'), 'two')

  await assert.rejects(
    take(owner(6), 6, given),
    { code: 'ERR_CHECKPOINT_SUPERSEDED' },
    'it is not his any more',
  )
  assert.equal(await save(giver, 'three'), true, 'the giver goes on')
  assert.equal(await restored(owner(8), 8), 'three')
  assert.deepEqual(warnings, [])
})

test('Checkpointer writes a manifest only when its announcements and dead letters are settled, else none (CP5)', async (t) => {
  const { store, owner, save, saveAt, restored, warnings } = await setUpOwners(t)
  const by = owner(1)
  await restored(by, 1)
  assert.equal(await save(by, 'one'), true)
  const { promise: settled, resolve } = Promise.withResolvers<void>()
  const second = saveAt(by, 'two', 1, { settled })
  while ((await store.getPart('3', { epoch: 1, number: 1 }, 0)) === undefined); // its pages are there
  assert.equal((await store.readManifest('3'))!.manifest.current!.number, 0)
  resolve()
  assert.equal(await second, true)
  assert.equal((await store.readManifest('3'))!.manifest.current!.number, 1)

  const never = Promise.reject(new Error('not heard'))
  never.catch(() => undefined) // it is thrown later
  assert.equal(await saveAt(by, 'three', 2, { settled: never }), false)
  assert.deepEqual(warnings, ['no checkpoint: not heard'])
  assert.equal(await restored(owner(2), 2), 'two')
})

test('StateKeeper stores a share that changed after it was prepared again before it is given', async (t) => {
  const { store, owner, saveAt, restored, clock } = await setUpOwners(t)
  const by = owner(1)
  await restored(by, 1)
  const keeper = new StateKeeper(by, {} as Isolate, new Map(), {} as StateKeeperOptions)
  for (const [number, value] of ['one', 'two'].entries()) {
    const prepared = keeper.prepare(3)
    clock.advance(0)
    assert.equal(by.due, true)
    assert.equal(await saveAt(by, value, number), true)
    await prepared
    assert.equal((await store.readManifest('3'))!.manifest.current!.number, number)
  }
})

test('Checkpointer stores held slots too when everything must be stored; the image then builds on that (CP4)', async (t) => {
  const { owner, save, saveAt, restored, image, warnings, take } = await setUpOwners(t)
  const giver = owner(1)
  await restored(giver, 1)
  assert.equal(await save(giver, 'one'), true)
  const taker = owner(2)
  await taker.slots.readAhead(3)
  giver.slots.prepare(3)
  assert.equal(await save(giver, 'two'), true)
  assert.equal(await saveAt(giver, 'three', 1, { whole: true }), true)
  const { slabs } = await take(taker, 2, image(giver, 'four'))
  assert.equal(openArena(slabsOf(slabs)).getText('key'), 'four')
  assert.equal(await restored(owner(3), 3), 'three')
  assert.deepEqual(warnings, [])
})

for (const [what, isMade] of [
  ['was not made', false],
  ['was made with the answer lost', true],
] as const)
  test(`Checkpointer stores a share after the store did not answer its claim, which ${what} (MN2)`, async (t) => {
    const { store, owner, save, restored, image, warnings, take } = await setUpOwners(t)
    const giver = owner(1)
    await restored(giver, 1)
    assert.equal(await save(giver, 'one'), true)
    let silent = 2
    const writeManifest = async (slot: string, manifest: CheckpointManifest, revision: number) => {
      if (silent <= 0) return await store.writeManifest(slot, manifest, revision)
      silent -= 1
      if (isMade) await store.writeManifest(slot, manifest, revision)
      throw infraError('ERR_CHECKPOINT_STORE', 'Cannot write: nobody answers')
    }
    const taker = owner(2, undefined, { store: { ...store, writeManifest } })
    await taker.slots.readAhead(3)
    const { slabs } = await take(taker, 2, image(giver, 'two'))
    assert.equal(openArena(slabsOf(slabs)).getText('key'), 'two')
    taker.tried.set({ partition: 3, key: 'a', timeMs: 700 }, { attempts: 1, version: 1 }) // it is not in the claim
    assert.equal(await save(taker, 'three'), false, 'the store is still silent')
    assert.equal(await save(taker, 'four'), true)
    assert.equal((await store.readManifest('3'))!.manifest.timers!.length, 1)
    assert.equal(await restored(owner(3), 3), 'four')
    assert.deepEqual(warnings, [
      'partition 3 is not claimed in the store: Cannot write: nobody answers',
      'no checkpoint: Cannot write: nobody answers',
    ])
  })

test('Checkpointer refuses to store a share that its giver stored again before the claim was made (MN2)', async (t) => {
  const { store, owner, save, restored, image, warnings, take } = await setUpOwners(t)
  const giver = owner(1)
  await restored(giver, 1)
  assert.equal(await save(giver, 'one'), true)
  const given = image(giver, 'two')
  let isSilent = true
  const writeManifest = async (slot: string, manifest: CheckpointManifest, revision: number) => {
    if (!isSilent) return await store.writeManifest(slot, manifest, revision)
    isSilent = false
    throw infraError('ERR_CHECKPOINT_STORE', 'Cannot write: nobody answers')
  }
  const taker = owner(2, undefined, { store: { ...store, writeManifest } })
  await taker.slots.readAhead(3)
  await take(taker, 2, given)
  giver.slots.keep(3)
  assert.equal(await save(giver, 'three'), true)
  assert.equal(await save(taker, 'four'), false)
  assert.match(warnings.at(-1)!, /another owner has written one meanwhile/)
  assert.equal(await restored(owner(3), 3), 'three')
})

test('Checkpointer makes the last checkpoint without the byte limit, even behind a cut that had it', {
  timeout: 60_000,
}, async (t) => {
  const { owner, saveAt, sourceOf, restored } = await setUpOwners(t)
  const by = owner(1, undefined, { bytesPerSecond: 1 }) // the clock stands: it never gets anything
  await restored(by, 1)
  const first = saveAt(by, 'one', 1)
  assert.equal(await by.last(async () => sourceOf('two', 2)), true)
  assert.equal(await first, true)
  assert.equal(await restored(owner(2), 2), 'two')
})

test('Checkpointer.flush ends with a stop while the store does not answer; the last checkpoint has everything', async (t) => {
  const { owner, save, sourceOf, restored } = await setUpOwners(t)
  const by = owner(1)
  await restored(by, 1)
  assert.equal(await save(by, 'one'), true)
  const { promise: settled, reject } = Promise.withResolvers<void>()
  settled.catch(() => undefined) // it is thrown when its pages are stored
  const stop = new AbortController()
  const stored = by.flush(async () => sourceOf('two', 2, { settled }), stop.signal)
  const waits = by.flush(async () => sourceOf('three', 3), stop.signal)
  stop.abort()
  assert.deepEqual(await Promise.all([stored, waits]), [false, false])
  reject(new Error('its instance ends'))
  assert.equal(await by.last(async () => sourceOf('four', 4)), true)
  assert.equal(by.report().made, 2, 'the waiting cut was not made')
  assert.equal(await restored(owner(2), 2), 'four')
})

test('StateKeeper hands no memory in while a cut is shipped, before everything is stored or at the end', async (t) => {
  const { owner, saveAt, sourceOf, own } = await setUpOwners(t)
  const by = owner(1)
  await own(by, 1)
  const { promise: settled, resolve } = Promise.withResolvers<void>()
  const shipped = saveAt(by, 'one', 1, { settled })
  const { arenas, shadow, positions } = sourceOf('two')
  let handedIn = 0
  const provideShadow = async () => {
    handedIn++
    return shadow
  }
  const isolate = { provideShadow, state: { arenas: () => arenas } }
  const keeper = new StateKeeper(by, isolate as unknown as Isolate, new Map(), {
    wire: { connected: true, flush: async () => undefined, onReconnect: () => () => undefined },
    letters: { answered: async () => undefined },
  } as unknown as StateKeeperOptions)
  const stored = keeper.store({ positions } as unknown as Consumer)
  await new Promise(setImmediate)
  assert.equal(handedIn, 0)
  resolve()
  assert.equal(await shipped, true)
  assert.equal(await stored, true)
  assert.equal(handedIn, 1)
})

test('Checkpointer keeps the stored checkpoint of a partition whose state is missing, which is no fault at a stop (CP6)', async (t) => {
  const { owner, save, saveAt, sourceOf, restored, warnings } = await setUpOwners(t)
  const by = owner(1)
  await restored(by, 1)
  assert.equal(await save(by, 'one'), true)
  assert.equal(await saveAt(by, 'two', 2, { arenas: [], clean: true }), true)
  assert.equal(await restored(owner(2), 2), 'one')
  assert.match(warnings.splice(0).join(), /the state of partition 3 is missing here/)
  const leaves = owner(3) // stopped while it gives the share away
  assert.equal(await restored(leaves, 3), 'one')
  assert.equal(await leaves.last(async () => sourceOf('three', 3, { arenas: [] })), true)
  assert.equal(await restored(owner(4), 4), 'one')
  assert.deepEqual(warnings, [])
})

test('Checkpointer does not touch the stored checkpoint of a share whose memory was released, since the share may stay after all (CP4)', async (t) => {
  const { owner, save, saveAt, restored, image, warnings } = await setUpOwners(t)
  const giver = owner(1)
  await restored(giver, 1)
  assert.equal(await save(giver, 'one'), true)
  image(giver, 'two')
  assert.equal(await saveAt(giver, 'three', 1, { whole: true, arenas: [] }), true) // a timer of another share was given up
  assert.equal(await saveAt(giver, 'three', 1, { whole: true, arenas: [], clean: true }), true) // and a stop
  assert.equal(await restored(owner(2), 2), 'one')
  assert.deepEqual(warnings, [])
})

test('Checkpointer keeps readable bases beside the last checkpoints, half a tape apart, and drops older ones', async (t) => {
  const { store, owner, clock, saveAt, own } = await setUpOwners(t)
  const by = owner(1, 10_000)
  await own(by, 1)
  const textOf = async (index: number): Promise<string | undefined> => {
    const base = by.slots.basesOf(3)[index]!
    const slabs = await by.slots.readBase(3, base)
    return slabs.length === 0 ? undefined : openArena(slabsOf(slabs)).getText('key')
  }
  const times = () => by.slots.basesOf(3).map(({ timeMs }) => timeMs)
  const partsStored = async (): Promise<number> => {
    const all = by.slots.basesOf(3).flatMap(({ segments }) => segments)
    const parts = await Promise.all(all.map((segment) => store.getPart('3', segment, 0)))
    return parts.filter((part) => part !== undefined).length / all.length
  }
  assert.deepEqual(times(), [1_000], 'the state was empty when it began')
  for (let second = 1; second <= 30; second++) {
    clock.advance(1_000)
    assert.equal(await saveAt(by, `at ${second}`, second), true)
    assert.equal(await partsStored(), 1)
  }
  assert.deepEqual(
    times(),
    [21_000, 30_000, 31_000],
    'two that are kept, and the last two, of which one is both',
  )
  assert.deepEqual(await Promise.all([0, 1, 2].map(textOf)), ['at 20', 'at 29', 'at 30'])
  // While nothing is processed they stay.
  for (let second = 0; second < 30; second++) {
    clock.advance(1_000)
    await saveAt(by, 'idle', 30)
  }
  assert.equal(times()[0], 21_000)
  assert.equal(await textOf(0), 'at 20')
  assert.deepEqual(owner(2).slots.basesOf(3), [], 'another owner has none')
})

test('Checkpointer: what is known about timers outlives their owner, with or without a checkpoint, until it is said to be over', async (t) => {
  const { owner, save, restored } = await setUpOwners(t)
  const [one, other] = ['a', 'b'].map((key) => ({ partition: 3, key, timeMs: 700 })) as [Timer, Timer]
  const error = { name: 'ERR_DEADLINE', message: 'too long', stack: 'at f.ts:1:1', at: 'f.ts:1:1', timeMs: 5 }
  const first = owner(1)
  await restored(first, 1)
  assert.equal(first.tried.isDue(1000), false)
  first.tried.set(one, { attempts: 1, version: 4, error })
  await save(first, '1')

  const second = owner(2)
  await restored(second, 2)
  assert.deepEqual(second.tried.of(one), { key: 'a', timeMs: 700, attempts: 1, version: 4, error })
  assert.equal(second.tried.suspects(one), false)
  assert.deepEqual([second.tried.isDue(699), second.tried.isDue(700)], [false, true])
  second.tried.set(other, { attempts: 2, version: 4 })
  await second.tried.tell()

  const third = owner(3)
  assert.equal(await restored(third, 3), '1')
  assert.deepEqual(third.tried.of(other), { key: 'b', timeMs: 700, attempts: 2, version: 4 })
  assert.equal(third.tried.of(one)?.attempts, 1, 'what is known of another stays')
  third.tried.set(one, undefined)
  third.tried.clear(699)
  await third.tried.tell()
  assert.deepEqual([third.tried.of(one), third.tried.of(other)?.attempts], [undefined, 2])
  third.tried.clear(700)
  await third.tried.tell()
  assert.equal(third.tried.isDue(1000), false)

  const fourth = owner(4)
  await restored(fourth, 4)
  assert.deepEqual([fourth.tried.of(one), fourth.tried.of(other)], [undefined, undefined])
})

test('Checkpointer: what a new owner tells of its timers leaves the checkpoint before the last one where it is', async (t) => {
  const { owner, save, restored, store } = await setUpOwners(t)
  const first = owner(1)
  await restored(first, 1)
  for (const value of ['one', 'two']) assert.equal(await save(first, value), true)
  const { previous } = (await store.readManifest('3'))!.manifest
  assert.notEqual(previous, undefined)

  const second = owner(2)
  await restored(second, 2)
  second.tried.set({ partition: 3, key: 'a', timeMs: 700 }, { attempts: 1, version: 4 })
  await second.tried.tell()
  assert.deepEqual((await store.readManifest('3'))!.manifest.previous, previous)
})

test('Checkpointer: a slot whose last owner left no checkpoint is in doubt until its due timers were called', async (t) => {
  const { owner, save, restored } = await setUpOwners(t)
  const timer = { partition: 3, key: 'a', timeMs: 700 }
  const first = owner(1)
  await restored(first, 1)
  await save(first, '1')
  const second = owner(2)
  await restored(second, 2)
  assert.equal(second.tried.suspects(timer), false)

  const third = owner(3)
  await restored(third, 3)
  assert.equal(third.tried.suspects(timer), true)
  assert.equal(third.tried.isDue(0), true)
  third.tried.clear(0)
  await third.tried.tell()
  assert.equal(third.tried.isDue(1000), false)
  await save(third, '1') // nothing has changed, but that it is its own

  const fourth = owner(4)
  await restored(fourth, 4)
  assert.equal(fourth.tried.suspects(timer), false)
})

test('Checkpointer: a share moves with what its giver stored about timers after the taker had read ahead', async (t) => {
  const { owner, save, restored, image, warnings, take } = await setUpOwners(t)
  const [over, tried] = ['a', 'b'].map((key) => ({ partition: 3, key, timeMs: 700 })) as [Timer, Timer]
  const giver = owner(1)
  await restored(giver, 1)
  giver.tried.set(over, { attempts: 1, version: 1 })
  assert.equal(await save(giver, 'one'), true)
  const taker = owner(2)
  await taker.slots.readAhead(3)
  giver.tried.set(over, undefined)
  giver.tried.set(tried, { attempts: 1, version: 1 })
  await giver.tried.tell()

  const { slabs } = await take(taker, 2, image(giver, 'two'))
  assert.equal(openArena(slabsOf(slabs)).getText('key'), 'two')
  assert.deepEqual([taker.tried.of(over), taker.tried.of(tried)?.attempts], [undefined, 1])
  assert.equal(await save(taker, 'three'), true)
  assert.equal(await restored(owner(3), 3), 'three')
  assert.deepEqual(warnings, [])
})
