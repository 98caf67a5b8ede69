import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Consumer, unlessAborted } from '../../infra/bus/index.ts'
import { ManualClock } from '../../infra/clock.ts'
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
