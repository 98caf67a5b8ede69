import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { frameOf, recordsOf } from '../../sdk/wire/frame.ts'
import { ManualClock } from '../clock.ts'
import { consumersOf } from '../control/consumer.ts'
import type { StreamDescriptor } from '../control/messages/streams.ts'
import { record } from './channel-contract.ts'
import { originOf } from './messages/origin.ts'
import { Consumer } from './receiving/consumer.ts'
import { Producer } from './sending/producer.ts'
import { type SimClient, SimNet } from './wire/sim-net.ts'

interface Reading {
  readonly client: SimClient
  readonly consumer: Consumer
  readonly seen: number[]
}

/** A producer, and the instances of a function that reads its stream by broadcast. */
class Hall {
  readonly net = new SimNet()
  readonly clock = new ManualClock(1000)
  readonly client = this.net.connect()
  readonly producer: Producer
  readonly readings = new Map<number, Reading>()
  readonly retiring = new Set<number>()
  /** Of all instances there ever were. */
  processed = 0
  sent = 0
  #epoch = 0
  readonly #backPressure: 'block' | 'dropTail'

  constructor(backPressure: 'block' | 'dropTail') {
    this.#backPressure = backPressure
    const { client: wire, clock } = this
    this.producer = new Producer({ wire, namespace: 'n', origin: originOf('n', 'p', 0), epoch: 1, clock })
    this.start(0)
    this.#describe()
  }

  /** An instance begins, or begins anew. */
  start(index: number): void {
    const client = this.net.connect()
    const consumer = new Consumer({
      ...{ wire: client, namespace: 'n', name: 'f', epoch: ++this.#epoch, clock: this.clock },
      nameOf: () => `f@${index}`,
      hasLane: () => this.#backPressure !== 'block',
      windowBytes: 4096,
      onFrames: () => undefined,
    })
    consumer.own('s', [0])
    const isNew = !this.readings.has(index)
    this.readings.set(index, { client, consumer, seen: isNew ? [] : this.readings.get(index)!.seen })
    if (isNew) this.#describe()
  }

  send(count: number): void {
    if (!this.producer.writable('s')) return
    const records = Array.from({ length: count }, (_, i) => record(0, this.sent + i))
    this.producer.send('s', 0, frameOf(records), count)
    this.sent += count
  }

  process(index: number, most: number): void {
    const reading = this.readings.get(index)
    if (reading === undefined) return
    const { consumer, seen } = reading
    for (const frame of consumer.take(most * 12)) {
      for (const { value } of [...recordsOf(frame.bytes, frame.header)].slice(frame.skip))
        seen.push(new DataView(value.buffer, value.byteOffset).getUint32(4))
      const records = frame.header.count - frame.skip
      consumer.done(frame, records)
      this.processed += records
    }
    consumer.announce()
    consumer.acknowledge()
  }

  /** Ends an instance, and begins it anew unless it goes for good. */
  async end(index: number, how: 'leave' | 'kill', forGood: boolean): Promise<void> {
    const reading = this.readings.get(index)
    if (reading === undefined || (forGood && this.readings.size === 1)) return
    if (forGood) {
      this.retiring.add(index)
      this.#describe()
    }
    if (how === 'leave') {
      void reading.consumer.leave()
      this.net.drain(reading.client)
    }
    this.net.drain(reading.client) // what it had said before it processed anything has arrived
    if (forGood) await this.deliver(10_000, 1) // its credits are heard until its task has ended
    reading.client.kill()
    if (!forGood) return this.start(index)
    this.retiring.delete(index)
    this.readings.delete(index)
    this.#describe()
    assertWhole(reading.seen, how === 'kill' || this.#backPressure !== 'block')
  }

  async deliver(steps: number, seed: number): Promise<void> {
    let random = seed
    for (let i = 0; i < steps; i++) {
      random = (Math.imul(random, 1103515245) + 12345) >>> 0
      if (!this.net.step(random >>> 8)) return
      await Promise.resolve()
    }
  }

  async settle(): Promise<void> {
    for (let round = 0; round < 200; round++) {
      await this.deliver(10_000, round)
      for (const index of this.readings.keys()) this.process(index, 1e6)
      await this.deliver(10_000, round)
      if (this.producer.isSettled) return
      this.clock.advance(300)
    }
    assert.fail('the channels did not settle')
  }

  ledger(): { sent: number; acked: number; unaccounted: number; dropped: number } {
    const rows = this.producer.ledger().filter(({ consumer }) => consumer !== '$server')
    const sum = (of: 'sent' | 'acked' | 'unaccounted'): number => rows.reduce((all, row) => all + row[of], 0)
    const dropped = rows.reduce(
      (all, row) => all + Object.values(row.dropped).reduce((a, records) => a + records, 0),
      0,
    )
    return { sent: sum('sent'), acked: sum('acked'), unaccounted: sum('unaccounted'), dropped }
  }

  #describe(): void {
    const readers = [...this.readings.keys()].map((index) => ({ index, retiring: this.retiring.has(index) }))
    const input = { grouping: 'broadcast' as const, backPressure: this.#backPressure, queueMib: 1 / 1024 }
    const consumers: StreamDescriptor['consumers'] = consumersOf('f', input, readers)
    this.producer.setStream({ name: 's', partitions: 1, keyed: true, consumers })
  }
}

/** Numbers one after the other; with gaps where an owner may have been killed. */
function assertWhole(seen: readonly number[], mayGap: boolean): void {
  for (let i = 1; i < seen.length; i++)
    assert.ok(mayGap ? seen[i]! > seen[i - 1]! : seen[i] === seen[i - 1]! + 1, `each once, in order: ${seen}`)
}

const index = fc.nat(2)
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('send' as const), count: fc.integer({ min: 1, max: 60 }) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('deliver' as const), steps: fc.nat(40), seed: fc.nat() }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('process' as const), index, most: fc.nat(60) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('start' as const), index }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('end' as const),
      index,
      how: fc.constantFrom('leave' as const, 'leave' as const, 'kill' as const),
      forGood: fc.boolean(),
    }),
  },
)

for (const backPressure of ['block', 'dropTail'] as const) {
  test(`instances that are added, removed and killed each get all of a broadcast stream in order, and the account adds up (${backPressure})`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
        const hall = new Hall(backPressure)
        let killed = false
        for (const each of steps) {
          if (each.kind === 'send') hall.send(each.count)
          else if (each.kind === 'deliver') await hall.deliver(each.steps, each.seed)
          else if (each.kind === 'process') hall.process(each.index, each.most)
          else if (each.kind === 'start') {
            if (!hall.readings.has(each.index)) hall.start(each.index)
          } else {
            killed ||= each.how === 'kill' && hall.readings.has(each.index)
            await hall.end(each.index, each.how, each.forGood)
          }
          await Promise.resolve()
        }
        await hall.settle()
        const { sent, acked, unaccounted, dropped } = hall.ledger()
        assert.equal(sent, acked + unaccounted, 'nothing is in flight any more')
        const missing = acked - dropped - hall.processed
        assert.ok(
          missing <= 0 && -missing <= unaccounted,
          `${hall.processed} processed, ${acked} acked, ${dropped} dropped, ${unaccounted} unaccounted`,
        )
        if (!killed) assert.equal(unaccounted, 0)
        for (const { seen } of hall.readings.values()) {
          assertWhole(seen, killed || dropped > 0)
          if (!killed && dropped === 0 && seen.length > 0)
            assert.equal(seen.at(-1), hall.sent - 1, 'up to the last')
        }
      }),
      { numRuns: 500 },
    )
  })
}
