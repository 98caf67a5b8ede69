import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { QueueMode } from '../../../sdk/manifest/back-pressure.ts'
import { frameOf, parseFrame, recordsOf, stampHeader } from '../../../sdk/wire/frame.ts'
import { type Chunk, LaneQueue, type WaitingFrame } from './lane-queue.ts'

const partitions = 3
const bytesMax = 4000
const valueBytes = 100
const zero = { low: 0, high: 0 }

/** A queue, the disk beside it, and a list of what it was given that says what may come out. */
class Model {
  readonly queue: LaneQueue
  readonly given = Array.from({ length: partitions }, (): number[] => [])
  readonly left = Array.from({ length: partitions }, (): number[] => [])
  readonly storing: Chunk[] = []
  readonly disk = new Map<number, { bytes: Uint8Array; count: number }[]>()
  readonly forgotten = new Set<ArrayBufferLike>()
  #nowMs = 0
  #stored = 0

  constructor(mode: QueueMode) {
    const policy = { mode, bytesMax, ageMaxMs: 1000 }
    this.queue = new LaneQueue(partitions, policy, ({ buffer }) => {
      this.forgotten.add(buffer)
    })
  }

  add(partition: number, count: number): void {
    const given = this.given[partition]!
    const records = Array.from({ length: count }, (_, i) => record(given.length + i))
    given.push(...records.map((_, i) => given.length + i))
    this.queue.add(partition, frameOf(records), count, this.#nowMs)
  }

  shift(partition: number): void {
    if (this.queue.head(partition) === undefined) return
    this.left[partition]!.push(...idsOf(this.queue.shift(partition)))
  }

  cut(partition: number): void {
    if (this.queue.policy.mode !== 'enqueue') return
    const chunk = this.queue.cut(partition, this.#nowMs)
    if (chunk !== undefined) this.storing.push(chunk)
  }

  store(isFull: boolean): void {
    const chunk = this.storing.shift()
    if (chunk === undefined) return
    const frames = chunk.frames!.map(({ buffer, length, count }) => ({
      bytes: buffer.slice(0, length),
      count,
    }))
    if (isFull) return this.queue.stored(chunk, undefined)
    this.disk.set(++this.#stored, frames)
    this.queue.stored(chunk, this.#stored)
  }

  readBack(partition: number, isLost: boolean): void {
    const chunk = this.queue.wanted(partition)
    if (chunk === undefined) return
    const frames = this.disk.get(chunk.number!)!
    this.disk.delete(chunk.number!)
    if (isLost) this.queue.lose(chunk, 'spillLost')
    else this.queue.readBack(chunk, frames)
  }

  time(ms: number): void {
    this.#nowMs += ms
    for (const chunk of this.queue.overdue(this.#nowMs)) this.queue.lose(chunk, 'expired')
  }

  check(): void {
    let memory = 0
    for (const [partition, given] of this.given.entries()) {
      const left = this.left[partition]!
      assert.deepEqual(
        left,
        [...new Set(left)].sort((a, b) => a - b),
        'in order, none twice (Q1)',
      )
      const waiting = this.queue.waiting(partition)
      const dropped = Object.values(this.queue.dropped(partition)).reduce((sum, n) => sum + n, 0)
      assert.equal(given.length, left.length + waiting.memory + waiting.disk + dropped, 'Q2')
      memory += this.queue.memoryBytes(partition) + this.queue.diskBytes(partition)
    }
    // What is read back is not counted: it is on its way out, one chunk a partition.
    if (this.queue.policy.mode !== 'enqueue') assert.ok(memory <= bytesMax, `Q3: ${memory}`)
  }

  /** Lets all out. */
  drain(): void {
    while (this.storing.length > 0) this.store(false)
    for (let partition = 0; partition < partitions; partition++) {
      while (!this.queue.isEmpty(partition)) {
        this.readBack(partition, false)
        this.shift(partition)
      }
    }
  }
}

test('LaneQueue gives up what it is reading back together with its memory, since it is no longer on disk', () => {
  const queue = new LaneQueue(1, { mode: 'enqueue', bytesMax: 2 ** 20, ageMaxMs: 1000 }, () => undefined)
  queue.add(0, frameOf([record(1)]), 1, 0)
  queue.stored(queue.cut(0, 0)!, 1)
  assert.equal(queue.memoryBytes(0), 0)
  queue.wanted(0)!.busy = true
  assert.ok(queue.memoryBytes(0) > 0, 'its producer has not settled')
  assert.equal(queue.unstoredBytes(0), 0, 'and what was done waits for no disk')
  queue.giveUp('undelivered')
  assert.deepEqual(queue.dropped(0), { undelivered: 1 })
  assert.deepEqual(queue.waiting(0), { memory: 0, disk: 0 })
})

function record(id: number): { key: Uint8Array; value: Uint8Array; timeMs: number } {
  const value = new Uint8Array(valueBytes)
  new DataView(value.buffer).setUint32(0, id)
  return { key: new Uint8Array(0), value, timeMs: 0 }
}

function idsOf({ buffer, length, count }: Pick<WaitingFrame, 'buffer' | 'length' | 'count'>): number[] {
  const frame = buffer.subarray(0, length)
  stampHeader(frame, { flags: 0, partition: 0, producer: zero, origin: zero, epoch: 1, count, sequence: 0 })
  return [...recordsOf(frame, parseFrame(frame))].map(({ value }) =>
    new DataView(value.buffer, value.byteOffset).getUint32(0),
  )
}

const partition = fc.nat(partitions - 1)
const action = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constant('add' as const), partition, fc.integer({ min: 1, max: 12 })) },
  { weight: 4, arbitrary: fc.tuple(fc.constant('shift' as const), partition, fc.constant(0)) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('cut' as const), partition, fc.constant(0)) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('store' as const), fc.constant(0), fc.nat(9)) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('readBack' as const), partition, fc.nat(9)) },
  { weight: 1, arbitrary: fc.tuple(fc.constant('time' as const), fc.constant(0), fc.nat(800)) },
)

function act(model: Model, [kind, at, number]: [string, number, number]): void {
  if (kind === 'add') model.add(at, number)
  else if (kind === 'shift') model.shift(at)
  else if (kind === 'cut') model.cut(at)
  else if (kind === 'store') model.store(number === 0)
  else if (kind === 'readBack') model.readBack(at, number === 0)
  else model.time(number)
  model.check()
}

for (const mode of ['enqueue', 'dropHead', 'dropTail'] as const) {
  test(`LaneQueue with ${mode} keeps order, account and budget in any sequence of events`, () => {
    const reasons = new Set<string>()
    fc.assert(
      fc.property(fc.array(action, { minLength: 20, maxLength: 120, size: 'max' }), (actions) => {
        const model = new Model(mode)
        for (const step of actions) act(model, step)
        model.drain()
        model.check()
        for (let p = 0; p < partitions; p++)
          for (const reason of Object.keys(model.queue.dropped(p))) reasons.add(reason)
      }),
      { numRuns: 500 },
    )
    const all = {
      enqueue: ['expired', 'queueFull', 'spillLost', 'storeFull'],
      dropHead: ['dropHead'],
      dropTail: ['dropTail'],
    }
    assert.deepEqual([...reasons].sort(), all[mode], 'every way to drop was gone')
  })
}

test('LaneQueue keeps the newest records of all partitions with dropHead, and the oldest with dropTail', () => {
  for (const mode of ['dropHead', 'dropTail'] as const) {
    const queue = new LaneQueue(2, { mode, bytesMax: 40 * 1024, ageMaxMs: 1000 }, () => undefined)
    // Frames that are too large to grow together, in turn.
    for (let i = 0; i < 10; i++)
      queue.add(
        i % 2,
        frameOf([{ ...record(i), value: Object.assign(new Uint8Array(9_000), record(i).value.slice(0, 4)) }]),
        1,
        0,
      )
    const kept = [0, 1].flatMap((p) => {
      const ids: number[] = []
      while (queue.head(p) !== undefined) ids.push(...idsOf(queue.shift(p)))
      return ids
    })
    assert.deepEqual(kept.sort(), mode === 'dropHead' ? [6, 7, 8, 9] : [0, 1, 2, 3])
  }
})

test('LaneQueue drains what is on disk when its mode changes', () => {
  const model = new Model('enqueue')
  model.add(0, 5)
  model.cut(0)
  model.store(false)
  model.queue.policy = { mode: 'dropHead', bytesMax, ageMaxMs: 1000 }
  model.add(0, 12)
  model.drain()
  const [left] = model.left
  assert.deepEqual(left!.slice(0, 5), [0, 1, 2, 3, 4])
  assert.equal(left!.at(-1), 16)
})
