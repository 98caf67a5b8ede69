import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { sumOfCounts } from '../../control/counts.ts'
import type { ConsumerDescriptor } from '../../control/messages/streams.ts'
import { type Action, action, Bench, run, stream, withOwners } from '../channel-contract.ts'
import type { Spill } from './lane.ts'

/** A disk in memory: it answers when it is told to, and is full when it is told to be. */
class SimSpill implements Spill {
  readonly #chunks = new Map<number, Uint8Array>()
  #waiting: (() => void)[] = []
  #puts = 0
  isFull = false
  isPaused = false

  async put(_place: unknown, chunk: Uint8Array): Promise<number | undefined> {
    await this.#turn()
    if (this.isFull) return undefined
    this.#chunks.set(++this.#puts, chunk)
    return this.#puts
  }

  async take(number: number): Promise<Uint8Array | undefined> {
    await this.#turn()
    const chunk = this.#chunks.get(number)
    assert.ok(chunk, `chunk ${number} is read once, and while it is there`)
    this.#chunks.delete(number)
    return chunk
  }

  resume(): void {
    this.isPaused = false
    for (const answer of this.#waiting.splice(0)) answer()
  }

  get chunks(): number {
    return this.#chunks.size
  }

  async #turn(): Promise<void> {
    if (this.isPaused) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }
}

type Step = Action | { readonly kind: 'disk'; readonly state: 'paused' | 'full' | 'well' }
const disk = fc.record({
  kind: fc.constant('disk' as const),
  state: fc.constantFrom('paused' as const, 'full' as const, 'well' as const),
})
const quiet = fc.oneof({ weight: 12, arbitrary: action }, { weight: 2, arbitrary: disk })
const rough = fc.oneof({ weight: 12, arbitrary: withOwners }, { weight: 2, arbitrary: disk })

const modes = ['enqueue', 'dropHead', 'dropTail'] as const

/** Beside the queueing consumer one that reads along and blocks nobody. */
function inputOf(backPressure: ConsumerDescriptor['backPressure']): typeof stream {
  return {
    ...stream,
    consumers: [
      { name: 'f', backPressure },
      { name: 'other', backPressure: 'none' },
    ],
  }
}

async function historyOf(mode: (typeof modes)[number], steps: readonly Step[]): Promise<Bench> {
  const spill = new SimSpill()
  const bench = new Bench(2, 16_384, inputOf(mode), spill)
  for (const { producer } of bench.producers) small(producer)
  for (const step of steps) {
    if (step.kind === 'disk') {
      spill.isFull = step.state === 'full'
      spill.isPaused = step.state === 'paused'
      if (!spill.isPaused) spill.resume()
    } else {
      await run(bench, [step], async (how) => {
        await bench.endOwner(how)
        bench.newOwner()
      })
    }
    for (const { producer, sent } of bench.producers) {
      const row = producer.ledger().find(({ consumer }) => consumer === 'f')!
      assert.equal(row.sent, sent[0]! + sent[1]!, 'at any time (I7)')
      assert.ok(row.sent - row.acked - row.unaccounted >= (row.spilled ?? 0))
    }
  }
  spill.isFull = false
  spill.resume()
  await bench.settle()
  assert.equal(spill.chunks, 0, 'nothing is left on disk')
  return bench
}

/** A budget that a few frames pass. */
function small(producer: Bench['producers'][number]['producer']): void {
  const descriptor = producer.stream('s')!
  producer.setStream({
    ...descriptor,
    consumers: descriptor.consumers.map((c) => (c.name === 'f' ? { ...c, queueMib: 4096 / 2 ** 20 } : c)),
  })
}

for (const mode of modes) {
  test(`a lane with ${mode} keeps order, repeats nothing and counts each record dropped, through broken connections`, async () => {
    const seen = { dropped: 0, processed: 0 }
    await fc.assert(
      fc.asyncProperty(fc.array(quiet, { minLength: 10, maxLength: 80, size: 'max' }), async (steps) => {
        const bench = await historyOf(mode, steps)
        for (const [index, { producer, sent }] of bench.producers.entries()) {
          const row = producer.ledger().find(({ consumer }) => consumer === 'f')!
          const processed = orderedRecords(bench, index)
          assert.equal(row.sent, sent[0]! + sent[1]!)
          assert.equal(row.unaccounted, 0)
          assert.equal(row.acked, row.sent)
          assert.equal(processed + sumOfCounts(row.dropped), row.sent)
          seen.dropped += sumOfCounts(row.dropped)
          seen.processed += processed
        }
      }),
      { numRuns: 150 },
    )
    assert.ok(seen.dropped > 0 && seen.processed > 0, JSON.stringify(seen))
  })

  test(`a lane with ${mode} accounts exactly for owners that leave or are killed`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(rough, { minLength: 10, maxLength: 80, size: 'max' }), async (steps) => {
        const bench = await historyOf(mode, steps)
        for (const [index, { producer, sent }] of bench.producers.entries()) {
          const row = producer.ledger().find(({ consumer }) => consumer === 'f')!
          const missing = row.sent - orderedRecords(bench, index) - sumOfCounts(row.dropped)
          assert.equal(row.sent, sent[0]! + sent[1]!)
          assert.equal(row.acked + row.unaccounted, row.sent)
          assert.ok(missing >= 0 && missing <= row.unaccounted, `missing ${missing} of ${row.unaccounted}`)
        }
      }),
      { numRuns: 150 },
    )
  })
}

/** What the sink was given of a producer. @returns How many. */
function orderedRecords(bench: Bench, producer: number): number {
  let records = 0
  for (const partition of [0, 1]) {
    const seen = bench.seen.get(`${producer} ${partition}`) ?? []
    assert.deepEqual(
      seen,
      [...new Set(seen)].sort((a, b) => a - b),
      'in order, none twice',
    )
    records += seen.length
  }
  return records
}

test('a consumer that drops and one that blocks do not hold each other back', async () => {
  const input = {
    ...stream,
    consumers: [
      { name: 'f', backPressure: 'block' as const },
      { name: 'slow', backPressure: 'dropHead' as const, queueMib: 4096 / 2 ** 20 },
    ],
  }
  const bench = new Bench(1, 16_384, input)
  const { producer } = bench.producers[0]!
  for (let i = 0; i < 100; i++) {
    bench.send(0, 0, 40)
    await bench.settleMain()
  }
  const of = (name: string) => producer.ledger().find(({ consumer }) => consumer === name)!
  assert.equal(of('f').acked, 4000)
  assert.equal(of('slow').sent, 4000)
  assert.ok(of('slow').dropped['dropHead']! > 3000, 'nobody reads it, and the queue is small')
})

test('a later function of the same name gets nothing of what waited for the earlier one, though the producer saw no moment without', async () => {
  const of = (createdAtMs: number): typeof stream => ({
    ...stream,
    consumers: [{ name: 'f', backPressure: 'enqueue', createdAtMs }],
  })
  const bench = new Bench(2, 16_384, of(1), new SimSpill())
  const { producer } = bench.producers[0]!
  const lane = producer.lane('f', stream.name)
  producer.setStream({ ...of(1), consumers: [{ ...of(1).consumers[0]!, queueMib: 1 }] })
  assert.equal(producer.lane('f', stream.name), lane)
  producer.setStream(of(2))
  assert.notEqual(producer.lane('f', stream.name), lane)
})
