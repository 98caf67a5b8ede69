/** A consumer without an owner beside one that has one: docs/design/0002-channels.md, "Send". */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { frameOf, recordsOf } from '../../sdk/wire/frame.ts'
import { ManualClock } from '../clock.ts'
import { record } from './channel-contract.ts'
import { originOf } from './messages/origin.ts'
import { Consumer } from './receiving/consumer.ts'
import { Producer } from './sending/producer.ts'
import { type SimClient, SimNet } from './wire/sim-net.ts'

const clockStepMs = 300

interface Reader {
  readonly name: string
  readonly seen: number[]
  epoch: number
  owner: { readonly consumer: Consumer; readonly client: SimClient } | undefined
}

/** One producer, and two functions that read its stream, each of which may be there or not. */
class TwoReaders {
  readonly net = new SimNet()
  readonly clock = new ManualClock(1000)
  readonly client = this.net.connect()
  readonly producer = new Producer({
    wire: this.client,
    ...{ namespace: 'n', origin: originOf('n', 'p', 0), epoch: 1, clock: this.clock, isFirst: true },
  })
  readonly readers: readonly Reader[] = ['good', 'bad'].map((name) => ({
    ...{ name, seen: [], epoch: 0, owner: undefined },
  }))
  sent = 0

  constructor() {
    const consumers = this.readers.map(({ name }) => ({ name, backPressure: 'block' as const }))
    this.producer.setStream({ name: 's', partitions: 1, keyed: true, consumers })
  }

  send(count: number, valueBytes = 8): void {
    const from = this.sent
    this.sent += count
    const records = Array.from({ length: count }, (_, i) => {
      const value = Buffer.alloc(valueBytes)
      value.set(record(0, from + i).value)
      return { ...record(0, from + i), value }
    })
    this.producer.send('s', 0, frameOf(records), count)
  }

  come(reader: Reader): void {
    if (reader.owner !== undefined) return
    const client = this.net.connect()
    const consumer = new Consumer({
      ...{ wire: client, namespace: 'n', name: reader.name, epoch: ++reader.epoch, clock: this.clock },
      onFrames: () => undefined,
    })
    consumer.own('s', [0])
    reader.owner = { consumer, client }
  }

  leave(reader: Reader): void {
    if (reader.owner === undefined) return
    void reader.owner.consumer.leave()
    this.net.drain(reader.owner.client)
    reader.owner.client.kill()
    reader.owner = undefined
  }

  read({ owner, seen }: Reader): void {
    for (const frame of owner?.consumer.take(Number.POSITIVE_INFINITY) ?? []) {
      const records = [...recordsOf(frame.bytes, frame.header)].slice(frame.skip)
      for (const { value } of records) seen.push(new DataView(value.buffer, value.byteOffset).getUint32(4))
      owner!.consumer.done(frame, records.length)
    }
    owner?.consumer.announce()
    owner?.consumer.acknowledge()
  }

  async deliver(steps: number, seed = 1): Promise<void> {
    let random = seed
    for (let i = 0; i < steps; i++) {
      random = (Math.imul(random, 1103515245) + 12345) >>> 0
      if (!this.net.step(random >>> 8)) return
      await Promise.resolve()
    }
  }

  async rounds(count: number): Promise<void> {
    for (let round = 0; round < count; round++) {
      await this.deliver(10_000, round)
      for (const reader of this.readers) this.read(reader)
      this.clock.advance(clockStepMs)
    }
  }

  row(name: string): { readonly sent: number; readonly acked: number; readonly unaccounted: number } {
    return this.producer.ledger().find(({ consumer }) => consumer === name)!
  }
}

test('a consumer that never had an owner holds others back only when its window is full, and then gets everything', async () => {
  const bench = new TwoReaders()
  const [good, bad] = bench.readers as [Reader, Reader]
  bench.come(good)
  bench.send(1)
  await bench.rounds(4)
  assert.deepEqual(good.seen, [0], 'the first record passes')
  assert.equal(bench.producer.isSent, false, 'the other reader was not sent it')
  assert.equal(bench.producer.isSafe, false)
  assert.equal(bench.producer.heldBytes, 0)
  let isSent = false
  void bench.producer.sent().then(() => {
    isSent = true
  })
  for (let i = 0; i < 40; i++) bench.send(1, 32 * 1024)
  await bench.rounds(10)
  assert.ok(good.seen.length > 30 && good.seen.length < 35, `a window of 1 MiB: ${good.seen.length} records`)
  assert.deepEqual([bench.row('bad').sent, bench.row('bad').acked], [41, 0], 'all is in flight')
  assert.equal(isSent, false, 'who leaves waits for it')
  bench.come(bad)
  await bench.rounds(20)
  assert.ok(isSent)
  const all = Array.from({ length: 41 }, (_, i) => i)
  assert.deepEqual([good.seen, bad.seen], [all, all])
  assert.ok(bench.producer.isSettled)
})

test('consumers that come and go beside each other repeat nothing, keep the order, and miss only what is accounted for', async () => {
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ kind: fc.constant('send' as const), count: fc.integer({ min: 1, max: 40 }) }),
    },
    {
      weight: 6,
      arbitrary: fc.record({ kind: fc.constant('deliver' as const), count: fc.integer({ min: 1, max: 30 }) }),
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('read' as const), which: fc.nat(1) }) },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constantFrom('come' as const, 'leave' as const), which: fc.nat(1) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('break' as const, 'reconnect' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('time' as const) }) },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 80 }), fc.nat(), async (steps, seed) => {
      const bench = new TwoReaders()
      for (const [at, one] of steps.entries()) {
        if (one.kind === 'send') bench.send(one.count)
        else if (one.kind === 'deliver') await bench.deliver(one.count, seed + at)
        else if (one.kind === 'read') bench.read(bench.readers[one.which]!)
        else if (one.kind === 'come') bench.come(bench.readers[one.which]!)
        else if (one.kind === 'leave') bench.leave(bench.readers[one.which]!)
        else if (one.kind === 'break') bench.client.break()
        else if (one.kind === 'reconnect') bench.client.reconnect()
        else bench.clock.advance(clockStepMs)
        await Promise.resolve()
      }
      bench.client.reconnect()
      for (const reader of bench.readers) bench.come(reader)
      await bench.rounds(20)
      assert.ok(bench.producer.isSettled)
      const isBroken = steps.some(({ kind }) => kind === 'break') // then last words may be lost: at most once
      for (const { name, seen } of bench.readers) {
        const { sent, acked, unaccounted } = bench.row(name)
        assert.deepEqual([sent, acked + unaccounted], [bench.sent, bench.sent], name)
        for (let i = 1; i < seen.length; i++) assert.ok(seen[i]! > seen[i - 1]!, `${name}: ${seen}`)
        assert.ok(sent - seen.length <= unaccounted, `${name}: ${seen.length} and ${unaccounted} of ${sent}`)
        if (!isBroken) assert.equal(unaccounted, 0, name)
      }
    }),
    { numRuns: 500 },
  )
})
