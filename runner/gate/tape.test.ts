import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { takeMemory } from '../../infra/bus/index.ts'
import { ManualClock } from '../../infra/clock.ts'
import { frame, record } from '../isolate/testing/harness.ts'
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

const noteBytes = 24

test('Tape holds the newest frames within its bytes and time, and always the newest quarter of its bytes', async () => {
  const step = fc.record({ bytes: fc.integer({ min: 1, max: 3_000 }), ms: fc.integer({ min: 0, max: 400 }) })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const clock = new ManualClock(1_000)
      const bounds = { bytes: 20_000, ms: 2_000 }
      const tape = new Tape(clock, () => bounds)
      const all: { atMs: number; bytes: number }[] = []
      for (const [sequence, { bytes, ms }] of steps.entries()) {
        clock.advance(ms)
        const one = taken(sequence, bytes)
        all.push({ atMs: clock.nowMs(), bytes: one.bytes.length + noteBytes })
        tape.keep(one)
      }
      const newestMs = all.at(-1)?.atMs ?? 0
      const fitting = (bytesMax: number): number => {
        let [count, bytes] = [0, 0]
        for (const one of all.toReversed()) {
          bytes += one.bytes
          if (bytes > bytesMax || newestMs - one.atMs > bounds.ms) break
          count++
        }
        return count
      }
      const found = await tape.read((frames) =>
        Promise.resolve(
          frames.map(({ header, bytes, atMs }) => ({
            ...{ sequence: header.sequence, atMs, bytes: bytes.length + noteBytes },
          })),
        ),
      )
      assert.ok(found.length >= fitting(bounds.bytes / 4))
      assert.ok(found.length <= fitting(bounds.bytes))
      assert.deepEqual(
        found,
        all.map((one, sequence) => ({ sequence, ...one })).slice(all.length - found.length),
      )
      assert.equal(tape.lostMs, all[all.length - found.length - 1]?.atMs ?? Number.NEGATIVE_INFINITY)
    }),
  )
})

test('Tape gives a frame’s memory back, reuses its own, and does not overwrite what is being read', async () => {
  const clock = new ManualClock(1_000)
  const tape = new Tape(clock, () => ({ bytes: 4_000, ms: 60_000 }))
  const keep = (count: number): Set<ArrayBufferLike> =>
    new Set(
      Array.from({ length: count }, (_, sequence) => {
        const one = taken(sequence, 100)
        tape.keep(one)
        return one.bytes.buffer
      }),
    )
  const segments = (): Promise<ArrayBufferLike[]> =>
    tape.read((frames) => Promise.resolve(frames.map(({ bytes }) => bytes.buffer)))
  assert.ok(keep(200).size < 3)
  const held = new Set(await segments())
  for (let turn = 0; turn < 50; turn++) {
    keep(10)
    for (const buffer of await segments()) held.add(buffer)
  }
  assert.ok(held.size < 10, `${held.size} segments`)
  await tape.read((frames) => {
    const copies = frames.map(({ bytes }) => Buffer.from(bytes).toString('hex'))
    keep(200)
    assert.deepEqual(
      frames.map(({ bytes }) => Buffer.from(bytes).toString('hex')),
      copies,
    )
    return Promise.resolve()
  })
})

test('Tape keeps nothing when it is switched off, and less when its bound shrinks', async () => {
  const clock = new ManualClock(1_000)
  const bounds = { bytes: 0, ms: 0 }
  const tape = new Tape(clock, () => ({ ...bounds }))
  tape.keep(taken(0, 10))
  assert.deepEqual([await sequences(tape), tape.lostMs], [[], 1_000])
  Object.assign(bounds, { bytes: 40_000, ms: 60_000 })
  for (let sequence = 1; sequence < 31; sequence++) tape.keep(taken(sequence, 1_000))
  assert.equal((await sequences(tape)).length, 30)
  bounds.bytes = 10_000
  tape.keep(taken(31, 1_000))
  const left = await sequences(tape)
  assert.ok(left.length > 0 && left.length < 10 && left.at(-1) === 31, String(left))
})
