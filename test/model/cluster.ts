/**
 * ModelCluster: one history: producers → instances of `f` → a sink, each on its own connection, and the overseer.
 *
 * A record's value is the index of its producer and its number in (producer, partition). What the sink receives
 * decides; it is in `events`, with everything else that the checker needs. One of the producers is of an earlier
 * build.
 * @module
 */
import assert from 'node:assert/strict'
import {
  Consumer,
  type HandoverPositions,
  originOf,
  Producer,
  type TakenFrame,
} from '../../infra/bus/index.ts'
import { readClaim } from '../../infra/bus/messages/claim.ts'
import { claimSubject } from '../../infra/bus/messages/subjects.ts'
import { type SimClient, SimNet } from '../../infra/bus/wire/sim-net.ts'
import { ManualClock } from '../../infra/clock.ts'
import type { StreamDescriptor } from '../../infra/control/messages/streams.ts'
import type { MoveAnswer, MoveAsk } from '../../runner/handover/moves.ts'
import { frameMagic, frameOf, recordsOf } from '../../sdk/wire/frame.ts'
import type { HistoryEvent, Range } from '../history/event.ts'
import { Intervals } from '../history/intervals.ts'
import type { Bug } from './bugs.ts'
import { ModelCheckpoints, type ShareState } from './checkpoints.ts'
import { ModelInstance } from './instance.ts'
import { Overseer } from './overseer.ts'
import { type Fate, Words } from './words.ts'

const shares = [0, 1, 2]
const slots = [0, 1, 2]
/** How many there are: a connection is that of a source, or of an instance behind them. */
export const sources = 2
const askTimeoutMs = 400
/** Of a frame's header. */
const creditVersionAt = 44
const noKey = new Uint8Array(0)
const encoder = new TextEncoder()
const decoder = new TextDecoder()
const origins = Array.from({ length: sources }, (_, index) => originOf('n', 'p', index))

const describe = (name: string, consumer: string): StreamDescriptor => ({
  name,
  partitions: shares.length,
  keyed: true,
  consumers: [{ name: consumer, backPressure: 'block' }],
})

interface Task {
  readonly instance: ModelInstance
  readonly client: SimClient
  readonly index: number
  readonly serial: number
  readonly epoch: number
  /** Taken for gone, although it may live. */
  lost: boolean
  /** What it has said that it has: an assignment may be made before it has said so. */
  reported: ReadonlyMap<number, number>
}

interface Source {
  readonly client: SimClient
  readonly producer: Producer
  readonly next: number[]
}

export class ModelCluster {
  readonly events: HistoryEvent[] = []
  /** Why instances have ended that nobody had given up. */
  readonly refusals: string[] = []
  readonly overseer: Overseer
  readonly #bugs: ReadonlySet<Bug>
  readonly #net = new SimNet()
  readonly #words = new Words(this.#net)
  readonly #clock = new ManualClock(1000)
  readonly #sources: readonly Source[]
  readonly #sink: Consumer
  /** What the sink was sent and has not read, in order: frames, and that an owner claims. */
  readonly #came: (TakenFrame | HistoryEvent)[] = []
  readonly #checkpoints = new ModelCheckpoints()
  readonly #seen = new Map<string, Intervals>()
  /** Of the owners that producers hear of. */
  readonly #names = new Map<string, string>()
  #tasks: Task[] = []
  /** Slots that are empty for a while. */
  #vacant: number[] = []
  #serial = 0
  #inboxes = 0

  constructor(bugs: ReadonlySet<Bug>) {
    this.#bugs = bugs
    this.overseer = new Overseer(shares, bugs)
    this.#sources = Array.from({ length: sources }, (_, i) => this.#source(i))
    const clock = this.#clock
    const sinkOptions = { namespace: 'n', name: 'sink', epoch: 1, clock, windowBytes: 4096 }
    const wire = this.#net.connect()
    this.#sink = new Consumer({ ...sinkOptions, wire, onFrames: () => undefined })
    this.#sink.own('o', shares)
    wire.subscribe(claimSubject('n', 'f'), (bytes) => this.#onClaim(bytes))
    for (const index of slots) this.#launch(index)
    this.look()
  }

  send(source: number, partition: number, count: number): void {
    const { producer, next } = this.#sources[source]!
    if (!producer.writable('s')) return
    const from = next[partition]!
    const frame = frameOf(Array.from({ length: count }, (_, i) => record(source, from + i)))
    producer.send('s', partition, frame, count)
    next[partition] = from + count
    this.events.push({ event: 'sent', stream: 's', partition, producer: `p${source}`, from, count })
  }

  process(which: number, records: number): void {
    this.#at(which)?.instance.process(records)
  }

  break(which: number, noticed: boolean): void {
    const client = [...this.#sources, ...this.#tasks][which % (sources + this.#tasks.length)]!.client
    client.break()
    if (noticed) client.notice()
  }

  reconnect(which: number): void {
    ;[...this.#sources, ...this.#tasks][which % (sources + this.#tasks.length)]!.client.reconnect()
  }

  move(share: number, which: number, heard: number): void {
    const task = this.#living[which % this.#living.length]
    if (task !== undefined) this.overseer.move(share, task.instance.task)
    this.look(heard)
  }

  checkpoint(which: number): void {
    this.#at(which)?.instance.checkpoint()
  }

  /** A kill -9. */
  kill(which: number): void {
    const task = this.#at(which)
    if (task === undefined || task.lost) return
    task.client.kill()
    this.#gone(task)
    this.#tasks = this.#tasks.filter((other) => other !== task)
  }

  /** Cut off, taken for gone, replaced a while later; and it lives. Until then other slots have its shares. */
  lose(which: number): void {
    const task = this.#at(which)
    if (task === undefined || task.lost) return
    task.client.break()
    task.lost = true
    this.#ended(task)
    this.#vacant.push(task.index)
    this.look(0)
  }

  /** What befalls the next word by which a giver says who is next. */
  befalls(fate: Fate): void {
    this.#words.befalls(fate)
  }

  /** So many other credits of instances are late from now on. */
  delay(count: number): void {
    this.#words.delay(count)
  }

  /** What is late comes. */
  arrive(): void {
    this.#words.arrive()
  }

  /** Who is missing begins. */
  time(ms: number): void {
    this.#clock.advance(ms)
    for (const index of this.#vacant.splice(0)) this.#launch(index)
  }

  /** The overseer hears of those in reach whose bit is set what they have, and tells all of them what they should have. */
  look(heard = -1): void {
    const inReach = this.#living.filter(({ client }) => !client.cut)
    for (const [i, task] of inReach.entries())
      if ((heard >> i) & 1) task.reported = new Map(task.instance.owned)
    const seen = inReach.map(({ instance, index, reported }) => ({
      task: instance.task,
      index,
      owned: reported,
    }))
    const assignments = this.overseer.look(seen)
    for (const { instance } of inReach) instance.assign(assignments.get(instance.task)!)
  }

  async deliver(steps: number, seed: number): Promise<void> {
    let random = seed
    for (let i = 0; i < steps; i++) {
      random = (Math.imul(random, 1103515245) + 12345) >>> 0
      if (!this.#net.step(random >>> 8)) return
      await Promise.resolve()
    }
  }

  /** Heals every link, lets all come to rest, and writes down what producers have given up. @returns Whether it came to rest. */
  async settle(): Promise<boolean> {
    let settled = false
    for (let round = 0; round < 300 && !settled; round++) {
      for (const { client } of [...this.#sources, ...this.#living]) client.reconnect()
      this.arrive()
      await this.#round(round)
      for (const { client } of this.#tasks) client.reconnect()
      this.look()
      const writers = [...this.#sources, ...this.#living.map(({ instance }) => instance)]
      settled = this.overseer.settled && writers.every(({ producer }) => producer.isSettled)
      this.time(300)
    }
    this.#account()
    this.events.push({ event: 'end' })
    return settled
  }

  async #round(round: number): Promise<void> {
    for (let half = 0; half < 2; half++) {
      await this.deliver(100_000, round + half)
      for (let i = 0; i < 8; i++) await Promise.resolve()
      for (const { instance } of this.#tasks) instance.process(Number.POSITIVE_INFINITY)
      this.read()
    }
    for (const { instance } of this.#tasks) instance.acknowledge()
  }

  get #living(): Task[] {
    return this.#tasks.filter((task) => !task.lost)
  }

  #at(which: number): Task | undefined {
    return this.#tasks[which % Math.max(1, this.#tasks.length)]
  }

  #gone(task: Task): void {
    this.#ended(task)
    this.#launch(task.index)
    this.look(0)
  }

  #ended(task: Task): void {
    this.events.push({ event: 'crash', consumer: 'f', owner: `i${task.serial}` })
    this.#words.ended()
    this.overseer.ended(task.instance.task, task.index, task.epoch)
  }

  #launch(index: number): void {
    const client = this.#net.connect()
    this.#words.follow(client)
    const serial = ++this.#serial
    const epoch = this.overseer.began(`f${serial}`)
    const partitionsOf = (share: number): Record<string, number[]> => ({ s: [share] })
    const instance = new ModelInstance({
      wire: client,
      clock: this.#clock,
      index,
      serial,
      epoch,
      output: describe('o', 'sink'),
      checkpoints: this.#checkpoints,
      ask: (task, ask) => this.#ask(client, task, ask),
      onSuperseded: () => this.#superseded(serial),
      onRefused: (why) => queueMicrotask(() => this.#refused(serial, why)),
      onClaim: (share, epoch) =>
        this.events.push({
          event: 'claim',
          consumer: 'f',
          owner: `i${serial}`,
          epoch,
          partitions: partitionsOf(share),
        }),
      onLeft: (share, epoch, left, next) =>
        this.events.push({
          event: 'left',
          ...{ stream: 's', partition: share, consumer: 'f', owner: `i${serial}`, epoch },
          through: this.#throughOf(left),
          ...(next === undefined ? {} : { next: this.#names.get(next.owner)! }),
        }),
      bugs: this.#bugs,
    })
    this.#names.set(instance.consumer.owner, `i${serial}`)
    client.subscribe(`move.${instance.task}`, (bytes) => {
      const { inbox, ask } = JSON.parse(decoder.decode(bytes)) as { inbox: string; ask: MoveAsk }
      void instance.answer(ask).then((answer) => client.publish(inbox, encode(answer)))
    })
    this.#tasks.push({ instance, client, index, serial, epoch, lost: false, reported: new Map() })
  }

  #throughOf({ channels }: HandoverPositions): Record<string, number> {
    const names = new Map(this.#sources.map(({ producer }, i) => [producer.id, `p${i}`]))
    return Object.fromEntries(channels.map(({ producer, through }) => [names.get(producer)!, through]))
  }

  /** An owner that hears a higher epoch exits. */
  #superseded(serial: number): void {
    const task = this.#tasks.find((other) => other.serial === serial)
    if (task === undefined) return
    task.client.kill()
    this.#tasks = this.#tasks.filter((other) => other !== task)
    if (!task.lost) this.#gone(task)
  }

  #refused(serial: number, why: string): void {
    if (this.#living.some((task) => task.serial === serial)) this.refusals.push(`f${serial}: ${why}`)
    this.#superseded(serial)
  }

  #ask(client: SimClient, task: string, ask: MoveAsk): Promise<MoveAnswer<ShareState>> {
    const inbox = `inbox.${this.#inboxes++}`
    const { promise, resolve, reject } = Promise.withResolvers<MoveAnswer<ShareState>>()
    const stop = client.subscribe(inbox, (bytes) =>
      resolve(JSON.parse(decoder.decode(bytes)) as MoveAnswer<ShareState>),
    )
    const cancel = this.#clock.after(askTimeoutMs, () => reject(new Error('timeout')))
    client.publish(`move.${task}`, encode({ inbox, ask }))
    return promise.finally(() => {
      stop()
      cancel()
    })
  }

  #source(index: number): Source {
    const client = this.#net.connect()
    if (index === 1) beOfEarlierBuild(client)
    if (this.#bugs.has('hears-no-cut')) hearNoCut(client)
    const producer = new Producer({
      wire: client,
      namespace: 'n',
      origin: origins[index]!,
      epoch: 1,
      clock: this.#clock,
      bufferBytesMax: 16_384,
      isFirst: true,
    })
    producer.setStream(describe('s', 'f'))
    return { client, producer, next: shares.map(() => 0) }
  }

  /** The sink reads what it was sent. */
  read(): void {
    this.#came.push(...this.#sink.take(Number.POSITIVE_INFINITY))
    for (const frame of this.#came.splice(0)) {
      if ('event' in frame) {
        this.events.push(frame)
        continue
      }
      for (const { value } of [...recordsOf(frame.bytes, frame.header)].slice(frame.skip))
        this.#onOutput(frame.partition, new DataView(value.buffer, value.byteOffset))
      this.#sink.done(frame, frame.header.count - frame.skip)
    }
    this.#sink.announce()
    this.#sink.acknowledge()
  }

  #onClaim(bytes: Uint8Array): void {
    const claim = readClaim(bytes)
    if (claim === undefined) return // somebody only listens
    const { epoch, partitions } = claim
    const owner = this.#names.get(claim.owner)!
    this.#came.push(...this.#sink.take(Number.POSITIVE_INFINITY))
    this.#came.push({ event: 'heard', consumer: 'f', owner, epoch, partitions })
  }

  #onOutput(partition: number, view: DataView): void {
    const word = (index: number): number => view.getInt32(4 * index)
    const [producer, from, after, serial, epoch] = [word(0), word(1), word(2), word(3), word(4)]
    const record = { stream: 's', partition, producer: `p${producer}`, from, count: 1 }
    this.events.push({ event: 'output', ...record, consumer: 'f', owner: `i${serial}`, epoch, after })
    const key = `${producer} ${partition}`
    const seen = this.#seen.get(key) ?? new Intervals()
    this.#seen.set(key, seen)
    seen.add(from, from + 1)
  }

  /** Producers count what they gave up; the records are those that are missing, if there are no more of them than that. */
  #account(): void {
    for (const [index, { producer, next }] of this.#sources.entries()) {
      const row = producer.ledger().find(({ consumer }) => consumer === 'f')
      const missing = next.flatMap((end, partition): Range[] => {
        const seen = this.#seen.get(`${index} ${partition}`) ?? new Intervals()
        const channel = { stream: 's', partition, producer: `p${index}` }
        return seen.missing(0, end).map(([from, to]) => ({ ...channel, from, count: to - from }))
      })
      const records = missing.reduce((sum, { count }) => sum + count, 0)
      if (records > (row?.unaccounted ?? 0)) continue
      for (const range of missing) this.events.push({ event: 'unaccounted', ...range, consumer: 'f' })
    }
  }
}

function record(producer: number, number: number): { key: Uint8Array; value: Uint8Array; timeMs: number } {
  const value = Buffer.allocUnsafe(8)
  value.writeUInt32BE(producer, 0)
  value.writeUInt32BE(number, 4)
  return { key: noKey, value, timeMs: 0 }
}

/** What is lost with its connection its owners ask for, as for any gap; but what they said of it is lost too. */
function hearNoCut(client: SimClient): void {
  const { flush } = client
  client.flush = () => flush.call(client).catch(() => undefined)
  client.onReconnect = () => () => undefined
}

/** It asks for no version of credits, and reads the first. */
function beOfEarlierBuild(client: SimClient): void {
  const { publish, subscribe } = client
  client.publish = (subject, bytes) => {
    if (bytes[0] === frameMagic) bytes[creditVersionAt] = 0
    publish.call(client, subject, bytes)
  }
  client.subscribe = (subject, receive) =>
    subscribe.call(client, subject, (bytes, on) => {
      if (subject.includes('.c.credit.')) assert.equal(bytes[1], 1, 'a credit of the first version')
      receive(bytes, on)
    })
}

function encode(message: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(message))
}
