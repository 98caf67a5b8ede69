import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Consumer, Producer } from '../../infra/bus/index.ts'
import { ManualClock } from '../../infra/clock.ts'
import type { FunctionAssignment, InstanceAssignment } from '../../infra/control/messages/assignment.ts'
import type { StateKeeper } from '../checkpoint/state-keeper.ts'
import { type TimerSlot, TriedTimers } from '../checkpoint/tried-timers.ts'
import type { Isolate } from '../isolate/index.ts'
import { ShareMover, type ShareMoverOptions } from './share-mover.ts'
import { assigned, givingOne, nothing, working } from './testing.ts'

test('ShareMover puts a share to rest, waits until its outputs are accepted, and then tells where its next owner continues (SM2)', async () => {
  const log: string[] = []
  const image = { epoch: 1, slabs: [], inputs: {}, pages: [], bytes: new Uint8Array() }
  const keepPartitions = (list: readonly number[]): void => void log.push(`the isolate keeps ${list}`)
  const mover = new ShareMover(
    working({
      consumer: {
        own: nothing,
        suspend: (_: string, list: readonly number[]) => log.push(`${list} is suspended`),
        release: (_: string, list: readonly number[], next?: { owner: string }) => {
          log.push(`${list} is released to ${next?.owner}`)
          return { since: 0, channels: [] }
        },
      } as never as Consumer,
      producer: {
        fence: (_: string, epoch: number) => log.push(`epoch ${epoch} is fenced off`),
        accepted: async () => log.push('outputs are accepted'),
      } as never as Producer,
      isolate: () => ({ keepPartitions }) as never as Isolate,
      keeper: {
        ...{ prepare: async () => true, image: () => image, rest: nothing },
        close: (share: number) => log.push(`the image of ${share} is made`),
        letGo: (share: number) => log.push(`${share} is let go`),
      } as never as StateKeeper,
      drop: (partitions) => log.push(`what is taken of ${partitions.get('in')} is dropped`),
      endAside: async () => void log.push('nothing is set aside'),
      lettersSafe: async () => log.push('letters are safe') > 0,
    }),
    assigned,
    { ...givingOne, fences: [{ index: 3, epoch: 7 }] },
  )
  mover.start()
  assert.deepEqual(log.splice(0), ['epoch 7 is fenced off'])
  await mover.reassign(assigned, { ...givingOne, fences: [{ index: 4, epoch: 9 }] })
  assert.deepEqual(log.splice(0), ['epoch 9 is fenced off'])
  const ask = { schema: 1, instance: 'f-0', share: 1, epoch: 2, ready: true, owner: 'next' } as const
  await mover.answer(ask)
  assert.equal((await mover.answer(ask)).ok, true)
  assert.deepEqual(log, [
    ...['1 is suspended', 'what is taken of 1 is dropped', 'nothing is set aside', 'the isolate keeps 0'],
    ...['the image of 1 is made', 'outputs are accepted', 'letters are safe'],
    ...['1 is released to next', '1 is let go'],
  ])
})

test('ShareMover: nothing is stored about the timers of a moving share, whatever timers are called meanwhile (TT3 of tried-timers.ts)', async () => {
  const told: number[] = []
  const slots = [0, 1].map((partition): TimerSlot => {
    const timers = [{ key: 'k', timeMs: 500, attempts: 1, version: 1 }]
    const tell = async (): Promise<void> => void told.push(partition)
    return { partition, timers, inDoubt: false, clear: () => undefined, tell }
  })
  const tried = new TriedTimers(async () => undefined)
  for (const slot of slots) tried.add(slot)
  const accepted = Promise.withResolvers<void>()
  const mover = new ShareMover(
    working({
      consumer: {
        own: nothing,
        suspend: nothing,
        release: () => ({ since: 0, channels: [] }),
      } as never as Consumer,
      producer: { accepted: () => accepted.promise } as never as Producer,
      keeper: {
        prepare: async () => undefined,
        image: () => ({ epoch: 1, slabs: [], inputs: {}, pages: [], bytes: new Uint8Array() }),
        ...{ rest: nothing, letGo: nothing },
        close: (share: number) => tried.forget(share),
      } as never as StateKeeper,
    }),
    assigned,
    givingOne,
  )
  mover.start()
  const ask = { schema: 1, instance: 'f-0', share: 1, epoch: 2, ready: false } as const
  assert.deepEqual(await mover.answer(ask), { ok: false, code: 'ERR_MOVE_PREPARED' })
  const given = mover.answer({ ...ask, ready: true })
  await new Promise(setImmediate) // its outputs are not accepted yet
  tried.clear(1_000) // as when all timers that were due here have been called
  await tried.tell()
  assert.deepEqual([slots[0]!.timers.length, slots[1]!.timers.length], [0, 1])
  assert.deepEqual(told, [0], 'what is stored of the share is as the image says')
  accepted.resolve()
  assert.equal((await given).ok, true)
})

test('ShareMover keeps a share at work whose state is too large for an answer and cannot be stored; at rest, only the share waits (SM1, SM4)', async () => {
  const log: string[] = []
  const image = { epoch: 1, slabs: [], inputs: {}, pages: [], bytes: new Uint8Array() }
  let isSmall = false
  let isTaken = true
  const clock = new ManualClock()
  const mover = new ShareMover(
    working({
      clock,
      consumer: {
        own: nothing,
        suspend: () => log.push('suspended'),
        release: () => ({ since: 0, channels: [] }),
      } as never as Consumer,
      producer: { fence: nothing, accepted: async () => undefined } as never as Producer,
      keeper: {
        prepare: async () => {
          log.push('is to be stored')
          isSmall = isTaken && mover.instance.partitions['in']!.length === 1 // else it goes on changing
          return isTaken
        },
        image: () => (isSmall ? image : undefined),
        ...{ rest: nothing, close: nothing, letGo: nothing },
      } as never as StateKeeper,
      between: (run) => run().finally(() => log.push('next batch')),
    }),
    assigned,
    givingOne,
  )
  mover.start()
  const ask = { schema: 1, instance: 'f-0', share: 1, epoch: 2, ready: true } as const
  const prepared = { ok: false, code: 'ERR_MOVE_PREPARED' }
  const pass = async (): Promise<void> => {
    await new Promise(setImmediate)
    clock.advance(1_000)
    await new Promise(setImmediate)
  }
  for (let round = 0; round <= 4; round++) assert.deepEqual(await mover.answer(ask), prepared)
  assert.ok(!log.includes('suspended'))
  isTaken = false // nor what is stored beside the work: then it stays there
  for (let round = 0; round < 3; round++) {
    const again = mover.answer(ask)
    await pass()
    await again
  }
  await pass()
  isTaken = true
  while (!log.includes('suspended')) {
    isTaken = true
    const again = mover.answer(ask)
    await new Promise(setImmediate)
    if (log.includes('suspended')) isTaken = false // the store is full again
    await pass()
    await again
  }
  log.splice(0, log.lastIndexOf('suspended'))
  await pass()
  assert.deepEqual(log.slice(0, 3), ['suspended', 'next batch', 'is to be stored'])
  assert.deepEqual(mover.instance.partitions, { in: [0] })
  isTaken = true
  await pass()
  assert.deepEqual(await mover.answer(ask), { ok: true, left: { since: 0, channels: [] }, state: image })
})

/** An instance with two shares, the second of which goes unasked. */
function leaving(parts: Partial<ShareMoverOptions> = {}) {
  const log: string[] = []
  const accepted = Promise.withResolvers<void>()
  const letters = Promise.withResolvers<boolean>()
  const stored = Promise.withResolvers<boolean>()
  const mover = new ShareMover(
    working({
      consumer: {
        ...{ own: nothing, suspend: nothing },
        release: (_: string, partitions: readonly number[]) => log.push(`released ${partitions}`),
        giveUp(reason: string, isLost: (stream: string, partition: number) => boolean) {
          for (const partition of [0, 1]) if (isLost('in', partition)) log.push(`${reason} ${partition}`)
        },
      } as never as Consumer,
      producer: { accepted: () => accepted.promise } as never as Producer,
      keeper: {
        rest: (arena: number) => log.push(`rests ${arena}`),
        storeSoon: () => {
          log.push('is stored')
          return stored.promise
        },
        close: nothing,
        untold: () => true,
        letGo: (arena: number) => log.push(`forgotten ${arena}`),
      } as never as StateKeeper,
      between: (run) => run().finally(() => log.push('next batch')),
      lettersSafe: () => letters.promise,
      ...parts,
    }),
    assigned,
    { ...givingOne, giving: [] },
  )
  mover.start()
  const applied = mover
    .reassign(assigned, { ...givingOne, epoch: 2, giving: [], partitions: { in: [0] } })
    .then(() => log.push('applied'))
  return { mover, log, accepted, letters, stored, applied }
}

test('ShareMover: an instance works while what it gives up unasked is accepted and stored; what the store never heard of is counted (SM1, LV3 of leaving.ts)', async () => {
  const { log, accepted, letters, stored, applied } = leaving()
  await new Promise(setImmediate)
  assert.deepEqual(log.splice(0), ['rests 1', 'next batch'])
  accepted.resolve()
  await new Promise(setImmediate)
  assert.deepEqual(log, [], 'what is dropped with its letter is not counted twice')
  letters.resolve(true)
  await new Promise(setImmediate)
  assert.deepEqual(log.splice(0), ['is stored'])
  stored.resolve(false)
  await applied
  assert.deepEqual(
    log,
    ['unstored 1', 'released 1', 'forgotten 1', 'applied'],
    'the next assignment follows then (HI1, HI2)',
  )
})

test('ShareMover counts what goes unasked and whose outputs nobody accepts in time: they are lost if the process is killed next', async () => {
  const { log, accepted, letters, stored, applied } = leaving()
  await new Promise(setImmediate)
  accepted.reject(new Error('it took too long'))
  letters.resolve(true)
  stored.resolve(true)
  await applied
  assert.deepEqual(log.slice(-5), ['undelivered 1', 'unstored 1', 'released 1', 'forgotten 1', 'applied'])
})

test('ShareMover leaves what goes unasked where it is if the instance ends meanwhile', async () => {
  const { mover, log, accepted, letters, stored, applied } = leaving()
  await new Promise(setImmediate)
  accepted.resolve()
  letters.resolve(true)
  await new Promise(setImmediate)
  mover.end()
  stored.resolve(false)
  await applied
  assert.deepEqual(log, ['rests 1', 'next batch', 'is stored', 'applied'])
})

test('ShareMover applies assignments while a share that is being given waits for its dead letters, and takes it back then', async () => {
  const log: string[] = []
  const letters = Promise.withResolvers<boolean>()
  const image = { epoch: 1, slabs: [], inputs: {}, pages: [], bytes: new Uint8Array() }
  const mover = new ShareMover(
    working({
      consumer: {
        suspend: nothing,
        own: (_: string, partitions: readonly number[]) => log.push(`own ${partitions}`),
        release: (_: string, partitions: readonly number[]) => {
          log.push(`released ${partitions}`)
          return { since: 0, channels: [] }
        },
      } as never as Consumer,
      producer: { accepted: async () => undefined } as never as Producer,
      keeper: {
        ...{ prepare: async () => true, image: () => image },
        ...{ rest: nothing, close: nothing, letGo: nothing },
        read: async (arena: number, epoch: number, back: unknown) => {
          log.push(`reads ${arena} (epoch ${epoch})${back === image ? ' as it was given' : ''}`)
        },
        adopt: async () => undefined,
      } as never as StateKeeper,
      lettersSafe: () => letters.promise,
    }),
    assigned,
    givingOne,
  )
  mover.start()
  const ask = { schema: 1, instance: 'f-0', share: 1, epoch: 2, ready: true } as const
  await mover.answer(ask)
  const given = mover.answer(ask)
  await new Promise(setImmediate)
  assert.deepEqual(mover.instance.partitions, { in: [0] })
  await mover.reassign(assigned, { ...givingOne, epoch: 3, partitions: { in: [0] } })
  await mover.reassign(assigned, { ...givingOne, epoch: 4, giving: [] }) // its taker has ended
  assert.deepEqual(log.splice(0), ['own 0,1'])
  letters.resolve(true)
  assert.equal((await given).ok, true)
  await new Promise(setImmediate)
  assert.deepEqual(log, ['released 1', 'reads 1 (epoch 4) as it was given', 'own 1'])
  assert.deepEqual(mover.instance.partitions, { in: [0, 1] })
})

test('ShareMover releases a share that rests only once it may, though an assignment has left it here in vain meanwhile (SM2)', async () => {
  const log: string[] = []
  const letters = Promise.withResolvers<boolean>()
  const image = { epoch: 1, slabs: [], inputs: {}, pages: [], bytes: new Uint8Array() }
  const mover = new ShareMover(
    working({
      consumer: {
        ...{ own: nothing, suspend: nothing },
        release: (_: string, partitions: readonly number[], next?: { owner: string }) => {
          log.push(`released ${partitions} to ${next?.owner}`)
          return { since: 0, channels: [] }
        },
      } as never as Consumer,
      producer: { accepted: async () => undefined } as never as Producer,
      keeper: {
        ...{ prepare: async () => true, image: () => image, forget: nothing },
        ...{ rest: nothing, close: nothing, letGo: nothing },
      } as never as StateKeeper,
      lettersSafe: () => letters.promise,
    }),
    assigned,
    givingOne,
  )
  mover.start()
  const ask = { schema: 1, instance: 'f-0', share: 1, epoch: 2, ready: true, owner: 'next' } as const
  await mover.answer(ask)
  const given = mover.answer(ask)
  await new Promise(setImmediate)
  await mover.reassign(assigned, { ...givingOne, epoch: 3, giving: [] })
  const applied = mover.reassign(assigned, { ...givingOne, epoch: 4, partitions: { in: [0] } })
  await new Promise(setImmediate)
  assert.deepEqual(log, [])
  letters.resolve(true)
  assert.equal((await given).ok, true)
  await applied
  assert.deepEqual(log, ['released 1 to next'])
})

test('ShareMover announces partitions whenever it claims some, also those handed over by another instance', async () => {
  const log: string[] = []
  const taken = Promise.withResolvers<void>()
  const consumer = {
    owner: 'o',
    await: () => undefined,
    own: (stream: string, partitions: readonly number[]) => log.push(`own ${stream} ${partitions}`),
  }
  const assignment = {
    ...{ function: 'f', groupings: { in: 'groupBy' }, manifest: { ostreams: [] } },
    streams: { in: { name: 'in', partitions: 2, keyed: true, consumers: [] } },
  } as unknown as FunctionAssignment
  const instance: InstanceAssignment = {
    ...{ id: 'f-0', function: 'f', index: 0, epoch: 1, partitions: { in: [0] } },
  }
  const stopping = new AbortController()
  const mover = new ShareMover(
    working({
      stopping: stopping.signal,
      consumer: consumer as unknown as Consumer,
      producer: { fence: () => undefined, open: () => undefined } as unknown as Producer,
      ask: () => Promise.resolve({ ok: true, left: { since: 1, channels: [] }, state: undefined as never }),
      isolate: () => ({ keepPartitions: (list: unknown) => log.push(`the isolate keeps ${list}`) }) as never,
      onOwn: () => log.push('careful'),
      onMoved: () => taken.resolve(),
      onTrouble: (error) => taken.reject(error),
    }),
    assignment,
    instance,
  )
  mover.start()
  await mover.reassign(assignment, {
    ...instance,
    awaited: [{ share: 1, epoch: 1, task: 't', instance: 'f-1' }],
  })
  await taken.promise
  assert.deepEqual(
    log,
    ['careful', 'own in 0', 'the isolate keeps 0', 'careful', 'own in 1'],
    'what it has of a share from earlier is not what comes',
  )
  stopping.abort()
})
