/** Each grouping as users reach it: where each single record comes, and that it comes there once and in order. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Grouping } from '../../sdk/function.ts'
import { Platform, Reader } from './platform.ts'

const instances = 3
const partitions = 12
const keys = 60
const records = 2400
/** Two of them are more than a frame holds: so each is a turn of its own. */
const largeBytes = 17_000

const streams = {
  keyed: 'groupBy',
  shuffled: 'shuffle',
  turns: 'roundRobin',
  told: 'broadcast',
  near: 'local',
  placed: 'explicit',
} as const satisfies Record<string, Grouping>
type Stream = keyof typeof streams
const names = Object.keys(streams) as Stream[]

/** Gives each number to the stream that its key names. */
const spread = `
import { defineFunction, groupBy } from 'concord'
const large = ' '.repeat(${largeBytes}), middling = ' '.repeat(200)
export default defineFunction({
  metadata: { name: 'spread', istreams: { numbers: groupBy }, ostreams: ${JSON.stringify(names)} },
  processRecord(ctx, record) {
    const stream = record.keyText(), number = Number(record.text())
    const value = number + (stream === 'turns' ? large : middling)
    const options = stream === 'placed' ? { partition: number % ${partitions} } : {}
    ctx.produceRecord(stream, 'key' + number % ${keys}, value, options)
  },
})`
/** Says who has seen which number, and the how many-th of its partition that was by the state. */
const reader = (stream: Stream) => `
import { defineFunction } from 'concord'
export default defineFunction({
  metadata: { name: 'read-${stream}', istreams: { ${stream}: '${streams[stream]}' }, ostreams: ['seen'] },
  processRecord(ctx, record) {
    const { stream, partition } = record
    const count = ctx.counter('all').add()
    const seen = { stream, partition, key: record.keyText(), number: Number(record.text()), instance: ctx.instance, count }
    ctx.produceRecord('seen', '', JSON.stringify(seen))
  },
})`

interface Seen {
  readonly stream: Stream
  readonly partition: number
  readonly key: string
  readonly number: number
  readonly instance: number
  readonly count: number
}

test('each grouping brings each record where it says, and so it does while instances come and go', {
  timeout: 400_000,
}, async (t) => {
  const run = await Run.start(t)
  const all = range(instances)

  await t.test('groupBy: a key has one instance, and its records their order', async () => {
    const seen = await run.send('keyed')
    assertEachOnce(seen)
    assertInOrder(seen)
    assert.equal(placesOf(seen, 'key', 'instance').size, keys)
    assert.deepEqual(instancesOf(seen), all)
  })
  for (const stream of ['shuffled', 'near'] as const)
    await t.test(`${streams[stream]}: each record comes once, and all instances get some`, async () => {
      const seen = await run.send(stream)
      assertEachOnce(seen)
      assertInOrder(seen)
      assert.deepEqual(instancesOf(seen), all)
    })
  await t.test('roundRobin: each record comes once, and all partitions get as many', async () => {
    const seen = await run.send('turns')
    assertEachOnce(seen)
    assertInOrder(seen)
    const shares = [...Map.groupBy(seen, ({ partition }) => partition).values()].map(({ length }) => length)
    assert.deepEqual(shares, Array(partitions).fill(records / partitions))
    assert.deepEqual(instancesOf(seen), all)
  })
  await t.test('broadcast: each instance gets each record once', async () => {
    const seen = await run.send('told', records, instances)
    assert.deepEqual(instancesOf(seen), all)
    for (const one of Map.groupBy(seen, ({ instance }) => instance).values()) {
      assertEachOnce(one)
      assertInOrder(one)
    }
  })
  await t.test('explicit: a record comes to the owner of its partition, in order', async () => {
    const seen = await run.send('placed')
    assertEachOnce(seen)
    assertInOrder(seen)
    assert.ok(seen.every(({ number, partition }) => partition === number % partitions))
    assert.equal(placesOf(seen, 'partition', 'instance').size, partitions)
    assert.deepEqual(instancesOf(seen), all)
  })

  const steps = [2, 3, 1, 3]
  await t.test(
    'a function that is idle is scaled: keys go to all who are there, with their state',
    async () => {
      for (const next of steps) {
        await run.scale('keyed', next)
        await run.sendUntilAllTakePart('keyed', next)
      }
    },
  )
  await t.test('and while records flow', async (t) => {
    let over = false
    t.after(() => (over = true))
    const flowing = run.flow('keyed', () => over)
    for (const next of steps) await run.scale('keyed', next)
    over = true
    await flowing
    await run.sendUntilAllTakePart('keyed', instances)
  })
  await t.test('nothing is lost or twice over all of it', async () => {
    const seen = run.seen('keyed')
    assertEachOnce(seen)
    assertInOrder(seen)
    for (const records of Map.groupBy(seen, ({ partition }) => partition).values()) {
      const moves = inOrder(records).filter(
        ({ instance }, i, list) => i > 0 && list[i - 1]!.instance !== instance,
      )
      assert.ok(moves.length <= 2 * steps.length, `${moves.length} moves in ${2 * steps.length} steps`)
    }
    for (const stream of names) await run.assertSound(stream)
  })
})

/** A platform with a function for each grouping, and all that they have seen. */
class Run {
  readonly #platform: Platform
  readonly #reader: Reader
  readonly #sent = new Map<Stream, number>()
  #expected = 0

  private constructor(platform: Platform, reader: Reader) {
    this.#platform = platform
    this.#reader = reader
  }

  static async start(t: TestContext): Promise<Run> {
    const platform = await Platform.start(t)
    const create = (stream: string, count: number) =>
      platform.json(['stream', 'create', stream, '--partitions', String(count)])
    await Promise.all([create('numbers', 1), ...names.map((stream) => create(stream, partitions))])
    const packed = ['--pack', 'tiny', '--per-runner', '10', '--mem', '40', '--cpus', '0.05', '--no-wait']
    const several = [...packed, '--instances', String(instances)]
    await platform.deploy('spread', spread, packed)
    for (const stream of names) await platform.deploy(stream, reader(stream), several)
    for (const name of ['spread', ...names.map((stream) => `read-${stream}`)])
      await platform.until(name, ({ state }) => state === 'running')
    return new Run(platform, await Reader.start(t, platform, ['seen', '--hold']))
  }

  /** Sends so many further numbers to a stream and waits until they are seen. @returns All that were seen there. */
  async send(stream: Stream, count = records, copies = 1): Promise<Seen[]> {
    const lines = this.#next(stream, count, copies).map((record) => JSON.stringify(record))
    await this.#platform.json(['produce', 'numbers', '--ndjson'], lines.join('\n'))
    await this.#reader.read(this.#expected)
    return this.seen(stream)
  }

  /** Sends on and on, with up to a thousand under way. */
  async flow(stream: Stream, isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      await this.#platform.client.produce('numbers', this.#next(stream, 200, 1))
      await this.#reader.read(this.#expected - 1000)
    }
    await this.#reader.read(this.#expected)
  }

  #next(stream: Stream, count: number, copies: number) {
    const from = this.#sent.get(stream) ?? 0
    this.#sent.set(stream, from + count)
    this.#expected += count * copies
    return range(count).map((i) => ({ key: stream, value: String(from + i) }))
  }

  seen(stream: Stream): Seen[] {
    return this.#reader.records
      .map(({ value }) => JSON.parse(String(value)) as Seen)
      .filter((seen) => seen.stream === stream)
  }

  /** A share may be on its way when `fn scale` answers; who never gets his is waited for in vain. */
  async sendUntilAllTakePart(stream: Stream, count: number): Promise<void> {
    for (;;) {
      const before = this.#sent.get(stream)!
      const seen = await this.send(stream, 4 * keys)
      const latest = seen.filter(({ number }) => number >= before)
      if (isEqual(instancesOf(latest), range(count))) return
    }
  }

  async scale(stream: Stream, count: number): Promise<void> {
    await this.#platform.json(['fn', 'scale', `read-${stream}`, String(count)])
  }

  /** The platform's own account agrees with what was sent. */
  async assertSound(stream: Stream): Promise<void> {
    const count = this.#sent.get(stream)! * (streams[stream] === 'broadcast' ? instances : 1)
    const { ledger } = await this.#platform.until(
      `read-${stream}`,
      ({ ledger: [row] }) => row?.inFlight === 0 && row.processed >= count,
    )
    const { sent, processed, dropped, unaccounted, stateLost } = ledger[0]!
    assert.deepEqual(
      { sent, processed, dropped, unaccounted, stateLost },
      { sent: count, processed: count, dropped: {}, unaccounted: 0, stateLost: 0 },
    )
  }
}

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i)
const isEqual = (a: readonly number[], b: readonly number[]): boolean => a.join() === b.join()
const inOrder = (seen: readonly Seen[]): Seen[] => seen.toSorted((a, b) => a.count - b.count)
const instancesOf = (seen: readonly Seen[]): number[] =>
  [...new Set(seen.map(({ instance }) => instance))].sort()

/** The pairs of two of their properties that occur. */
function placesOf(seen: readonly Seen[], one: keyof Seen, other: keyof Seen): Set<string> {
  return new Set(seen.map((each) => `${each[one]} ${each[other]}`))
}

/** All numbers from 0 on are there, each once. */
function assertEachOnce(seen: readonly Seen[]): void {
  const numbers = seen.map(({ number }) => number).sort((a, b) => a - b)
  assert.ok(isEqual(numbers, range(seen.length)), 'each number once')
}

/** In each partition the state has counted 1, 2, 3 …, and the numbers came as they were sent. */
function assertInOrder(seen: readonly Seen[]): void {
  for (const [partition, records] of Map.groupBy(seen, (each) => each.partition)) {
    const list = inOrder(records)
    const isOrdered = list.every(
      ({ number, count }, i) => count === i + 1 && (i === 0 || list[i - 1]!.number < number),
    )
    assert.ok(isOrdered, `partition ${partition}: counted 1, 2, 3 …, in the order of the numbers`)
  }
}
