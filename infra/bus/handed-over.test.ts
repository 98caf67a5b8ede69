/** What a handover costs on the wire: each message of it lies in the gap (docs/design/0011-handover.md). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { frameOf, parseFrame } from '../../sdk/wire/frame.ts'
import { ManualClock } from '../clock.ts'
import { record, stream } from './channel-contract.ts'
import { originOf } from './messages/origin.ts'
import { Consumer } from './receiving/consumer.ts'
import type { TakenFrame } from './receiving/in-queue.ts'
import { Producer } from './sending/producer.ts'
import { giveBackMemory, takeMemory } from './wire/frame-memory.ts'
import { type SimClient, SimNet } from './wire/sim-net.ts'

class Bench {
  readonly net = new SimNet()
  readonly clock = new ManualClock()
  readonly wire: SimClient = this.net.connect()
  readonly producer: Producer
  /** Subjects of what the producer has published. */
  readonly said: string[] = []

  constructor(isFirst = false) {
    const { wire, clock } = this
    const origin = originOf('n', 'p', 0)
    this.producer = new Producer({ wire, namespace: 'n', origin, epoch: 1, clock, isFirst })
    const { publish } = this.wire
    this.wire.publish = (subject, bytes) => {
      this.said.push(subject)
      publish.call(this.wire, subject, bytes)
    }
    this.producer.setStream(stream)
  }

  consumer(epoch: number, wire = this.net.connect()): Consumer {
    const { clock } = this
    const options = { wire, namespace: 'n', name: 'f', epoch, clock }
    return new Consumer({ ...options, onFrames: () => undefined })
  }

  send(partition: number, count: number): void {
    this.producer.send('s', partition, frameOf(Array.from({ length: count }, (_, i) => record(0, i))), count)
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < 20; turn++) {
      while (this.net.step(0));
      await Promise.resolve()
    }
  }
}

test('frames that wait for a new owner are sent to it once', async () => {
  const bench = new Bench()
  const giver = bench.consumer(1)
  giver.own('s', [0])
  bench.send(0, 3)
  await bench.settle()
  giver.suspend('s', [0])
  for (let i = 0; i < 5; i++) bench.send(0, 3) // sent to the giver, which drops them
  await bench.settle()
  const left = giver.release('s', [0])
  await bench.settle()
  for (let i = 0; i < 5; i++) bench.send(0, 3)
  const taker = bench.consumer(2)
  taker.own('s', [0], 2, left)
  await bench.settle()
  const { received, repeats } = taker.ledger()[0]!
  assert.deepEqual({ received, repeats }, { received: 33, repeats: 0 })
})

test('frames are sent again only once after a reconnect', async () => {
  const bench = new Bench()
  const consumer = bench.consumer(1)
  consumer.own('s', [0])
  bench.send(0, 3)
  await bench.settle()
  bench.wire.break()
  for (let i = 0; i < 5; i++) bench.send(0, 3) // lost on the wire
  bench.wire.reconnect()
  await bench.settle()
  const { received, repeats } = consumer.ledger()[0]!
  assert.deepEqual({ received, repeats }, { received: 18, repeats: 3 }, 'the first three were not done yet')
})

test('a claim is answered only for the partitions that it names', async () => {
  const bench = new Bench()
  bench.send(0, 1)
  bench.send(1, 1)
  const owner = bench.consumer(1)
  owner.own('s', [0])
  await bench.settle()
  bench.said.length = 0
  owner.own('s', [1])
  await bench.settle()
  assert.deepEqual([...new Set(bench.said)], ['concord.n.s.s.1'])
})

test('an owner that awaits partitions gets an answer for all of them', async () => {
  const bench = new Bench()
  bench.send(0, 1)
  bench.send(1, 1)
  bench.said.length = 0
  bench.consumer(1).await('s', [0, 1])
  await bench.settle()
  assert.deepEqual([...new Set(bench.said)], ['concord.n.s.s.0', 'concord.n.s.s.1'])
})

test('a producer whose stream was opened sends its first frame at once, and nothing on other streams', async () => {
  const bench = new Bench()
  bench.producer.setStream({ ...stream, name: 'input' })
  bench.consumer(1).own('s', [0, 1])
  bench.producer.open(['s'])
  await bench.settle()
  assert.deepEqual([...new Set(bench.said)], ['concord.n.s.s.0', 'concord.n.s.s.1'])
  bench.send(0, 1)
  assert.equal(bench.producer.heldBytes, 0)
})

test('owners are asked once what they have accepted, however many callers wait for it', async () => {
  const bench = new Bench()
  const owner = bench.consumer(1)
  owner.own('s', [0, 1])
  bench.producer.open(['s'])
  await bench.settle()
  bench.send(0, 3)
  bench.send(1, 3)
  bench.said.length = 0
  const all = Promise.all(Array.from({ length: 8 }, () => bench.producer.accepted()))
  assert.equal(bench.said.length, 2)
  await bench.settle()
  await all
})

/** A giver that has done three records and stands still, a taker that hears what passes, and three more that the giver drops. */
async function standing(bench: Bench, giverWire = bench.net.connect()) {
  const [giver, taker] = [bench.consumer(1, giverWire), bench.consumer(2)]
  giver.own('s', [0])
  taker.await('s', [0])
  await bench.settle()
  bench.send(0, 3)
  await bench.settle()
  for (const frame of giver.take(1000)) giver.done(frame, 3)
  giver.acknowledge()
  giver.suspend('s', [0])
  bench.send(0, 3)
  await bench.settle()
  return { giver, taker, next: { owner: taker.owner, epoch: 2 } }
}

function unaccounted({ producer }: Bench): number {
  return producer.ledger().find(({ consumer }) => consumer === 'f')!.unaccounted
}

test('frames heard while a partition is awaited are not sent again, and the next owner gets frames sent before its claim', async () => {
  const bench = new Bench()
  const { giver, taker, next } = await standing(bench)
  const left = giver.release('s', [0], next)
  await bench.settle()
  bench.send(0, 3)
  assert.equal(bench.producer.heldBytes, 0, 'it is sent to the next owner')
  await bench.settle()
  taker.own('s', [0], 2, left)
  assert.equal(taker.queuedFrames, 2, 'nothing has to come first')
  bench.said.length = 0
  await bench.settle()
  bench.send(0, 3)
  await bench.settle()
  const { received, repeats } = taker.ledger()[0]!
  assert.deepEqual({ received, repeats }, { received: 9, repeats: 0 })
  assert.equal(
    bench.said.filter((subject) => subject === 'concord.n.s.s.0').length,
    2,
    'a beacon and a frame',
  )
})

test('frames heard while awaiting are not used if one before them is missing, and all are sent again', async () => {
  const bench = new Bench()
  const [giver, taker] = [bench.consumer(1), bench.consumer(2)]
  giver.own('s', [0])
  bench.send(0, 3) // before anybody else listens
  await bench.settle()
  taker.await('s', [0])
  await bench.settle()
  bench.send(0, 3)
  await bench.settle()
  giver.suspend('s', [0])
  const left = giver.release('s', [0], { owner: taker.owner, epoch: 2 })
  taker.own('s', [0], 2, left)
  assert.equal(taker.queuedFrames, 0)
  await bench.settle()
  const { received, gaps } = taker.ledger()[0]!
  assert.deepEqual({ received, gaps }, { received: 6, gaps: 0 })
})

test("records that were left to be sent again are in nobody's hand once their producer is gone", async () => {
  const bench = new Bench()
  const [giver, taker] = [bench.consumer(1), bench.consumer(2)]
  giver.own('s', [0])
  bench.send(0, 3)
  await bench.settle()
  giver.suspend('s', [0])
  bench.wire.break()
  taker.own('s', [0], 2, giver.release('s', [0]))
  await bench.settle()
  const gone = [{ name: 'p', index: 0, firstEpoch: 1, epoch: 1 }]
  const [row] = taker.account(gone).received!
  assert.deepEqual([row!.sent, row!.acked, row!.inHand], [3, 0, 0])
})

test('an owner answers for each of two producers of one slot that were killed one after the other', async () => {
  const bench = new Bench()
  const owner = bench.consumer(1)
  owner.own('s', [0])
  bench.send(0, 3)
  await bench.settle()
  const origin = originOf('n', 'p', 0)
  const next = new Producer({
    wire: bench.net.connect(),
    namespace: 'n',
    origin,
    epoch: 2,
    clock: bench.clock,
  })
  next.setStream(stream)
  next.fence()
  next.send('s', 0, frameOf([record(0, 0), record(0, 1)]), 2)
  await bench.settle()
  const gone = [1, 2].map((epoch) => ({ name: 'p', index: 0, firstEpoch: epoch, epoch }))
  for (const asked of [gone, gone.toReversed()]) {
    const rows = owner.account(asked).received!.map(({ epoch, sent, inHand }) => ({ epoch, sent, inHand }))
    assert.deepEqual(
      rows.toSorted((a, b) => a.epoch - b.epoch),
      [
        { epoch: 1, sent: 3, inHand: 3 },
        { epoch: 2, sent: 2, inHand: 2 },
      ],
    )
  }
})

test('a named next owner that ends before its claim has touched nothing', async () => {
  const bench = new Bench()
  const { giver, taker, next } = await standing(bench)
  giver.release('s', [0], next)
  await bench.settle()
  bench.send(0, 3)
  await bench.settle()
  taker.close()
  const another = bench.consumer(3)
  another.own('s', [0])
  await bench.settle()
  assert.equal(another.ledger()[0]!.received, 6)
  assert.equal(unaccounted(bench), 0)
})

test('a named next owner that is killed takes along nothing that was only in its queue', async () => {
  const bench = new Bench(true)
  const { giver, taker, next } = await standing(bench)
  taker.own('s', [0], 2, giver.release('s', [0], next))
  assert.equal(taker.queuedFrames, 1)
  await bench.settle()
  taker.close()
  const another = bench.consumer(3)
  another.own('s', [0])
  await bench.settle()
  assert.equal(another.ledger()[0]!.received, 3)
  assert.equal(unaccounted(bench), 0)
})

test('a giver whose last credit is lost changes nothing', async () => {
  const bench = new Bench()
  const wire = bench.net.connect()
  const { giver, taker, next } = await standing(bench, wire)
  wire.break()
  const left = giver.release('s', [0], next)
  taker.own('s', [0], 2, left)
  await bench.settle()
  bench.send(0, 3)
  await bench.settle()
  const { received, repeats } = taker.ledger()[0]!
  assert.deepEqual({ received, repeats }, { received: 6, repeats: 0 })
})

test('records that a named next owner has processed are not sent to another, even if the producer missed its credit', async () => {
  const bench = new Bench()
  const { giver, taker, next } = await standing(bench)
  const left = giver.release('s', [0], next)
  await bench.settle()
  bench.wire.break()
  taker.own('s', [0], 2, left)
  assert.equal(taker.take(1000).length, 1)
  await bench.settle()
  taker.close()
  bench.wire.reconnect()
  const another = bench.consumer(3)
  another.own('s', [0])
  await bench.settle()
  assert.equal(another.ledger()[0]!.received, 0)
  assert.equal(unaccounted(bench), 3)
})

test('an owner that was not named to the producers does not use frames that it heard while awaiting', async () => {
  const bench = new Bench()
  const { giver, taker } = await standing(bench)
  taker.own('s', [0], 2, giver.release('s', [0]))
  assert.equal(taker.queuedFrames, 0)
  await bench.settle()
  assert.equal(taker.ledger()[0]!.received, 3)
})

test('frames that came with a partition are taken first, alone, and in order', async () => {
  const bench = new Bench()
  const { giver, taker, next } = await standing(bench)
  taker.own('s', [1])
  bench.send(1, 5)
  await bench.settle()
  taker.own('s', [0], 2, giver.release('s', [0], next))
  await bench.settle()
  bench.send(0, 4)
  await bench.settle()
  const taken = (frames: readonly TakenFrame[]) =>
    frames.map(({ partition, header }) => [partition, header.sequence])
  assert.equal(taker.queuedFrames, 3)
  assert.deepEqual(taken(taker.takeMoved()), [[0, 3]])
  assert.deepEqual(taken(taker.takeMoved()), [])
  assert.deepEqual(taken(taker.take(1000)), [
    [1, 0],
    [0, 6],
  ])
})

test('the memory of unused frames is given back', async () => {
  const bench = new Bench()
  const wire = bench.net.connect()
  const { subscribe } = wire
  const heard: Uint8Array[] = []
  wire.subscribe = (subject, receive) =>
    subscribe.call(wire, subject, (bytes, on) => {
      const memory = takeMemory(bytes.length)
      memory.set(bytes)
      if (on.startsWith('concord.n.s.s.') && parseFrame(memory).count > 0) heard.push(memory)
      receive(memory, on)
    })
  const taker = bench.consumer(2, wire)
  const giver = bench.consumer(1)
  giver.own('s', [0, 1])
  taker.await('s', [0, 1])
  await bench.settle()
  bench.send(0, 3)
  bench.send(1, 3)
  await bench.settle()
  const passed = heard.splice(0)
  assert.equal(passed.length, 2)
  giver.close()
  taker.own('s', [0], 3) // the giver was killed
  taker.release('s', [1]) // and this one goes elsewhere
  for (const memory of passed) assert.throws(() => giveBackMemory(memory), /twice/)
})
