import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../infra/clock.ts'
import { HeapWatch } from './heap-watch.ts'

const mib = 2 ** 20

test('HeapWatch asks for a new isolate when the heap stays full, not because of garbage (HW1, HW2)', () => {
  const clock = new ManualClock(0)
  const asked: number[] = []
  const watch = new HeapWatch(
    clock,
    () => 100,
    (bytes) => asked.push(bytes / mib),
  )
  const isolate = { isEnded: false, heapMib: 0, stats: () => ({ heapBytes: isolate.heapMib * mib }) }
  const pass = (ms: number, heapMib: (ms: number) => number): void => {
    for (let i = 0; i < ms; i += 10) {
      clock.advance(10)
      isolate.heapMib = heapMib(i)
      watch.look(isolate)
    }
  }
  pass(20_000, (ms) => (ms % 900 < 700 ? 95 : 30)) // collected now and then
  assert.deepEqual(asked, [])
  pass(1_000, () => 79)
  assert.deepEqual(asked, [])
  pass(2_000, (ms) => 81 + (ms % 300) / 100)
  assert.equal(asked.length, 1)
  assert.ok(asked[0]! >= 81 && asked[0]! < 82)
  pass(7_000, () => 90)
  assert.equal(asked.length, 1, 'it rests')
  pass(3_000, () => 90)
  assert.equal(asked.length, 2)
})

test('HeapWatch starts again with another isolate, and ignores one that has ended', () => {
  const clock = new ManualClock(0)
  let asked = 0
  const watch = new HeapWatch(
    clock,
    () => 100,
    () => asked++,
  )
  for (let i = 0; i < 40; i++) {
    clock.advance(500)
    watch.look({ isEnded: false, stats: () => ({ heapBytes: 95 * mib }) })
    watch.look({ isEnded: true, stats: () => assert.fail('it has ended') })
  }
  assert.equal(asked, 0)
})
