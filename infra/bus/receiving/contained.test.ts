import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { frameOf } from '../../../sdk/wire/frame.ts'
import { ManualClock } from '../../clock.ts'
import {
  type Action,
  Bench,
  owned,
  record,
  runFromCheckpoint,
  stream,
  withCheckpoints,
} from '../channel-contract.ts'
import { originOf } from '../messages/origin.ts'
import { Producer } from '../sending/producer.ts'
import { SimNet } from '../wire/sim-net.ts'
import { Consumer } from './consumer.ts'
import { ContainedRecords, type StatePositions } from './contained.ts'
import type { InChannel } from './in-channel.ts'

for (const [what, setsAside] of [
  ['', () => false],
  [', records that were set aside among it', (number: number) => number % 5 === 3],
] as const)
  test(`Consumer counts exactly the records that restored state lacks${what}, and none takes effect on it twice`, async () => {
    let lostOnce = 0
    await fc.assert(
      fc.asyncProperty(fc.array(withCheckpoints, { minLength: 5, maxLength: 80 }), async (actions) => {
        const bench = new Bench(2, 16_384)
        bench.setsAside = setsAside
        await runFromCheckpoint(bench, actions as Action[])
        // One that is silent since its connection broke has not heard of the owner: what is lost counts when it speaks.
        for (const producer of [0, 1]) for (const partition of owned) bench.send(producer, partition, 1)
        await bench.settle()
        const sent = bench.producers.flatMap((each) => each.sent).reduce((sum, each) => sum + each, 0)
        const { stateLost } = bench.owner.consumer.ledger()[0]!
        assert.equal(stateLost, sent - bench.state.size)
        if (stateLost > 0) lostOnce++
      }),
      { numRuns: 500 },
    )
    assert.ok(lostOnce > 5, `${lostOnce} histories in which something was lost`)
  })

test('Consumer counts no record as lost that was for earlier consumers of the producer', async () => {
  const net = new SimNet()
  const clock = new ManualClock(1000)
  const wire = net.connect()
  const producer = new Producer({ wire, namespace: 'n', origin: originOf('n', 'p', 0), epoch: 1, clock })
  producer.setStream({ ...stream, consumers: [] })
  const send = (): void => producer.send('s', 0, frameOf([record(0, 0)]), 1)
  const deliver = async (): Promise<void> => {
    for (let i = 0; i < 50; i++) {
      while (net.step(0)) await Promise.resolve()
      clock.advance(300)
    }
  }
  for (let i = 0; i < 5; i++) send()
  await deliver()
  producer.setStream(stream)
  const contains = (): StatePositions => ({ lost: 3, positions: [] })
  const onFrames = (): void => undefined
  const consumer = new Consumer({
    wire: net.connect(),
    namespace: 'n',
    name: 'f',
    epoch: 1,
    clock,
    onFrames,
    contains,
  })
  consumer.own('s', [0])
  send()
  await deliver()
  assert.equal(consumer.queuedFrames, 1)
  const { stateLost, lost } = consumer.ledger()[0]!
  assert.deepEqual([stateLost, lost], [3, { 0: 3 }])
  assert.deepEqual(
    consumer.positions('s', 0).positions.map(({ through }) => through),
    [5],
  )
})

test('Consumer keeps what state contains of a producer whose channel it forgets: heard again, it has lost nothing', async () => {
  const net = new SimNet()
  const clock = new ManualClock(1000)
  const producers = [0, 1].map((index) => {
    const origin = originOf('n', 'p', index)
    const producer = new Producer({ wire: net.connect(), namespace: 'n', origin, epoch: 1, clock })
    producer.setStream(stream)
    return producer
  })
  const contains = (): StatePositions => ({ lost: 0, positions: [] })
  const consumer = new Consumer({
    ...{ wire: net.connect(), namespace: 'n', name: 'f', epoch: 1, clock, contains },
    onFrames: () => undefined,
  })
  consumer.own('s', [0])
  const hear = async (from: number): Promise<void> => {
    producers[from]!.send('s', 0, frameOf([record(from, 0)]), 1)
    for (let i = 0; i < 50; i++) {
      while (net.step(0)) await Promise.resolve()
      for (const frame of consumer.take(Number.POSITIVE_INFINITY))
        consumer.done(frame, frame.header.count - frame.skip)
      consumer.acknowledge()
      clock.advance(300)
    }
  }
  const through = (from: number): number | undefined =>
    consumer.positions('s', 0).positions.find(({ producer }) => producer === producers[from]!.id)?.through
  await hear(0)
  clock.advance(600_000)
  await hear(1)
  assert.deepEqual([through(0), through(1)], [1, 1], 'a checkpoint knows of both')
  await hear(0)
  assert.deepEqual([through(0), consumer.ledger()[0]!.stateLost], [2, 0])
})

test('ContainedRecords counts missing records only from where the function reads again', () => {
  const before = { producer: 'p', origin: 'o', epoch: 1, through: 10 }
  const contained = new ContainedRecords({ lost: 0, positions: [before] })
  assert.equal(contained.begin('p', { position: 65, from: 60 }), 65)
  assert.equal(contained.lost, 5, 'it reads again from 60 on')
})

test('ContainedRecords keeps the newest 1,000 silent producers, and passes on the live ones beside them (CR5)', () => {
  const channel = (producer: string, through: number) =>
    ({ producer, origin: producer, epoch: 1, expected: through, open: 0, through, aside: 0 }) as InChannel
  const gateways = Array.from({ length: 1_001 }, (_, start) => channel(`gateway-${start}`, 10))
  const contained = new ContainedRecords({ lost: 0, positions: [] })
  for (const gateway of gateways) contained.end(gateway)
  const named = ({ positions }: StatePositions): string[] => positions.map(({ producer }) => producer)
  const newest = gateways.slice(1).map(({ producer }) => producer)
  const left = contained.with([channel('live', 5)])
  assert.deepEqual(named(left), [...newest, 'live'])

  const next = new ContainedRecords(left)
  assert.deepEqual(named(next.with([])), [...newest.slice(1), 'live'])
  assert.equal(next.begin('gateway-1', { position: 10, from: 0 }), 10, 'what was passed on is known')
  assert.equal(next.lost, 0)
  assert.equal(next.begin('gateway-0', { position: 10, from: 0 }), 10, 'and the others are not done again')
  assert.equal(next.lost, 10)
})

test('ContainedRecords counts records as lost when their format is withdrawn, and not when it is settled (CR4)', () => {
  const contained = new ContainedRecords({ lost: 2, open: { format: 3, records: 5 }, positions: [] })
  contained.useFormat({ own: 3, kept: 1 })
  contained.addOpen(3, 4)
  assert.deepEqual(contained.with([]), { lost: 2, open: { format: 3, records: 9 }, positions: [] })
  contained.useFormat({ own: 1, kept: 1 })
  assert.deepEqual(contained.with([]), { lost: 11, positions: [] }, 'its version has gone')
  contained.addOpen(4, 3)
  contained.useFormat({ own: 4, kept: 4 })
  contained.useFormat({ own: 5, kept: 4 })
  assert.deepEqual(contained.with([]), { lost: 11, positions: [] }, 'it was settled')
  contained.addOpen(5, 2)
  contained.useFormat({ own: 6, kept: 4 })
  assert.deepEqual(contained.with([]), { lost: 13, positions: [] }, 'another one was begun')
})

test('ContainedRecords keeps what a format has that was promoted unheard, and the next one is begun over (CR4)', () => {
  const contained = new ContainedRecords({ lost: 1, open: { format: 2, records: 5 }, positions: [] })
  contained.useFormat({ own: 4, kept: 2 })
  assert.deepEqual(contained.with([]), { lost: 1, positions: [] })
})

test('ContainedRecords keeps what a format has that was promoted unheard, also if others were since (CR4)', () => {
  const lostWith = (before: readonly number[]): number => {
    const contained = new ContainedRecords({ lost: 1, open: { format: 2, records: 5 }, positions: [] })
    contained.useFormat({ own: 4, kept: 4, before })
    return contained.lost
  }
  assert.deepEqual([lostWith([1, 2, 3]), lostWith([1, 3])], [1, 6])
})

test('ContainedRecords counts records of a withdrawn format as lost also for a partition that came later (CR4)', () => {
  const contained = new ContainedRecords({ lost: 0, open: { format: 2, records: 5 }, positions: [] })
  contained.useFormat(undefined) // a canary is at work, and was when all were told of its format
  contained.addOpen(3, 1)
  assert.deepEqual(contained.with([]), { lost: 5, open: { format: 3, records: 1 }, positions: [] })
})
