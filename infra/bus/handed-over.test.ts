/** What a handover costs on the wire: each message of it lies in the gap (docs/design/0011-handover.md). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { frameOf } from '../../sdk/frame.ts'
import { ManualClock } from '../clock.ts'
import { record, stream } from './channel-contract.ts'
import { Consumer } from './consumer.ts'
import { originOf } from './origin.ts'
import { Producer } from './producer.ts'
import { type SimClient, SimNet } from './sim-net.ts'

class Bench {
  readonly net = new SimNet()
  readonly clock = new ManualClock()
  readonly wire: SimClient = this.net.connect()
  readonly producer = new Producer({
    ...{ wire: this.wire, namespace: 'n', origin: originOf('n', 'p', 0), epoch: 1, clock: this.clock },
  })
  /** Subjects of what the producer has published. */
  readonly said: string[] = []

  constructor() {
    const { publish } = this.wire
    this.wire.publish = (subject, bytes) => {
      this.said.push(subject)
      publish.call(this.wire, subject, bytes)
    }
    this.producer.setStream(stream)
  }

  consumer(epoch: number): Consumer {
    const { net, clock } = this
    const options = { wire: net.connect(), namespace: 'n', name: 'f', epoch, clock }
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

test('what waits for a new owner is sent to it once', async () => {
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

test('what is sent again after a reconnect is sent once', async () => {
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

test('a claim is answered for the partitions that it names', async () => {
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

test('who is going to claim partitions is answered for all of them', async () => {
  const bench = new Bench()
  bench.send(0, 1)
  bench.send(1, 1)
  bench.said.length = 0
  bench.consumer(1).await('s', [0, 1])
  await bench.settle()
  assert.deepEqual([...new Set(bench.said)], ['concord.n.s.s.0', 'concord.n.s.s.1'])
})

test('a producer that was opened sends its first frame at once, and says nothing on other streams', async () => {
  const bench = new Bench()
  bench.producer.setStream({ ...stream, name: 'input' })
  bench.consumer(1).own('s', [0, 1])
  bench.producer.open(['s'])
  await bench.settle()
  assert.deepEqual([...new Set(bench.said)], ['concord.n.s.s.0', 'concord.n.s.s.1'])
  bench.send(0, 1)
  assert.equal(bench.producer.heldBytes, 0)
})

test('owners are asked once whether they have accepted, however many wait for it', async () => {
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
