import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Grouping } from '../../../sdk/index.ts'
import { type ManifestInput, manifestSchema } from '../../../sdk/manifest/manifest.ts'
import { describeStreams, streamsOf } from './topology.ts'

const manifest = (input: ManifestInput) => manifestSchema.parse(input)

test('describeStreams lists partitions, keys and consumers, with followers that no other has replaced', () => {
  const streams = describeStreams({
    manifests: [
      manifest({ name: 'score', istreams: { clicks: { grouping: 'groupBy' } }, ostreams: ['verdicts'] }),
      manifest({ name: 'audit', istreams: { clicks: { grouping: 'shuffle', backPressure: 'none' } } }),
    ],
    readers: new Map(),
    streams: new Map([['clicks', { partitions: 4 }]]),
    followers: new Map([
      [
        'verdicts',
        new Map([
          ['x1', {}],
          ['x2', { instead: 'x1' }],
          ['y', {}],
        ]),
      ],
    ]),
  })
  assert.deepEqual(streams.get('clicks'), {
    name: 'clicks',
    partitions: 4,
    keyed: true,
    consumers: [
      { name: 'audit', backPressure: 'none' },
      { name: 'score', backPressure: 'block' },
    ],
  })
  assert.deepEqual(streams.get('verdicts'), {
    name: 'verdicts',
    partitions: 16,
    keyed: true,
    consumers: [
      { name: 'follower.x2', backPressure: 'block', instead: 'follower.x1' },
      { name: 'follower.y', backPressure: 'block' },
    ],
  })
})

test('describeStreams spreads a stream over partitions only if a function asks for it and none groups by key', () => {
  const keyed = (...groupings: readonly Grouping[]) => {
    const manifests = groupings.map((grouping, i) =>
      manifest({ name: `f${i}`, istreams: { s: { grouping } } }),
    )
    return describeStreams({
      ...{
        manifests,
        readers: new Map(),
        streams: new Map([['s', { partitions: 4 }]]),
        followers: new Map(),
      },
    }).get('s')?.keyed
  }
  assert.equal(keyed(), true, 'nobody reads it: who follows it sees the records of a key in order')
  assert.equal(keyed('broadcast'), true)
  assert.equal(keyed('explicit'), true)
  assert.equal(keyed('shuffle'), false)
  assert.equal(keyed('broadcast', 'roundRobin'), false)
  assert.equal(keyed('shuffle', 'groupBy'), true)
})

test('describeStreams counts a function that changes versions once, the wanted one first', () => {
  const streams = describeStreams({
    manifests: [
      manifest({ name: 'f', istreams: { a: { grouping: 'shuffle', backPressure: 'none' } } }),
      manifest({ name: 'f', istreams: { a: { grouping: 'groupBy' }, b: { grouping: 'shuffle' } } }),
    ],
    readers: new Map(),
    streams: new Map(),
    followers: new Map(),
  })
  assert.deepEqual(streams.get('a')?.consumers, [{ name: 'f', backPressure: 'none' }])
  assert.equal(streams.get('a')?.keyed, true, 'as long as the old one may still own a partition')
  assert.deepEqual(streams.get('b')?.consumers, [{ name: 'f', backPressure: 'block' }])
})

test('describeStreams counts each reader of a broadcast stream as a consumer, except those that are ending', () => {
  const readers = [
    { index: 0, retiring: false },
    { index: 3, retiring: true },
  ]
  const consumersOf = (backPressure: 'block' | 'dropTail', those = readers) =>
    describeStreams({
      manifests: [manifest({ name: 'f', istreams: { s: { grouping: 'broadcast', backPressure } } })],
      readers: new Map([['f', those]]),
      streams: new Map(),
      followers: new Map(),
    }).get('s')!.consumers
  assert.deepEqual(consumersOf('block'), [
    { name: 'f@0', backPressure: 'block' },
    { name: 'f@3', backPressure: 'none' },
  ])
  assert.deepEqual(consumersOf('dropTail'), [
    { name: 'f@0', backPressure: 'dropTail' },
    { name: 'f@3', backPressure: 'dropTail' },
  ])
  const none = [{ name: 'f@0', backPressure: 'block' }]
  assert.deepEqual(consumersOf('block', []), none, 'what comes waits for the first one')
  assert.deepEqual(consumersOf('block', [{ index: 0, retiring: true }]), none)
})

test('streamsOf names inputs and outputs, each once', () => {
  const istreams = { a: { grouping: 'groupBy' as const }, b: { grouping: 'shuffle' as const } }
  assert.deepEqual(streamsOf(manifest({ name: 'f', istreams, ostreams: ['b', 'c'] })), ['a', 'b', 'c'])
})
