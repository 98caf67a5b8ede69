import assert from 'node:assert/strict'
import { test } from 'node:test'
import { frameOf } from '../../../sdk/wire/frame.ts'
import { ManualClock } from '../../clock.ts'
import { record, stream } from '../channel-contract.ts'
import { originOf } from '../messages/origin.ts'
import { Consumer } from '../receiving/consumer.ts'
import { SimNet } from '../wire/sim-net.ts'
import { Producer } from './producer.ts'

test('a producer learns within tens of milliseconds that a busy owner has accepted, whatever other owners say meanwhile', async () => {
  const net = new SimNet()
  const clock = new ManualClock()
  const consumers = ['busy', 'quick'].map((name) => ({ name, backPressure: 'block' as const }))
  const producer = new Producer({
    ...{ wire: net.connect(), namespace: 'n', origin: originOf('n', 'p', 0), epoch: 1, clock },
  })
  producer.setStream({ ...stream, consumers })
  const [, quick] = consumers.map(({ name }) => {
    const options = { wire: net.connect(), namespace: 'n', name, epoch: 1, clock, onFrames: () => undefined }
    const consumer = new Consumer(options)
    consumer.own('s', [0])
    return consumer
  })
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 20; turn++) {
      while (net.step(0));
      await Promise.resolve()
    }
  }
  const send = (): void => producer.send('s', 0, frameOf([record(0, 0)]), 1)
  producer.open(['s'])
  await settle()
  send() // the busy one is at it for a minute
  let isSafe = false
  void producer.safe().then(() => {
    isSafe = true
  })
  for (let ms = 0; ms < 50; ms += 10) {
    await settle()
    for (const frame of quick!.take(1e6)) quick!.done(frame, frame.header.count)
    quick!.acknowledge()
    await settle()
    clock.advance(10)
    send()
  }
  await settle()
  assert.ok(isSafe)
})

test('what queues holds back nobody who waits for outputs to be accepted: its owner may have ended (MS2)', async () => {
  const net = new SimNet()
  const clock = new ManualClock()
  const common = { namespace: 'n', epoch: 1, clock }
  const producer = new Producer({ ...common, wire: net.connect(), origin: originOf('n', 'p', 0) })
  producer.setStream({ ...stream, consumers: [{ name: 'queues', backPressure: 'dropTail' }] })
  const consumer = new Consumer({
    ...{ ...common, wire: net.connect(), name: 'queues', hasLane: () => true, onFrames: () => undefined },
  })
  consumer.own('s', [0])
  let accepted = 0
  const send = (): void => {
    producer.send('s', 0, frameOf([record(0, 0)]), 1)
    void producer.accepted().then(() => {
      accepted += 1
    })
  }
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 20; turn++) {
      while (net.step(0));
      await Promise.resolve()
    }
  }
  send()
  await settle()
  assert.equal(accepted, 1, 'at once, where its owner is there')
  consumer.close()
  send()
  await settle()
  clock.advance(499)
  await settle()
  assert.equal(accepted, 1)
  clock.advance(1)
  await settle()
  assert.equal(accepted, 2)
})

test('who waits for outputs to be safe learns that the producer was closed before they were', async () => {
  const producer = new Producer({
    ...{ wire: new SimNet().connect(), namespace: 'n', origin: originOf('n', 'p', 0), epoch: 1 },
    clock: new ManualClock(),
  })
  producer.setStream({ ...stream, consumers: [{ name: 'away', backPressure: 'block' }] })
  producer.send('s', 0, frameOf([record(0, 0)]), 1)
  const safe = producer.safe()
  await producer.close(AbortSignal.abort())
  assert.equal(await safe, false)
})

test('a record that waits to be stored is safe once it is stored, whatever came since', async () => {
  const stored: ((sequence: number) => void)[] = []
  const clock = new ManualClock()
  const producer = new Producer({
    ...{ wire: new SimNet().connect(), namespace: 'n', origin: originOf('n', 'p', 0), epoch: 1, clock },
    spill: {
      put: () => new Promise((resolve) => stored.push(resolve)),
      take: () => new Promise(() => undefined),
    },
  })
  producer.setStream({ ...stream, consumers: [{ name: 'f', backPressure: 'enqueue' }] })
  const send = (): void => producer.send('s', 0, frameOf([record(0, 0)]), 1)
  send()
  clock.advance(500)
  assert.equal(stored.length, 1)
  assert.equal(producer.isSent, false, 'who leaves now would lose it')
  let isSafe = false
  void producer.safe().then(() => {
    isSafe = true
  })
  send() // and it goes on like that: there is always something to be stored
  for (let turn = 0; turn < 5; turn++) await Promise.resolve()
  assert.ok(!isSafe)
  stored[0]!(1)
  for (let turn = 0; turn < 5; turn++) await Promise.resolve()
  assert.ok(isSafe)
})
