import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { limitKeptMemory } from '../../infra/bus/index.ts'
import { ManualClock } from '../../infra/clock.ts'
import { Relief } from './relief.ts'

function setUp(t: TestContext) {
  t.after(() => limitKeptMemory())
  const clock = new ManualClock()
  const did: string[] = []
  const held = { share: 0.5, ahead: 0 }
  let givenBackMs = Number.NEGATIVE_INFINITY
  const relief = new Relief({
    clock,
    memory: {
      bytes: () => held.share * 1000,
      bytesMax: 1000,
      giveBack: (everyMs = 0) => {
        if (clock.monotonicMs() - givenBackMs < everyMs) return false
        givenBackMs = clock.monotonicMs()
        did.push('give back')
        return true
      },
    },
    workers: new Map([
      [
        'count-0',
        {
          get bytesAhead() {
            return held.ahead
          },
          narrow: (isShort) => did.push(isShort ? 'narrow' : 'widen'),
          relieve: () => did.push('relieve'),
          wake: () => did.push('wake'),
        },
      ],
    ]),
    onFull: () => did.push('warn'),
  })
  /** What happens within so many milliseconds while so much is in use. */
  const after = (ms: number, share: number): readonly string[] => {
    held.share = share
    clock.advance(ms)
    return did.splice(0)
  }
  return { relief, after, held, did }
}

test('Relief gives back what is only kept, and narrows the windows, before memory is full (RF1, RF2)', (t) => {
  const { relief, after } = setUp(t)
  assert.deepEqual(after(1000, 0.84), [])
  assert.deepEqual(after(100, 0.86), ['narrow', 'give back', 'relieve'])
  assert.ok(relief.isShort && !relief.isFull)
  assert.deepEqual(after(9_000, 0.86), [], 'not again so soon')
  assert.deepEqual(after(1_000, 0.86), ['give back', 'relieve'])
  assert.deepEqual(after(1_000, 0.8), [], 'it stays short until there is ample room')
  assert.deepEqual(after(100, 0.7), ['widen'])
  assert.ok(!relief.isShort)
})

test('Relief slows a full process down, says so once a minute, and lets it go on each turn (RF1, RF3)', (t) => {
  const { relief, after } = setUp(t)
  assert.deepEqual(after(100, 0.95), ['narrow', 'give back', 'relieve', 'warn'])
  const { turn } = relief
  assert.ok(relief.isFull)
  assert.deepEqual(after(100, 0.95), ['wake'])
  assert.equal(relief.turn, turn + 1)
  const minute = after(60_000, 0.95)
  assert.equal(minute.filter((what) => what === 'relieve').length, 60, 'every second')
  assert.equal(minute.filter((what) => what === 'warn').length, 1)
  assert.deepEqual(after(100, 0.88), ['wake'], 'the last turn that waits')
  assert.ok(relief.isShort && !relief.isFull)
  assert.deepEqual(after(100, 0.88), [])
})

test('Relief counts what a checkpoint may copy yet, as soon as it begins (RF4)', (t) => {
  const { relief, after, held, did } = setUp(t)
  assert.deepEqual(after(100, 0.8), [])
  held.ahead = 150
  relief.look()
  assert.ok(relief.isFull)
  assert.deepEqual(did.splice(0), ['narrow', 'give back', 'relieve', 'warn'])
})
