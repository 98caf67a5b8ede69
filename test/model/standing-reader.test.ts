import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Consumer, originOf, Producer } from '../../infra/bus/index.ts'
import { SimNet } from '../../infra/bus/wire/sim-net.ts'
import { ManualClock } from '../../infra/clock.ts'
import type { OutputLedger } from '../../infra/control/messages/accounts.ts'
import type { FunctionAssignment, InstanceAssignment } from '../../infra/control/messages/assignment.ts'
import type { StreamDescriptor } from '../../infra/control/messages/streams.ts'
import type { ShareImage } from '../../runner/checkpoint/share-image.ts'
import type { StateKeeper } from '../../runner/checkpoint/state-keeper.ts'
import { ShareMover } from '../../runner/handover/share-mover.ts'
import { nothing, working } from '../../runner/handover/testing.ts'
import { frameOf } from '../../sdk/wire/frame.ts'

const keyed = { partitions: 2, keyed: true }
const input: StreamDescriptor = {
  ...{ name: 'in', ...keyed },
  consumers: [{ name: 'f', backPressure: 'block' }],
}
const queued: StreamDescriptor = { ...input, consumers: [{ name: 'f', backPressure: 'dropTail' }] }
const output: StreamDescriptor = {
  ...{ name: 'out', ...keyed },
  consumers: [{ name: 'reader', backPressure: 'block' }],
}
const assigned = {
  ...{ function: 'f', groupings: { in: 'groupBy' }, manifest: { ostreams: ['out'] } },
  streams: { in: input, out: output },
} as never as FunctionAssignment
const first = {
  ...{ id: 'f-0', function: 'f', index: 0, epoch: 1, partitions: { in: [0, 1] } },
  giving: [{ share: 1, epoch: 2 }],
} as InstanceAssignment
const ask = { schema: 1, instance: 'f-0', share: 1, epoch: 2, ready: true, owner: 'a'.repeat(16) } as const

/**
 * An instance that has put out one record of the share that it is to give, with real channels; the reader of the outputs stands still.
 * @param input What it reads; if that queues, it is also what it puts out: the reader is itself.
 */
async function standing(input: StreamDescriptor, keeper?: Partial<StateKeeper>) {
  const isCycle = input === queued
  const net = new SimNet()
  const clock = new ManualClock(1_000)
  const common = { namespace: 'n', epoch: 1, clock }
  const wire = net.connect()
  const producer = new Producer({ ...common, wire, origin: originOf('n', 'f', 0) })
  const source = { ...common, wire: net.connect(), origin: originOf('n', 'p', 0) }
  const upstream = isCycle ? producer : new Producer(source)
  const consumer = new Consumer({ ...common, wire, name: 'f', hasLane: () => isCycle, onFrames: nothing })
  upstream.setStream(input)
  producer.setStream(output)
  const mover = new ShareMover(
    working({ clock, consumer, producer, keeper: keeper as StateKeeper }),
    assigned,
    first,
  )
  mover.start()
  const pass = async (ms = 0): Promise<void> => {
    for (let passed = 0; passed <= ms; passed += 500) {
      clock.advance(ms === 0 ? 0 : 500)
      for (let round = 0; round < 5; round++) {
        while (net.step(0));
        await turn()
      }
    }
  }
  const one = (): Uint8Array =>
    frameOf([{ key: new Uint8Array(), value: new Uint8Array(), timeMs: clock.nowMs() }])
  upstream.send('in', 1, one(), 1)
  await pass()
  for (const frame of consumer.take(1e6)) consumer.done(frame, 1)
  producer.send(isCycle ? 'in' : 'out', 1, one(), 1)
  await mover.answer(ask)
  const given = mover.answer(ask)
  await pass()
  assert.deepEqual(mover.instance.partitions, { in: [0] }, 'it is at rest')
  return { mover, producer, upstream, pass, given }
}

function rowOf(upstream: Producer): OutputLedger {
  return upstream.ledger().find(({ consumer }) => consumer === 'f')!
}

/** Two assignments, one after the other as they are applied: the share goes for good, and so does the reader. */
function reassign(mover: ShareMover, producer: Producer): { readonly applied: string[] } {
  const applied: string[] = []
  const without = { ...first, giving: [], partitions: { in: [0] } }
  void (async () => {
    await mover.reassign(assigned, { ...without, epoch: 3 })
    applied.push('the share is gone')
    producer.setStream({ ...output, consumers: [] })
    await mover.reassign(assigned, { ...without, epoch: 4 })
    applied.push('the reader is gone')
  })()
  return { applied }
}

test('ShareMover: a share that nobody awaits any more does not hold up the assignment that removes the reader for which it waits (SM2)', async () => {
  const { mover, producer, upstream, pass } = await standing(input)
  await pass(60_000)
  assert.equal(rowOf(upstream).acked, 0, 'as long as somebody awaits it, it waits for the reader')
  const { applied } = reassign(mover, producer)
  await pass(3_000)
  assert.deepEqual(applied, [])
  await pass(2_000)
  assert.deepEqual(applied, ['the share is gone', 'the reader is gone'])
  const { acked, dropped } = rowOf(upstream)
  assert.deepEqual([acked, dropped], [1, { undelivered: 1 }], 'its output is only here')
})

test('ShareMover: nor does one whose state the store does not take', async () => {
  const image = {} as ShareImage
  let rests = false
  const { mover, producer, upstream, pass } = await standing(input, {
    ...{ keep: nothing, close: nothing, letGo: nothing },
    rest: () => {
      rests = true
    },
    image: () => (rests ? undefined : image), // it has changed too much since
    prepare: async () => !rests,
    untold: (_, partition) => partition === 1,
  })
  const { applied } = reassign(mover, producer)
  await pass(3_000)
  assert.deepEqual(applied, [])
  await pass(4_000)
  assert.deepEqual(applied, ['the share is gone', 'the reader is gone'])
  assert.deepEqual(rowOf(upstream).dropped, { undelivered: 1 })
})

test('ShareMover gives a share of a function that reads its own outputs, though nobody can accept what is on its way to that share', async () => {
  const { mover, upstream, pass, given } = await standing(queued)
  await pass(500)
  assert.deepEqual(await given, { ok: false, code: 'ERR_MOVE_NOT_YET' })
  const again = mover.answer(ask)
  await pass()
  await pass(500)
  const answer = await again
  assert.ok(answer.ok)
  assert.deepEqual(
    answer.left!.channels.map(({ through }) => through),
    [1],
    'the next owner gets what was on its way',
  )
  assert.equal(rowOf(upstream).unaccounted, 0)
})
