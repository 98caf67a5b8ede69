import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ManifestInput, manifestSchema } from '../../sdk/manifest/manifest.ts'
import { checkCycles, checkPartitions, checkQueues } from './topology-checks.ts'

function fn(
  name: string,
  inputs: readonly string[],
  outputs: readonly string[],
  more: Partial<ManifestInput> = {},
) {
  const istreams = Object.fromEntries(inputs.map((stream) => [stream, { grouping: 'groupBy' as const }]))
  return manifestSchema.parse({ name, istreams, ostreams: [...outputs], ...more })
}

test('checkPartitions requires equal partitions for groupBy inputs only', () => {
  const partitions = (stream: string) => (stream === 'wide' ? 32 : 16)
  checkPartitions(fn('a', ['x', 'y'], []), partitions)
  const mixed = { istreams: { x: { grouping: 'groupBy' as const }, wide: { grouping: 'shuffle' as const } } }
  checkPartitions(fn('a', [], [], mixed), partitions)
  assert.throws(() => checkPartitions(fn('a', ['x', 'wide'], []), partitions), /'x' has 16, 'wide' has 32/)
})

test('checkCycles names a cycle whose inputs all block', () => {
  const live = [fn('b', ['x'], ['y']), fn('c', ['y'], ['z']), fn('d', ['y'], ['other'])]
  assert.throws(() => checkCycles(fn('a', ['z'], ['x']), live), /a → x → b → y → c → z → a/)
  checkCycles(fn('a', ['in'], ['x']), live)
})

test('checkCycles accepts a cycle with an input that does not block, and a deploy that breaks a cycle', () => {
  const none = { istreams: { z: { grouping: 'groupBy' as const, backPressure: 'none' as const } } }
  const live = [fn('b', ['x'], ['z'])]
  checkCycles(fn('a', [], ['x'], none), live)
  checkCycles(fn('b', ['x'], []), [...live, fn('a', ['z'], ['x'])])
})

test('checkQueues allows a change of mode, but not between a queue and none', () => {
  const reads = (backPressure: 'block' | 'none' | 'enqueue' | 'dropHead') =>
    fn('a', [], [], { istreams: { x: { grouping: 'groupBy', backPressure } } })
  checkQueues(reads('dropHead'), undefined)
  checkQueues(reads('dropHead'), fn('a', ['y'], []))
  checkQueues(reads('enqueue'), reads('dropHead'))
  checkQueues(reads('none'), reads('block'))
  assert.throws(
    () => checkQueues(reads('dropHead'), reads('block')),
    /'x' is 'block' and cannot become 'dropHead' while the function is there.*concord fn rm a/,
  )
  assert.throws(() => checkQueues(reads('none'), reads('enqueue')), /cannot become 'none'/)
})

test('checkCycles sees a function that reads its own output', () => {
  assert.throws(() => checkCycles(fn('a', ['x'], ['x']), []), /a → x → a/)
})

test('checkCycles terminates if the live functions already have a cycle', () => {
  const live = [fn('b', ['x'], ['y']), fn('c', ['y'], ['x'])]
  checkCycles(fn('a', ['in'], ['x']), live)
})
