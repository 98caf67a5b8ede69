import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { takeMemory } from '../../infra/bus/index.ts'
import { ManualClock } from '../../infra/clock.ts'
import { frame, record } from '../isolate/harness.ts'
import { Tape } from './tape.ts'

/** A frame in the memory that frames come in. */
function taken(sequence: number, bytes: number) {
  const { bytes: whole, ...rest } = frame([record('x'.repeat(bytes))], 0, sequence)
  const memory = takeMemory(whole.length)
  memory.set(whole)
  return { ...rest, bytes: memory, finished: 1 }
}

const sequences = (tape: Tape): Promise<number[]> =>
  tape.read((frames) => Promise.resolve(frames.map(({ header }) => header.sequence)))

test('Tape holds the newest, as many as fit into its bytes, none older than its time before the newest', async () => {
  const step = fc.record({ bytes: fc.integer({ min: 1, max: 3_000 }), ms: fc.integer({ min: 0, max: 400 }) })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const clock = new ManualClock(1_000)
      const bounds = { bytes: 20_000, ms: 2_000 }
      const tape = new Tape(clock, () => bounds)
      const all: { atMs: number; size: number }[] = []
      for (const [sequence, { bytes, ms }] of steps.entries()) {
        clock.advance(ms)
        const one = taken(sequence, bytes)
        all.push({ atMs: clock.nowMs(), size: one.bytes.buffer.byteLength + 256 })
        tape.keep(one)
      }
      let [from, size] = [all.length, 0]
      const newest = all.at(-1)?.atMs ?? 0
      while (
        from > 0 &&
        size + all[from - 1]!.size <= bounds.bytes &&
        newest - all[from - 1]!.atMs <= bounds.ms
      )
        size += all[--from]!.size
      const found = await sequences(tape)
      // What came is let go of in order: what has gone for a large one does not come back.
      assert.ok(found.length <= all.length - from)
      assert.deepEqual(found, all.map((_, index) => index).slice(all.length - found.length))
      if (all.length > 0 && all.at(-1)!.size <= bounds.bytes) assert.ok(found.length > 0)
      assert.equal(tape.lostMs, all[all.length - found.length - 1]?.atMs ?? Number.NEGATIVE_INFINITY)
    }),
  )
})

test('Tape gives memory back that nobody reads, and leaves what is read as it is', async () => {
  const clock = new ManualClock(1_000)
  const tape = new Tape(clock, () => ({ bytes: 2_000, ms: 60_000 }))
  /** In how much memory that many frames have come. */
  const blocksOf = (count: number): number => {
    const buffers = Array.from({ length: count }, (_, sequence) => {
      const one = taken(sequence, 500)
      tape.keep(one)
      return one.bytes.buffer
    })
    return new Set(buffers).size
  }
  assert.ok(blocksOf(200) < 10)
  const first = taken(0, 500)
  tape.keep(first)
  await tape.read((frames) => {
    const before = Buffer.from(frames[0]!.bytes).toString('hex')
    assert.equal(blocksOf(200), 200)
    assert.equal(Buffer.from(frames[0]!.bytes).toString('hex'), before)
    return Promise.resolve()
  })
  assert.ok(blocksOf(200) < 10)
  const none = new Tape(clock, () => ({ bytes: 0, ms: 0 }))
  none.keep(taken(0, 10))
  assert.deepEqual(await sequences(none), [])
})
