/**
 * Bench: producers, owners and a sink on a simulated network, for the property tests of the channels.
 * @module
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { frameOf, type RawRecord, recordsOf } from '../../sdk/wire/frame.ts'
import { ManualClock } from '../clock.ts'
import type { AllowanceRow } from '../control/messages/accounts.ts'
import type { StreamDescriptor } from '../control/messages/streams.ts'
import { originOf } from './messages/origin.ts'
import { Consumer } from './receiving/consumer.ts'
import type { StatePositions } from './receiving/contained.ts'
import type { TakenFrame } from './receiving/in-queue.ts'
import type { Spill } from './sending/lane.ts'
import { laneConsumers } from './sending/modes.ts'
import { Producer } from './sending/producer.ts'
import { type SimClient, SimNet } from './wire/sim-net.ts'
import { heard } from './wire/wire.ts'

export const stream: StreamDescriptor = {
  name: 's',
  partitions: 2,
  keyed: true,
  consumers: [{ name: 'f', backPressure: 'block' }],
}

const output: StreamDescriptor = {
  ...stream,
  name: 'o',
  consumers: [{ name: 'sink', backPressure: 'block' }],
}
export const owned = [0, 1]

/** State at one moment, and the positions that it contains by partition. */
interface Checkpoint {
  readonly state: ReadonlySet<string>
  readonly positions: readonly StatePositions[]
}

/** Called on the connection of the producer. */
export type Allow = (from: SimClient, rows: readonly AllowanceRow[]) => void

export interface Owner {
  readonly client: SimClient
  readonly consumer: Consumer
  readonly producer: Producer
  hand: TakenFrame[]
  acknowledging: boolean
  /** Records that were set aside, each with the frame that it came in. */
  readonly aside: { readonly frame: TakenFrame; readonly record: RawRecord }[]
  /** Dead letters that are not stored yet. */
  readonly letters: Set<Promise<void>>
}

/**
 * Producers → one owner at a time → a sink, each on a connection of its own. The value of each record is the index of its
 * producer and its number in (producer, partition); the owner passes it on as a runner does, and what the sink gets is
 * what counts.
 */
export class Bench {
  readonly net = new SimNet()
  readonly clock = new ManualClock(1000)
  readonly producers: { readonly client: SimClient; readonly producer: Producer; readonly sent: number[] }[] =
    []
  readonly seen = new Map<string, number[]>()
  sink: Consumer
  owner: Owner
  /** What the owner has processed, as its state; a new owner begins with that of the last checkpoint. */
  state = new Set<string>()
  checkpoint: Checkpoint | undefined
  /** Which records the owner sets aside. */
  setsAside: (number: number) => boolean = () => false
  /** Which records the owner gives up, and their stored letters: stored over another connection, which never breaks. */
  isPoison: (number: number) => boolean = () => false
  readonly letters: string[] = []
  #epoch = 0
  #sinkEpoch = 1
  #sinkClient: SimClient

  readonly #input: StreamDescriptor
  readonly #spill: Spill | undefined
  readonly #allow: Allow | undefined

  /**
   * @param input How the owner reads; default: it blocks.
   * @param allow Called with the allowances of producers.
   */
  constructor(producers: number, bufferBytesMax?: number, input = stream, spill?: Spill, allow?: Allow) {
    this.#input = input
    this.#spill = spill
    this.#allow = allow
    for (let i = 0; i < producers; i++) {
      const client = this.net.connect()
      const producer = this.#producer(client, 'p', i, 1, input, bufferBytesMax)
      this.producers.push({ client, producer, sent: [0, 0] })
    }
    this.#sinkClient = this.net.connect()
    this.sink = this.#consumer(this.#sinkClient, 'sink', 1, 'o')
    this.owner = this.newOwner()
  }

  newOwner(): Owner {
    const client = this.net.connect()
    const epoch = ++this.#epoch
    const producer = this.#producer(client, 'f', 0, epoch, output)
    const consumer = this.#consumer(client, 'f', epoch, 's')
    this.owner = { client, consumer, producer, hand: [], acknowledging: false, aside: [], letters: new Set() }
    this.state = new Set(this.checkpoint?.state)
    return this.owner
  }

  /** Kills the sink and puts another in its place. */
  replaceSink(): void {
    this.#sinkClient.kill()
    this.#sinkClient = this.net.connect()
    this.sink = this.#consumer(this.#sinkClient, 'sink', ++this.#sinkEpoch, 'o')
  }

  send(index: number, partition: number, count: number): void {
    const { producer, sent } = this.producers[index]!
    if (!producer.writable('s')) return
    const from = sent[partition]!
    const records = Array.from({ length: count }, (_, i) => record(index, from + i))
    sent[partition] = from + count
    producer.send('s', partition, frameOf(records), count)
  }

  /** Takes queued frames, and processes and passes on up to `most` records of them, as runner/instance/worker.ts does. */
  process(most: number): void {
    const { consumer, producer, hand } = this.owner
    hand.push(...consumer.take(500))
    consumer.announce()
    let left = most
    while (left > 0 && hand.length > 0) {
      const frame = hand[0]!
      const all = [...recordsOf(frame.bytes, frame.header)].slice(frame.skip + frame.finished)
      const now = all.slice(0, left)
      const later = now.filter((each) => this.setsAside(numberOf(each)))
      const poison = now.filter((each) => this.isPoison(numberOf(each)))
      const done = now.filter((each) => !later.includes(each) && !poison.includes(each))
      if (done.length > 0) producer.send('o', frame.partition, frameOf(done), done.length)
      consumer.done(frame, now.length)
      for (const record of poison) this.#giveUp(frame, record)
      for (const record of later) {
        consumer.setAside(frame)
        this.owner.aside.push({ frame, record })
      }
      this.#keep(frame.partition, done)
      left -= now.length
      if (now.length === all.length) hand.shift()
    }
    this.acknowledge()
  }

  /** Processes up to `most` records that were set aside. */
  retry(most: number): void {
    const { consumer, producer, aside } = this.owner
    consumer.announce()
    for (const { frame, record } of aside.splice(0, most)) {
      producer.send('o', frame.partition, frameOf([record]), 1)
      consumer.settle(frame)
      this.#keep(frame.partition, [record])
    }
    this.acknowledge()
  }

  /** As runner/failures/letter-box.ts does. */
  #giveUp(frame: TakenFrame, { value }: RawRecord): void {
    const { consumer, client, letters } = this.owner
    const id = `${frame.partition} ${Buffer.from(value).toString('hex')}`
    const stored = heard(client).then(() => {
      this.letters.push(id)
      consumer.drop(frame, 'deadLettered')
      letters.delete(stored)
    })
    letters.add(stored)
  }

  #keep(partition: number, records: readonly { readonly value: Uint8Array }[]): void {
    for (const { value } of records) {
      const id = `${partition} ${Buffer.from(value).toString('hex')}`
      assert.ok(!this.state.has(id), `twice in the state: ${id}`)
      this.state.add(id)
    }
  }

  /**
   * Takes a checkpoint between two batches. It is stored over another connection, once everything that must precede it is
   * through (runner/checkpoint/state-keeper.ts).
   */
  async takeCheckpoint(): Promise<void> {
    const { consumer, client, letters } = this.owner
    const cut = { state: new Set(this.state), positions: owned.map((p) => consumer.positions('s', p)) }
    await Promise.all([heard(client), ...letters])
    if (!client.killed) this.checkpoint = cut
  }

  /** Acknowledges what is done by now once its outputs are safe, as runner/instance/acknowledger.ts does. */
  acknowledge(): void {
    const { owner } = this
    if (owner.acknowledging) return
    if (owner.producer.isSafe && owner.letters.size === 0) return owner.consumer.acknowledge()
    owner.acknowledging = true
    const mark = owner.consumer.mark()
    void Promise.all([owner.producer.safe(), ...owner.letters]).then(() => {
      owner.acknowledging = false
      owner.consumer.acknowledge(mark)
    })
  }

  /**
   * Ends the owner as a runner ends. The next one starts later: the scheduler waits for the end of the task, so what the
   * owner wrote has reached the server by then.
   */
  async endOwner(how: 'leave' | 'kill'): Promise<void> {
    const { consumer, producer, client } = this.owner
    const killed = client.cut || how === 'kill'
    if (!killed) {
      this.retry(Number.POSITIVE_INFINITY)
      const isDelivered = (): boolean => producer.isSent && producer.isSafe
      await this.#rounds(isDelivered)
      if (!isDelivered()) consumer.giveUp('undelivered')
      else consumer.acknowledge()
      void consumer.leave()
      this.net.drain(client)
      await this.#rounds(() => producer.isSettled)
      this.net.drain(client)
    }
    client.kill()
  }

  /** Lets the network run until `done`, or for as long as a runner would wait. */
  async #rounds(done: () => boolean): Promise<void> {
    for (let round = 0; round < 20 && !done(); round++) {
      await this.deliver(200, round)
      this.drainSink()
      this.clock.advance(300)
    }
  }

  drainSink(): void {
    for (const frame of this.sink.take(Number.POSITIVE_INFINITY)) {
      for (const { value } of recordsOf(frame.bytes, frame.header)) {
        const view = new DataView(value.buffer, value.byteOffset)
        const key = `${view.getUint32(0)} ${frame.partition}`
        const list = this.seen.get(key) ?? []
        list.push(view.getUint32(4))
        this.seen.set(key, list)
      }
      this.sink.done(frame, frame.header.count - frame.skip)
    }
    this.sink.announce()
    this.sink.acknowledge()
  }

  async deliver(steps: number, seed: number): Promise<void> {
    let random = seed
    for (let i = 0; i < steps; i++) {
      random = (Math.imul(random, 1103515245) + 12345) >>> 0
      if (!this.net.step(random >>> 8)) return
      await Promise.resolve()
    }
  }

  /** Heals every link and lets everything come to rest. */
  async settle(): Promise<void> {
    const writers = [...this.producers, this.owner]
    for (const { client } of writers) client.reconnect()
    for (let round = 0; round < 400; round++) {
      await this.deliver(100_000, round)
      for (let i = 0; i < 5; i++) await Promise.resolve()
      this.process(Number.POSITIVE_INFINITY)
      this.retry(Number.POSITIVE_INFINITY)
      this.drainSink()
      await this.deliver(100_000, round + 1)
      for (let i = 0; i < 5; i++) await Promise.resolve()
      this.acknowledge()
      const said = !this.owner.acknowledging && this.owner.producer.isSafe
      if (said && writers.every(({ producer }) => producer.isSettled && !hasSpilled(producer)))
        return this.deliver(100_000, round)
      this.clock.advance(300)
    }
    assert.fail('the channels did not settle')
  }

  /** Lets the channels of the owner come to rest, whatever other consumers do. */
  async settleMain(): Promise<void> {
    for (let round = 0; round < 20; round++) {
      await this.deliver(1000, round)
      this.process(Number.POSITIVE_INFINITY)
      this.drainSink()
      this.clock.advance(5) // a PING follows after so long
    }
  }

  #producer(
    client: SimClient,
    name: string,
    index: number,
    epoch: number,
    descriptor: StreamDescriptor,
    bufferBytesMax?: number,
  ): Producer {
    const options = {
      wire: client,
      namespace: 'n',
      origin: originOf('n', name, index),
      epoch,
      clock: this.clock,
    }
    const producer = new Producer({
      ...{ ...options, spill: this.#spill, isFirst: name === 'p' },
      onAllowance: this.#allow && ((rows) => this.#allow?.(client, rows)),
      ...(bufferBytesMax === undefined ? {} : { bufferBytesMax }),
    })
    producer.setStream(descriptor)
    return producer
  }

  #consumer(client: SimClient, name: string, epoch: number, of: string): Consumer {
    const consumer = new Consumer({
      wire: client,
      namespace: 'n',
      name,
      epoch,
      clock: this.clock,
      windowBytes: 4096,
      onFrames: () => undefined,
      hasLane: (stream) => stream === 's' && laneConsumers(this.#input).includes(name),
      ...(name === 'f' ? { contains: (_stream, partition) => this.checkpoint?.positions[partition] } : {}),
    })
    consumer.own(of, owned)
    return consumer
  }
}

function numberOf({ value }: RawRecord): number {
  return new DataView(value.buffer, value.byteOffset).getUint32(4)
}

function hasSpilled(producer: Producer): boolean {
  return producer.ledger().some(({ spilled = 0 }) => spilled > 0)
}

export function record(
  producer: number,
  number: number,
): { key: Uint8Array; value: Uint8Array; timeMs: number } {
  const value = new Uint8Array(8)
  const view = new DataView(value.buffer)
  view.setUint32(0, producer)
  view.setUint32(4, number)
  return { key: new Uint8Array(0), value, timeMs: 0 }
}

export const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('send' as const),
      producer: fc.nat(1),
      partition: fc.nat(1),
      count: fc.integer({ min: 1, max: 40 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('deliver' as const),
      steps: fc.integer({ min: 1, max: 30 }),
      seed: fc.nat(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('process' as const), records: fc.integer({ min: 1, max: 60 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('break' as const), who: fc.nat(2), noticed: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('reconnect' as const), who: fc.nat(2) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('time' as const), ms: fc.integer({ min: 10, max: 3000 }) }),
  },
)

export async function run(
  bench: Bench,
  actions: readonly Action[],
  onOwnerChange: (kind: 'leave' | 'kill') => Promise<void>,
): Promise<void> {
  for (const step of actions) {
    switch (step.kind) {
      case 'send':
        bench.send(step.producer, step.partition, step.count)
        break
      case 'deliver':
        await bench.deliver(step.steps, step.seed)
        break
      case 'process':
        bench.process(step.records)
        bench.retry(step.records >> 4)
        bench.drainSink()
        break
      case 'break': {
        const { client } = [...bench.producers, bench.owner][step.who]!
        client.break()
        if (step.noticed) client.notice()
        break
      }
      case 'reconnect':
        ;[...bench.producers, bench.owner][step.who]!.client.reconnect()
        break
      case 'time':
        bench.clock.advance(step.ms)
        break
      case 'owner':
        await onOwnerChange(step.how)
        break
      case 'checkpoint':
        void bench.takeCheckpoint()
        break
    }
    await Promise.resolve()
  }
}

/** Runs the actions, beginning with a stored checkpoint; whenever an owner ends, the next one begins. Ends when everything is at rest. */
export async function runFromCheckpoint(bench: Bench, actions: readonly Action[]): Promise<void> {
  const stored = bench.takeCheckpoint()
  await bench.deliver(1000, 1)
  await stored
  await run(bench, actions, async (how) => {
    await bench.endOwner(how)
    bench.newOwner()
  })
  await bench.settle()
}

export type Action =
  | { kind: 'send'; producer: number; partition: number; count: number }
  | { kind: 'deliver'; steps: number; seed: number }
  | { kind: 'process'; records: number }
  | { kind: 'break'; who: number; noticed: boolean }
  | { kind: 'reconnect'; who: number }
  | { kind: 'time'; ms: number }
  | { kind: 'owner'; how: 'leave' | 'kill' }
  | { kind: 'checkpoint' }

export const withOwners = fc.oneof(
  { weight: 10, arbitrary: action },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('owner' as const),
      how: fc.constantFrom('leave' as const, 'kill' as const),
    }),
  },
)

export const withCheckpoints = fc.oneof(
  { weight: 10, arbitrary: withOwners },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('checkpoint' as const) }) },
)
