import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { QueueMode } from '../../../sdk/manifest/back-pressure.ts'
import { frameOf, stampHeader } from '../../../sdk/wire/frame.ts'
import { ManualClock } from '../../clock.ts'
import { type CreditEntry, creditFlags } from '../messages/credit.ts'
import { Lane } from './lane.ts'
import { LanePartition } from './lane-partition.ts'
import { LaneQueue, storeAfterMs } from './lane-queue.ts'
import { OutPartition } from './out-partition.ts'

const entry = { stream: 's', partition: 0, flags: 0, through: 0, accepted: 0, windowBytes: 1, dropped: {} }
const fresh = { ...entry, flags: creditFlags.fresh }

function large(): Uint8Array {
  return frameOf([{ key: new Uint8Array(1), value: new Uint8Array(40_000), timeMs: 0 }]) // no two are joined
}

function small(): Uint8Array {
  return frameOf([{ key: new Uint8Array(1), value: new Uint8Array(1), timeMs: 0 }])
}

/** Since when records wait, by consumer. */
function waits(out: OutPartition): Record<string, number> {
  const all: Record<string, number> = {}
  out.eachWaiting((consumer, sinceMs) => {
    all[consumer] = sinceMs
  })
  return all
}

function credit(out: OutPartition, consumer: string, more: Partial<CreditEntry>, epoch = 1): void {
  out.credit(consumer, `owner-${epoch}`, epoch, { ...entry, ...more })
  while (out.send(0));
}

/** Everything before this record is done. */
function done(out: OutPartition, consumer: string, through: number, epoch = 1): void {
  credit(out, consumer, { through, accepted: through, windowBytes: 1 << 20 }, epoch)
}

test('the oldest record that a consumer has not acknowledged waits since its producer took it, sent or held', () => {
  const out = new OutPartition('s', 0, () => undefined)
  out.setConsumers([{ name: 'f', blocking: true }])
  for (const ms of [10, 20, 30]) out.add(large(), 1, ms)
  assert.deepEqual(waits(out), { f: 10 }, 'nobody is there')
  credit(out, 'f', fresh)
  assert.deepEqual([out.sent, waits(out)], [1, { f: 10 }], 'one was sent')
  done(out, 'f', 1)
  assert.deepEqual(waits(out), { f: 20 })
  out.rewind()
  assert.deepEqual(waits(out), { f: 20 }, 'it is sent again, and is no younger')
  done(out, 'f', 1)
  done(out, 'f', 3)
  assert.deepEqual(waits(out), {})
  out.add(large(), 1, 40)
  assert.deepEqual(waits(out), { f: 40 })
})

test('a frame waits since its first record came, until its last is done', () => {
  const out = new OutPartition('s', 0, () => undefined)
  out.setConsumers([{ name: 'f', blocking: true }])
  for (const ms of [10, 20, 30]) out.add(small(), 1, ms) // held, and so joined
  done(out, 'f', 0)
  done(out, 'f', 2)
  assert.deepEqual(waits(out), { f: 10 })
  done(out, 'f', 3)
  assert.deepEqual(waits(out), {})
})

test('each consumer has a lag of its own; of one that nobody waits for it is known while the frame is there', () => {
  const out = new OutPartition('s', 0, () => undefined)
  out.setConsumers([
    { name: 'quick', blocking: true },
    { name: 'slow', blocking: true },
    { name: 'free', blocking: false },
  ])
  for (const name of ['quick', 'slow', 'free']) credit(out, name, { ...fresh, windowBytes: 1 << 20 })
  for (const ms of [10, 20]) out.add(large(), 1, ms)
  while (out.send(0));
  assert.deepEqual(waits(out), { quick: 10, slow: 10, free: 10 })
  done(out, 'quick', 2)
  done(out, 'slow', 1)
  assert.deepEqual(
    waits(out),
    { slow: 20 },
    'free is not done either, but nobody keeps the first frame for it',
  )
})

test('a handover, or the end of an owner, makes no record younger', () => {
  const out = new OutPartition('s', 0, () => undefined)
  out.setConsumers([{ name: 'f', blocking: true }])
  credit(out, 'f', fresh)
  for (const ms of [10, 20]) out.add(large(), 1, ms)
  done(out, 'f', 1)
  const next = { epoch: 2, owner: 'owner-2' }
  credit(out, 'f', { flags: creditFlags.leaving | creditFlags.next, through: 1, accepted: 1, next })
  assert.deepEqual(waits(out), { f: 20 })
  done(out, 'f', 1, 2)
  assert.deepEqual(waits(out), { f: 20 })
  credit(out, 'f', { ...fresh, windowBytes: 1 << 20 }, 3)
  assert.deepEqual(waits(out), { f: 20 }, 'the one that was killed had not taken it')
  credit(out, 'f', { through: 1, accepted: 2, windowBytes: 1 << 20 }, 3)
  credit(out, 'f', { ...fresh, windowBytes: 1 << 20 }, 4)
  assert.deepEqual(waits(out), {}, 'the one that was killed had taken it: unaccounted')
})

/** A lane with three records, of which its window has taken the first. */
function lane(mode: QueueMode, bytesMax: number) {
  const queue = new LaneQueue(1, { mode, bytesMax, ageMaxMs: 1e6 }, () => undefined)
  const out = new LanePartition({ stream: 's', partition: 0, consumer: 'f', queue, onStill: () => undefined })
  credit(out, 'f', fresh)
  for (const ms of [10, 20, 30]) {
    out.add(large(), 1, ms)
    while (out.send(0));
  }
  return { queue, out }
}

test('what waits in front of a lane waits since it came, in memory and on disk; what was dropped does not wait', () => {
  for (const [mode, bytesMax, second] of [
    ['dropHead', 50_000, 30],
    ['dropTail', 50_000, 20],
    ['enqueue', 100_000, 20],
  ] as const) {
    const { queue, out } = lane(mode, bytesMax)
    assert.deepEqual(waits(out), { f: 10 }, mode)
    out.credit('f', 'owner-1', 1, { ...entry, through: 1, accepted: 1, windowBytes: 0 })
    assert.deepEqual(waits(out), { f: second }, mode)
    if (mode !== 'enqueue') continue
    const chunk = queue.cut(0, 500)!
    assert.deepEqual(waits(out), { f: 20 }, 'it is being stored')
    const bytes = chunk.frames!.map(({ buffer, length, count }) => ({
      bytes: buffer.slice(0, length),
      count,
    }))
    queue.stored(chunk, 1)
    assert.deepEqual(waits(out), { f: 20 }, 'on disk')
    queue.readBack(chunk, bytes)
    assert.deepEqual(waits(out), { f: 20 }, 'read back')
    for (const through of [1, 2, 3]) done(out, 'f', through)
    assert.deepEqual(waits(out), {})
  }
})

/** A lane of a gateway that started an hour ago, and a way to adopt a chunk of one frame that is as old as the gateway. */
function adopter() {
  const nowMs = 3_600_000
  const zero = { low: 0, high: 0 }
  const lane = new Lane({
    ...{ stream: 's', partitions: 1, consumer: 'f', spill: undefined, clock: new ManualClock(nowMs) },
    policy: { mode: 'enqueue', bytesMax: 1e6, ageMaxMs: 1e7 },
    stamp: { id: '', producer: zero, origin: zero, epoch: 1 },
    ...{ onMoved: () => undefined, onReading: () => undefined },
  })
  const adopt = (chunk: Uint8Array) => {
    const header = { flags: 0, partition: 0, producer: zero, origin: zero }
    stampHeader(chunk, { ...header, epoch: 1, count: 1, sequence: 0 })
    lane.adopt(0, chunk, nowMs, nowMs)
  }
  return { nowMs, queue: lane.queue, out: lane.partition(0), adopt }
}

test('what a gateway adopts is as old as its chunk, also behind what it has taken itself', () => {
  for (const make of [small, large]) {
    const { nowMs, queue, out, adopt } = adopter()
    out.add(make(), 1, nowMs)
    assert.deepEqual(waits(out), { f: nowMs })
    adopt(make())
    assert.deepEqual(waits(out), { f: 0 }, 'in the queue')
    const frames = make === small ? 1 : 2
    const chunk = queue.cut(0, nowMs)!
    assert.deepEqual([chunk.frames!.length, waits(out)], [frames, { f: 0 }], 'being stored')
    queue.stored(chunk, 1)
    out.add(make(), 1, nowMs)
    queue.readBack(chunk, [{ bytes: make(), count: 2 }])
    assert.deepEqual(waits(out), { f: 0 }, 'read back')
    credit(out, 'f', { ...fresh, windowBytes: 1 << 20 })
    assert.deepEqual(waits(out), { f: 0 }, 'sent')
    done(out, 'f', 2)
    assert.deepEqual(waits(out), { f: nowMs })
  }
})

test('what a gateway adopts is as old as its chunk in the window too', () => {
  for (const [make, windowBytes] of [
    [small, 1 << 20],
    [large, 1 << 20],
    [large, 1], // the window has room for its own frame only
  ] as const) {
    const { nowMs, out, adopt } = adopter()
    credit(out, 'f', { ...fresh, windowBytes })
    out.add(make(), 1, nowMs)
    adopt(make())
    assert.deepEqual(waits(out), { f: 0 })
    while (out.send(0));
    assert.deepEqual(waits(out), { f: 0 })
  }
})

test('what is adopted a second time is as old as it was, and was on disk only for the second time', async () => {
  const stored = Promise.withResolvers<{ chunk: Uint8Array; ageMs: number }>()
  const zero = { low: 0, high: 0 }
  const gateway = (clock: ManualClock): Lane =>
    new Lane({
      ...{ stream: 's', partitions: 1, consumer: 'f', clock },
      policy: { mode: 'enqueue', bytesMax: 1e6, ageMaxMs: 3_000 },
      stamp: { id: '', producer: zero, origin: zero, epoch: 1 },
      ...{ onMoved: () => undefined, onReading: () => undefined },
      spill: {
        put: async (_, chunk, ageMs) => {
          stored.resolve({ chunk, ageMs: ageMs() })
          return 1
        },
        take: () => new Promise(() => undefined),
      },
    })
  const chunk = small()
  const header = { flags: 0, partition: 0, producer: zero, origin: zero }
  stampHeader(chunk, { ...header, epoch: 1, count: 1, sequence: 0 })
  const clock = new ManualClock(50_000)
  const first = gateway(clock)
  first.adopt(0, chunk, 2_000, 2_000)
  first.partition(0).send(0) // its consumer has no owner
  clock.advance(storeAfterMs)
  const { ageMs, ...again } = await stored.promise
  assert.equal(ageMs, 2_000 + storeAfterMs)
  const second = gateway(new ManualClock(9_000))
  second.adopt(0, again.chunk, 1_000, 1_000 + ageMs)
  assert.deepEqual(waits(second.partition(0)), { f: 9_000 - 3_000 - storeAfterMs })
})

test('what was adopted is stored again no sooner than what was taken now', () => {
  const { nowMs, queue, adopt } = adopter()
  adopt(small())
  assert.equal(queue.isStoreDue(nowMs + storeAfterMs - 1), false)
  assert.equal(queue.isStoreDue(nowMs + storeAfterMs), true)
})
