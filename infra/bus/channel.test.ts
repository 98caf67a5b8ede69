import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { frameOf, parseId64 } from '../../sdk/wire/frame.ts'
import { ManualClock } from '../clock.ts'
import { type Action, action, Bench, record, run, stream, withOwners } from './channel-contract.ts'
import { encodeBeacon } from './messages/beacon.ts'
import { decodeCredit, encodeCredit } from './messages/credit.ts'
import { originOf } from './messages/origin.ts'
import { budgetFor } from './messages/windows.ts'
import { Consumer } from './receiving/consumer.ts'
import { attemptsAt, nextOf, rememberAttempts } from './receiving/in-queue.ts'
import { Producer } from './sending/producer.ts'
import { SimNet } from './wire/sim-net.ts'

test('channels lose nothing, repeat nothing and keep order through broken connections', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 5, maxLength: 80 }), async (actions) => {
      const bench = new Bench(2, 16_384)
      await run(bench, actions as Action[], async () => undefined)
      await bench.settle()
      for (const [index, { producer, sent }] of bench.producers.entries()) {
        for (const partition of [0, 1]) {
          const seen = bench.seen.get(`${index} ${partition}`) ?? []
          assert.deepEqual(
            seen,
            Array.from({ length: sent[partition]! }, (_, i) => i),
          )
        }
        const row = producer.ledger().find((r) => r.consumer === 'f')!
        assert.equal(row.acked, sent[0]! + sent[1]!)
        assert.equal(row.unaccounted, 0)
      }
    }),
    { numRuns: 1000 },
  )
})

test('channels account exactly for owners that leave or are killed', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(withOwners, { minLength: 5, maxLength: 80 }), async (actions) => {
      const bench = new Bench(2, 16_384)
      await run(bench, actions as Action[], async (how) => {
        await bench.endOwner(how)
        bench.newOwner()
      })
      await bench.settle()
      for (const [index, { producer, sent }] of bench.producers.entries()) {
        const row = producer.ledger().find((r) => r.consumer === 'f')!
        assert.equal(row.sent, sent[0]! + sent[1]!)
        assert.equal(row.sent, row.acked + row.unaccounted)
        let processed = 0
        for (const partition of [0, 1]) {
          const seen = bench.seen.get(`${index} ${partition}`) ?? []
          for (let i = 1; i < seen.length; i++)
            assert.ok(seen[i]! > seen[i - 1]!, `order and no repeat: ${seen}`)
          processed += seen.length
        }
        assert.ok(
          row.sent - processed <= row.unaccounted,
          `missing ${row.sent - processed}, unaccounted ${row.unaccounted}`,
        )
      }
    }),
    { numRuns: 1000 },
  )
})

test('channels account exactly for records that are set aside, whichever process is killed', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(withOwners, { minLength: 5, maxLength: 80 }), async (actions) => {
      const bench = new Bench(2, 16_384)
      bench.setsAside = (number) => number % 5 === 3
      let killed = false
      await run(bench, actions as Action[], async (how) => {
        for (const { producer, sent } of bench.producers) {
          const [row] = producer.ledger()
          const known = row!.acked + row!.unaccounted
          assert.ok(known <= sent[0]! + sent[1]!)
        }
        killed ||= how === 'kill'
        await bench.endOwner(how)
        bench.newOwner()
      })
      await bench.settle()
      for (const [index, { producer, sent }] of bench.producers.entries()) {
        const row = producer.ledger().find((r) => r.consumer === 'f')!
        assert.equal(row.sent, sent[0]! + sent[1]!)
        assert.equal(row.sent, row.acked + row.unaccounted, 'nothing is in flight any more')
        const seen = [0, 1].map((partition) => bench.seen.get(`${index} ${partition}`) ?? [])
        for (const list of seen) {
          assert.equal(new Set(list).size, list.length, `nothing twice: ${list}`)
          const others = list.filter((number) => !bench.setsAside(number))
          assert.deepEqual(
            others,
            others.toSorted((a, b) => a - b),
            'what was not set aside keeps its order',
          )
        }
        const missing = row.sent - seen[0]!.length - seen[1]!.length
        assert.ok(missing <= row.unaccounted, `missing ${missing}, unaccounted ${row.unaccounted}`)
        if (!killed && !actions.some(({ kind }) => kind === 'break')) assert.equal(row.unaccounted, 0)
      }
    }),
    { numRuns: 700 },
  )
})

test('a record that was set aside does not stay in flight when the last words of its owner are lost with the connection', async () => {
  const bench = new Bench(2)
  bench.setsAside = (number) => number === 3
  bench.send(0, 1, 4)
  await bench.deliver(1000, 0)
  bench.process(4)
  const { client, producer } = bench.producers[0]!
  const row = () => producer.ledger().find(({ consumer }) => consumer === 'f')!
  for (let round = 0; round < 10 && row().acked < 3; round++) {
    bench.drainSink()
    bench.clock.advance(300)
    await bench.deliver(1000, round)
  }
  assert.equal(row().acked, 3, 'one is set aside')
  client.break() // unnoticed: the owner's credits go nowhere
  await bench.endOwner('leave')
  bench.newOwner()
  await bench.deliver(1000, 1)
  client.notice()
  await bench.settle()
  assert.deepEqual([row().sent, row().acked, row().unaccounted], [4, 3, 1])
})

test('a killed owner takes along only what it has touched: what was in its queue goes to the next owner', async () => {
  const bench = new Bench(1)
  bench.send(0, 0, 1)
  await bench.settle()
  for (let frame = 0; frame < 10; frame++) {
    bench.send(0, 0, 5)
    await bench.deliver(1000, frame)
  }
  assert.equal(bench.owner.consumer.queuedFrames, 10, 'all is accepted')
  bench.process(1)
  const touched = 5 * (10 - bench.owner.consumer.queuedFrames)
  await bench.deliver(1000, 1)
  await bench.endOwner('kill')
  bench.newOwner()
  await bench.settle()
  const row = bench.producers[0]!.producer.ledger().find(({ consumer }) => consumer === 'f')
  assert.ok(touched > 0 && touched < 50, `${touched}`)
  assert.equal(row!.unaccounted, touched)
  assert.equal(row!.acked, 51 - touched)
  assert.deepEqual(bench.seen.get('0 0')!.slice(-5), [46, 47, 48, 49, 50])
})

test('Consumer.mark leaves out held partitions, which are acknowledged when they are released', async () => {
  const bench = new Bench(1)
  const acked = async (): Promise<number | undefined> => {
    bench.clock.advance(10)
    await bench.deliver(1000, 1)
    return bench.producers[0]!.producer.ledger().find((row) => row.consumer === 'f')?.acked
  }
  await bench.settle()
  const { consumer } = bench.owner
  for (const partition of [0, 1]) bench.send(0, partition, 3)
  await acked()
  for (const frame of consumer.take(10_000)) consumer.done(frame, 3)
  consumer.acknowledge(consumer.mark((_, partition) => partition === 1))
  assert.equal(await acked(), 3)
  consumer.suspend('s', [1])
  consumer.release('s', [1])
  assert.equal(await acked(), 6)
})

test('Consumer.release tells the next owner how often the current record was tried, without the producer', async () => {
  const bench = new Bench(1)
  bench.send(0, 0, 3)
  await bench.settle()
  bench.process(0)
  await bench.deliver(1000, 1)
  const { consumer: giver } = bench.owner
  bench.send(0, 0, 2)
  await bench.deliver(1000, 1)
  const [frame] = giver.take(1000)
  rememberAttempts(frame!, 2)
  giver.suspend('s', [0])
  const left = giver.release('s', [0])
  assert.deepEqual(
    left.channels.map(({ through, attempts }) => [through, attempts]),
    [[3, 2]],
  )
  const taker = new Consumer({
    ...{ wire: bench.net.connect(), namespace: 'n', name: 'f', epoch: 2, clock: bench.clock },
    onFrames: () => undefined,
    onSuperseded: () => undefined,
  })
  taker.own('s', [0], 2, left)
  assert.equal(taker.hasTried, true)
  await bench.deliver(1000, 1)
  bench.clock.advance(1000)
  await bench.deliver(1000, 1)
  const [again] = taker.take(1000)
  assert.deepEqual([nextOf(again!), attemptsAt(again!)], [3, 2])
  taker.done(again!, 1)
  assert.deepEqual([attemptsAt(again!), taker.hasTried], [0, false])
})

test('Consumer refuses frames with a lower epoch than the highest known of their origin', async () => {
  const bench = new Bench(1)
  bench.send(0, 0, 3)
  await bench.settle()
  const client = bench.net.connect()
  const options = { wire: client, namespace: 'n', origin: originOf('n', 'p', 0), clock: bench.clock }
  const newer = new Producer({ ...options, epoch: 2 })
  newer.setStream(stream)
  newer.send('s', 0, frameOf([record(7, 0)]), 1)
  await bench.deliver(1000, 1)
  bench.send(0, 0, 5)
  await bench.deliver(1000, 1)
  bench.process(100)
  const row = bench.owner.consumer.ledger()[0]!
  assert.equal(row.processed, 4)
  assert.ok((row.refused['fenced'] ?? 0) > 0)
  const { positions } = bench.owner.consumer.positions('s', 0)
  assert.deepEqual(
    positions.map(({ epoch }) => epoch),
    [2],
    'the older channel has ended',
  )
})

test('Consumer refuses what its producers send beyond twice its budget, and gets it when there is room', async () => {
  const bench = new Bench(1)
  const { client, consumer } = bench.owner
  const publish = client.publish.bind(client)
  client.publish = (subject, bytes) => {
    if (!subject.includes('.c.credit.')) return publish(subject, bytes)
    const credit = decodeCredit(bytes)
    const entries = credit.entries.map((entry) => ({ ...entry, windowBytes: 1e9 })) // as if the producer did not care
    publish(subject, encodeCredit({ ...credit, entries }))
  }
  await bench.settle()
  const most = 2 * budgetFor(4096, 1)
  const frameBytes = 20_000
  const value = new Uint8Array(frameBytes)
  const frames = 12
  assert.ok(frames * frameBytes > 2 * most)
  const { producer } = bench.producers[0]!
  for (let i = 0; i < frames; i++)
    producer.send('s', 0, frameOf([{ key: value.subarray(0, 0), value, timeMs: 0 }]), 1)
  await bench.deliver(1000, 1)
  const { refused } = consumer.ledger()[0]!
  assert.equal(consumer.queuedFrames, Math.floor(most / frameBytes) + 1)
  assert.ok((refused['overrun'] ?? 0) > 0, JSON.stringify(refused))
  for (let round = 0; round < 20; round++) {
    for (const frame of consumer.take(Number.POSITIVE_INFINITY)) consumer.done(frame, 1)
    consumer.acknowledge()
    bench.clock.advance(300)
    await bench.deliver(1000, round)
  }
  const [row] = producer.ledger()
  assert.deepEqual([row!.sent, row!.acked, row!.unaccounted], [frames, frames, 0])
})

test('Consumer grants a quarter of its windows while memory is short, and all of them again later', async () => {
  const net = new SimNet()
  const clock = new ManualClock(1000)
  const client = net.connect()
  const publish = client.publish.bind(client)
  let granted = 0
  client.publish = (subject, bytes) => {
    if (subject.includes('.c.credit.')) granted = decodeCredit(bytes).entries[0]!.windowBytes
    publish(subject, bytes)
  }
  const named = { namespace: 'n', epoch: 1, clock }
  const onFrames = (): void => undefined
  const consumer = new Consumer({ ...named, wire: client, name: 'f', windowBytes: 1 << 20, onFrames })
  consumer.own('s', [0])
  const producers = [0, 1, 2, 3].map((index) => {
    const producer = new Producer({ ...named, wire: net.connect(), origin: originOf('n', 'p', index) })
    producer.setStream(stream)
    return producer
  })
  const windowNow = async (): Promise<number> => {
    for (const producer of producers) producer.send('s', 0, frameOf([record(0, 0)]), 1)
    for (let round = 0; round < 10; round++) {
      while (net.step(round)) await Promise.resolve()
      for (const frame of consumer.take(Number.POSITIVE_INFINITY))
        consumer.done(frame, frame.header.count - frame.skip)
      consumer.acknowledge()
      clock.advance(300)
    }
    return granted
  }
  assert.equal(await windowNow(), 1 << 18)
  consumer.narrow(true)
  assert.equal(await windowNow(), 1 << 16)
  consumer.narrow(false)
  assert.equal(await windowNow(), 1 << 18)
})

test('Consumer counts the records that a producer no longer has as gaps, and goes on behind them', async () => {
  const bench = new Bench(1)
  const stranger = bench.net.connect()
  const stamp = {
    producer: parseId64('7'.repeat(16)),
    origin: parseId64('8'.repeat(16)),
    epoch: 1,
    partition: 0,
  }
  const entry = { consumer: 'f', epoch: 1, position: 4, from: 0, attempts: 0 }
  for (const oldest of [4, 10]) {
    stranger.publish(
      'concord.n.s.s.0',
      encodeBeacon({ ...stamp, sequence: 10 }, { oldest, entries: [entry] }),
    )
    await bench.deliver(1000, 1)
    assert.equal(bench.owner.consumer.ledger()[0]!.gaps, oldest - 4)
  }
  const { positions } = bench.owner.consumer.positions('s', 0)
  assert.deepEqual(
    positions.map(({ through }) => through),
    [10],
  )
})

test('Consumer calls onSuperseded for a claim with a higher epoch, and answers a claim with a lower one', async () => {
  const net = new SimNet()
  const clock = new ManualClock()
  const heard: number[] = []
  const make = (epoch: number) => {
    const consumer = new Consumer({
      wire: net.connect(),
      namespace: 'n',
      name: 'f',
      epoch,
      clock,
      onFrames: () => undefined,
      onSuperseded: (claim) => heard.push(epoch, claim.epoch),
    })
    consumer.own('s', [0])
    return consumer
  }
  make(2)
  while (net.step(0));
  make(1) // comes back late
  while (net.step(0));
  assert.deepEqual(heard, [1, 2])
})

test('Producer gives a consumer that groups by key no record that was spread without regard to keys', () => {
  const net = new SimNet()
  const producer = new Producer({
    ...{
      wire: net.connect(),
      namespace: 'n',
      origin: originOf('n', 'p', 0),
      epoch: 1,
      clock: new ManualClock(),
    },
  })
  const [spread, groups] = ['spread', 'groups'].map((name) => ({ name, backPressure: 'block' as const }))
  producer.setStream({ ...stream, keyed: false, consumers: [spread!] })
  producer.send('s', 0, frameOf([record(0, 0), record(0, 1)]), 2) // held: nobody has given credit
  producer.setStream({ ...stream, keyed: true, consumers: [groups!, spread!] })
  producer.send('s', 0, frameOf([record(0, 2)]), 1)
  const sent = (name: string) => producer.ledger().find(({ consumer }) => consumer === name)?.sent
  assert.deepEqual([sent('spread'), sent('groups')], [3, 1])
})

test('Producer becomes writable again only when its stream is read', async () => {
  const bench = new Bench(1, 4000)
  while (bench.producers[0]!.producer.writable('s')) bench.send(0, 0, 40)
  await bench.deliver(1000, 3)
  assert.equal(bench.producers[0]!.producer.writable('s'), false)
  const ready = bench.producers[0]!.producer.ready('s')
  await bench.settle()
  await ready
  assert.equal(bench.producers[0]!.producer.writable('s'), true)
})

test('Consumer survives garbage on its subjects and counts it', async () => {
  const bench = new Bench(1)
  const stranger = bench.net.connect()
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
      stranger.publish('concord.n.s.s.0', bytes)
      stranger.publish('concord.n.c.claim.f', bytes)
      stranger.publish(`concord.n.c.credit.${bench.producers[0]!.producer.id}`, bytes)
      await bench.deliver(100, 1)
    }),
    { numRuns: 300 },
  )
  bench.send(0, 0, 3)
  await bench.settle()
  const row = bench.owner.consumer.ledger()[0]!
  assert.equal(row.processed, 3)
  assert.ok((row.refused['malformed'] ?? 0) >= 300)
})
