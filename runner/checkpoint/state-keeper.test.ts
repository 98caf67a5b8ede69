import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { type Consumer, unlessAborted, type Wire } from '../../infra/bus/index.ts'
import { ManualClock, systemClock } from '../../infra/clock.ts'
import type { InstanceAssignment } from '../../infra/control/messages.ts'
import type { Isolate } from '../isolate/index.ts'
import type { Checkpointer } from './checkpointer.ts'
import type { CutSource } from './cut.ts'
import type { ShareImage } from './share-image.ts'
import { StateKeeper } from './state-keeper.ts'

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
