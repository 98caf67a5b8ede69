import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { type Consumer, unlessAborted, type Wire } from '../../infra/bus/index.ts'
import { ManualClock, systemClock } from '../../infra/clock.ts'
import type { InstanceAssignment } from '../../infra/control/messages/assignment.ts'
import { openArena, Shadow, shadowBytes } from '../../sdk/runtime/arena/index.ts'
import type { Isolate } from '../isolate/index.ts'
import type { Checkpointer } from './checkpointer.ts'
import type { CutSource } from './cut.ts'
import { slabsOf } from './reader.ts'
import type { ShareImage } from './share-image.ts'
import { StateKeeper, type StateKeeperOptions } from './state-keeper.ts'
import { setUpOwners } from './testing.ts'

test('StateKeeper gives way to a stop: whoever stores all comes back, what waits for NATS is given up, and no cut is begun', async () => {
  const never = new Promise<never>(() => undefined)
  let settled: Promise<void> | undefined
  const checkpointer = {
    takeNear: () => false,
    cut: () => assert.fail('it would find no state of a share that was being taken'),
    slots: { take: () => never, keep: () => undefined, hold: () => undefined },
    imageOf: () => undefined,
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
  const waits = [keeper.store(consumer), keeper.wholeImage(3, consumer)]
  const comes = keeper.receive({} as InstanceAssignment, 4, {} as ShareImage)
  await new Promise(setImmediate)
  keeper.giveWay()
  await assert.rejects(comes, /its instance ends/)
  assert.deepEqual(await Promise.all(waits), [false, undefined])
  await keeper.cut(consumer)
  await assert.rejects(settled!, /has not heard what goes ahead of it, its instance ends/)
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
      const slabs = slabsOf((await take(second, 2, given))!)
      const shadow = new SharedArrayBuffer(shadowBytes(1000))
      const arena = openArena(slabs, { keeper: new Shadow(shadow).of(3) })
      arena.set('key', 'three')
      arena.commit()
      const source = sourceOf('in the old memory')
      assert.equal(await second.cut({ ...source, arenas: [[3, slabs]], shadow }), true)
      second.slots.hold(3)
      const back = second.imageOf(3, slabs, source.positions)!
      second.slots.letGo(3)

      const adopt = (): Promise<void> => Promise.reject(new Error('the isolate has ended'))
      const reading = t.mock.method(first.slots, from === 'the store' ? 'restore' : 'take')
      const keeper = new StateKeeper(
        first,
        { adopt } as unknown as Isolate,
        new Map(),
        {} as StateKeeperOptions,
      )
      const comes = from === 'the store' ? keeper.take(instance(3)) : keeper.receive(instance(3), 3, back)
      if (why === 'is stopped') keeper.giveWay()
      await assert.rejects(comes, why === 'is stopped' ? /its instance ends/ : /the isolate has ended/)
      await reading.mock.calls[0]!.result
      await first.last(async () => source)
      assert.equal(await restored(owner(4), 4), 'three')
    })
