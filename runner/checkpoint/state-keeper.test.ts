import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { type Consumer, unlessAborted, type Wire } from '../../infra/bus/index.ts'
import { ManualClock, systemClock } from '../../infra/clock.ts'
import { dirtyPages, openArena, Shadow, shadowBytes } from '../../sdk/runtime/arena/index.ts'
import type { Isolate } from '../isolate/index.ts'
import type { Checkpointer } from './checkpointer.ts'
import type { CutSource } from './cut.ts'
import { slabsOf } from './reader.ts'
import { StateKeeper, type StateKeeperOptions } from './state-keeper.ts'
import { setUpOwners } from './testing.ts'

test('StateKeeper gives way to a stop: who stores all comes back, what waits for NATS is given up, and no cut is begun', async () => {
  const never = new Promise<never>(() => undefined)
  let settled: Promise<void> | undefined
  const checkpointer = {
    takeNear: () => false,
    cut: () => assert.fail('it would find no state of a share that was being taken'),
    flush: async (make: () => Promise<CutSource>, leaving?: AbortSignal) => {
      settled = (await make()).settled
      return (await unlessAborted(never, leaving)) === true
    },
  } as unknown as Checkpointer
  const isolate = { provideShadow: async () => new SharedArrayBuffer(8), state: { arenas: () => [] } }
  const keeper = new StateKeeper(checkpointer, isolate as unknown as Isolate, new Map(), {
    clock: new ManualClock(),
    wire: {
      connected: false,
      publish: () => undefined,
      subscribe: () => () => undefined,
      flush: () => Promise.reject(new Error('the connection is down')),
      onReconnect: () => () => undefined,
    },
    letters: { answered: () => never },
  })
  const consumer = {} as Consumer
  const stored = keeper.store(consumer)
  await new Promise(setImmediate)
  keeper.giveWay()
  assert.equal(await stored, false)
  await keeper.cut(consumer)
  await assert.rejects(settled!, /has not heard what goes ahead of it, its instance ends/)
})

test('StateKeeper: a stop ends the waits for a cut behind one that a silent store does not take', async () => {
  const slots = { keep: () => undefined, prepare: () => undefined }
  const checkpointer = { slots, soon: () => new Promise<never>(() => undefined) } as unknown as Checkpointer
  const keeper = new StateKeeper(checkpointer, {} as Isolate, new Map(), {} as StateKeeperOptions)
  const waits = [keeper.prepare(3), keeper.storeSoon()]
  keeper.giveWay()
  assert.deepEqual(await Promise.all(waits), [false, false])
})

test('StateKeeper: a stop without NATS ends in time while a cut is being shipped, and no rejection is left over', async () => {
  const never = new Promise<never>(() => undefined)
  const checkpointer = { last: () => never, end: () => undefined } as unknown as Checkpointer
  const wire = { connected: false, flush: () => never, onReconnect: () => () => undefined } as unknown as Wire
  const keeper = new StateKeeper(checkpointer, {} as Isolate, new Map(), {
    ...{ clock: systemClock, wire },
    letters: { answered: () => never },
  })
  await keeper.last({} as Consumer, 1, 1)
  await once(AbortSignal.timeout(20), 'abort') // after those of the wait, which began before
  await new Promise(setImmediate)
})

test('StateKeeper stores at the end what an ended isolate has committed, and nothing if its thread may still write', async () => {
  for (const hasThreadEnded of [true, false]) {
    let source: CutSource | undefined
    const checkpointer = {
      last: async (make: () => Promise<CutSource | undefined>) => {
        source = await make()
      },
      end: () => undefined,
    } as unknown as Checkpointer
    const isolate = {
      isEnded: true,
      ended: async () => hasThreadEnded,
      provideShadow: async () => new SharedArrayBuffer(8),
      state: { arenas: () => [], commitWord: 5 },
    } as unknown as Isolate
    const wire = { flush: async () => undefined, onReconnect: () => () => undefined } as unknown as Wire
    const keeper = new StateKeeper(checkpointer, isolate, new Map(), {
      ...{ clock: systemClock, wire },
      letters: { answered: async () => undefined },
    })
    await keeper.last({} as Consumer, 60_000, 60_000)
    assert.equal(source?.commitWord, hasThreadEnded ? 5 : undefined)
    assert.equal(source !== undefined, hasThreadEnded)
  }
})

test('StateKeeper: a stop while memory for a whole cut is being prepared leaves no rejection over', async () => {
  const never = new Promise<never>(() => undefined)
  const checkpointer = { flush: (make: () => Promise<unknown>) => make() } as unknown as Checkpointer
  const wire = { connected: false, flush: () => never, onReconnect: () => () => undefined } as unknown as Wire
  const isolate = { provideShadow: () => never } as unknown as Isolate
  const keeper = new StateKeeper(checkpointer, isolate, new Map(), {
    ...{ clock: systemClock, wire },
    letters: { answered: () => never },
  })
  void keeper.store({} as Consumer)
  keeper.giveWay()
  await new Promise(setImmediate)
})

for (const from of ['its giver', 'the store'])
  for (const why of ['is stopped', 'finds its isolate ended'])
    test(`StateKeeper stores nothing of a share that comes back from ${from} if it ${why} before the old state is gone (OW1)`, async (t) => {
      const { owner, own, save, take, image, restored, instance, sourceOf } = await setUpOwners(t)
      const first = owner(1)
      await own(first, 1)
      assert.equal(await save(first, 'one'), true)
      const given = image(first, 'two')
      first.slots.letGo(3)

      const second = owner(2)
      const slabs = slabsOf((await take(second, 2, given)).slabs)
      const shadow = new SharedArrayBuffer(shadowBytes(1000))
      const arena = openArena(slabs, { keeper: new Shadow(shadow).of(3) })
      arena.set('key', 'three')
      arena.commit()
      const source = sourceOf('in the old memory')
      assert.equal(await second.cut({ ...source, arenas: [[3, slabs]], shadow }), true)
      second.slots.prepare(3)
      const back = second.imageOf(3, slabs, source.positions)!
      second.slots.letGo(3)

      const adopt = (): Promise<void> => Promise.reject(new Error('the isolate has ended'))
      const isolate = { adopt, commitWord: 0 } as unknown as Isolate
      const keeper = new StateKeeper(first, isolate, new Map(), {} as StateKeeperOptions)
      await keeper.read(3, 3, from === 'the store' ? undefined : back)
      if (why === 'finds its isolate ended')
        await assert.rejects(keeper.adopt(instance(3), 3), /the isolate has ended/)
      await first.last(async () => source)
      assert.equal(await restored(owner(4), 4), 'three')
    })

test('StateKeeper: ahead is what the pages may take that are still pending, and nothing once all are captured', async (t) => {
  const { store, owner, restored, sourceOf, arena, slabs } = await setUpOwners(t)
  const answer = Promise.withResolvers<void>()
  const putPart: typeof store.putPart = async (...args) => {
    await answer.promise
    return await store.putPart(...args)
  }
  const checkpointer = owner(1, undefined, { store: { ...store, putPart } })
  await restored(checkpointer, 1)
  for (let i = 0; i < 1500; i++) arena.set(`key ${i}`, 'x'.repeat(1000))
  const source = sourceOf('one')
  const dirty = dirtyPages(slabs, 10_000)!.pages.length
  const isolate = { shadowBytesAhead: (pages: number) => 10 * pages } as unknown as Isolate
  const keeper = new StateKeeper(checkpointer, isolate, new Map(), {} as StateKeeperOptions)
  const stored = checkpointer.cut(source)
  assert.equal(keeper.bytesAhead, 10 * dirty)
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
  assert.equal(keeper.bytesAhead, 10 * (dirty - 1000), 'four parts have no answer')
  answer.resolve()
  assert.equal(await stored, true)
  assert.equal(keeper.bytesAhead, 0)
  const settled = Promise.withResolvers<void>()
  const again = checkpointer.cut(sourceOf('two', undefined, { settled: settled.promise }))
  assert.ok(keeper.bytesAhead > 0)
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
  assert.equal(keeper.bytesAhead, 0, 'all is captured; only the manifest waits')
  settled.resolve()
  await again
})

test('StateKeeper: where what an instance is to have changes before it works, its isolate forgets what it lacks and gets what it adds', async (t) => {
  const { owner, own, save, instance, restored } = await setUpOwners(t)
  const first = owner(1)
  await own(first, 1)
  assert.equal(await save(first, 'one'), true)
  const log: string[] = []
  const isolate = {
    commitWord: 0,
    keepPartitions: (partitions: readonly number[]) => log.push(`keeps ${partitions}`),
    adopt: async (partition: number, slabs: readonly unknown[]) => {
      log.push(`adopts ${partition} (${slabs.length})`)
    },
    state: {
      rest: (partition: number) => log.push(`${partition} rests`),
      letGo: (partition: number) => log.push(`${partition} goes`),
    },
  }
  const keeper = new StateKeeper(first, isolate as unknown as Isolate, new Map(), {} as StateKeeperOptions)
  await keeper.change({ ...instance(2), partitions: { in: [4] } })
  assert.deepEqual(log.splice(0), ['keeps ', '3 rests', '3 goes', 'adopts 4 (0)'])
  assert.equal(await restored(owner(3), 3), 'one')
  await keeper.change({ ...instance(4), partitions: { in: [3, 4] } })
  assert.deepEqual(log, ['keeps 4', 'adopts 3 (1)'])
})

test('StateKeeper stores nothing more about the timers of a share that is closed: they are its next owner’s (TT3 of tried-timers.ts)', async (t) => {
  const { owner, own } = await setUpOwners(t)
  const first = owner(1)
  await own(first, 1)
  const keeper = new StateKeeper(first, {} as Isolate, new Map(), {} as StateKeeperOptions)
  const timer = { partition: 3, key: 'k', timeMs: 500 }
  keeper.tried.set(timer, { attempts: 1, version: 1 })
  assert.equal(keeper.tried.of(timer)?.attempts, 1)
  keeper.close(3)
  assert.equal(keeper.tried.of(timer), undefined)
})
