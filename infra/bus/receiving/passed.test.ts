import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { creditFlags } from '../messages/credit.ts'
import { passedBytesFor, passedBytesMax } from '../messages/windows.ts'
import { creditOf, type InChannel, openAt, openChannel } from './in-channel.ts'
import { Passed, type PassedFrame } from './passed.ts'

/** What a channel got of frames of `bytes` each, told by first sequence and count. */
function handedOn(frames: readonly (readonly [number, number])[], from: number, bytes = 100) {
  const passed = new Passed()
  const header = {
    producer: 'p',
    origin: 'o',
    epoch: 1,
    flags: 0,
    partition: 0,
    headerBytes: 48,
    creditVersion: 1,
    bodyBytes: 0,
  }
  for (const [sequence, count] of frames)
    passed.keep({ ...header, sequence, count }, new Uint8Array(bytes), passedBytesMax)
  const channel = openChannel(header, 0)
  openAt(channel, from)
  const got: number[] = []
  const accept = (to: InChannel, { header: { sequence, count } }: PassedFrame): void => {
    got.push(sequence)
    to.expected = sequence + count
  }
  const whole = passed.handOn(new Map([['p', channel]]), accept).includes(channel)
  return { got, whole, expected: channel.expected }
}

test('Passed hands on the frames that follow a position, and says whether any behind them is missing', () => {
  const frames = [
    [0, 3],
    [3, 3],
    [6, 3],
  ] as const
  assert.deepEqual(handedOn(frames, 4), { got: [3, 6], whole: true, expected: 9 })
  assert.deepEqual(handedOn(frames, 9), { got: [], whole: false, expected: 9 })
  assert.deepEqual(handedOn(frames.slice(1), 0), { got: [], whole: false, expected: 0 })
  assert.deepEqual(handedOn([...frames, [12, 3]], 6), { got: [6], whole: false, expected: 9 })
})

test('Passed keeps the newest frames within its bound (PA1)', () => {
  const bytes = 1000
  const count = Math.ceil(passedBytesMax / bytes) + 10
  const frames = Array.from({ length: count }, (_, i) => [i, 1] as const)
  assert.equal(handedOn(frames, 0, bytes).got.length, 0)
  const oldest = count - Math.floor(passedBytesMax / bytes)
  assert.equal(handedOn(frames, oldest, bytes).got.length, count - oldest)
})

test('frames kept for many awaited partitions are bounded in total', () => {
  const awaited = (count: number) => new Array(count).fill({ epoch: undefined })
  const owned = new Array(1000).fill({ epoch: 1 })
  assert.equal(passedBytesFor(owned), passedBytesMax)
  assert.equal(passedBytesFor([...owned, ...awaited(1)]), passedBytesMax)
  assert.ok(1000 * passedBytesFor(awaited(1000)) <= 16 * passedBytesMax)
})

test('Passed hands on an unbroken run from the position, whatever was lost or came twice', () => {
  const frames = fc.array(fc.tuple(fc.nat(40), fc.integer({ min: 1, max: 8 })), { maxLength: 30 })
  fc.assert(
    fc.property(frames, fc.nat(40), (all, from) => {
      let expected = from
      for (const [sequence, count] of all)
        if (sequence <= expected && sequence + count > expected) expected = sequence + count
      assert.equal(handedOn(all, from).expected, expected)
    }),
  )
})

test('creditOf grants in the name of the next owner half of what is kept until that has claimed', () => {
  const place = { stream: 's', partition: 0 }
  const channel = openChannel({ producer: 'p', origin: 'o', epoch: 1 }, 0)
  const granted = (windowBytes: number): number =>
    creditOf(place, channel, creditFlags.leaving, windowBytes, { owner: 'b', epoch: 2 }).windowBytes
  assert.deepEqual([granted(1e6), granted(1000)], [passedBytesMax / 2, 1000])
  assert.equal(creditOf(place, channel, creditFlags.leaving, 1e6).windowBytes, 0, 'there is no next one')
})
