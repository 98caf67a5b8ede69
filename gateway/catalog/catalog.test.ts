import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { InstanceStatus } from '../../infra/store/index.ts'
import { manifestSchema } from '../../sdk/manifest/manifest.ts'
import { descriptorOf, type LiveFunction, namedStreams, type Stream } from './catalog.ts'

type Seen = readonly [index: number, state?: InstanceStatus['state'], goes?: 'retiring' | 'leaving']

/** The consumers of a broadcast stream, as a gateway names them. */
function consumers(wanted: number, seen: readonly Seen[] | undefined): string[] {
  const instances = seen?.map(([index, state = 'running', goes]) => ({
    ...{ id: `f-${index}`, index, epoch: 1, version: 1, state, generation: 1, generationSeen: 1 },
    ...{ restarts: 0, since: 0 },
    ...(goes && { retiring: true as const }),
    ...(goes === 'leaving' && { leaving: true as const }),
  }))
  const manifest = manifestSchema.parse({ name: 'f', istreams: { s: { grouping: 'broadcast' } } })
  const live: LiveFunction = {
    name: 'f',
    document: { schema: 1, version: 1, instances: wanted, createdAtMs: 0 },
    version: { schema: 1, version: 1, bundleSha256: '', bundleBytes: 0, manifest, deployedAtMs: 0 },
    status: instances && {
      ...{ schema: 1, function: 'f', version: 1, instances },
      ended: { recordsIn: 0, recordsOut: 0, errors: 0, outputs: [] },
    },
  }
  const document = { schema: 1, partitions: 2, raw: false } as const
  const stream: Stream = { name: 's', document, producers: [], consumers: ['f'], followers: new Map() }
  const view = { functions: new Map([['f', live]]), streams: new Map([['s', stream]]) }
  return descriptorOf(view, stream).consumers.map(({ name, backPressure }) => `${name} ${backPressure}`)
}

test('descriptorOf lists the existing and the coming instances as consumers of a broadcast stream', () => {
  assert.deepEqual(consumers(2, undefined), ['f@0 block', 'f@1 block'], 'before the scheduler has seen it')
  assert.deepEqual(consumers(3, [[1]]), ['f@1 block', 'f@0 block', 'f@2 block'], 'the lowest free ones')
  assert.deepEqual(
    consumers(1, [[0], [1]]),
    ['f@0 block', 'f@1 block'],
    'until the scheduler has decided who goes',
  )
  assert.deepEqual(consumers(1, [[0], [1, 'draining', 'retiring']]), ['f@0 block', 'f@1 none'])
  assert.deepEqual(
    consumers(2, [[0], [1, 'draining', 'leaving']]),
    ['f@0 block', 'f@1 none'],
    'its count is lowered then',
  )
  assert.deepEqual(
    consumers(3, [[0], [1], [2, 'draining', 'retiring']]),
    ['f@0 block', 'f@1 block', 'f@2 block'],
    'the count was lowered, and raised again',
  )
  assert.deepEqual(
    consumers(3, [[1], [4, 'draining', 'leaving'], [7, 'draining', 'retiring']]),
    ['f@1 block', 'f@4 none', 'f@7 block'],
    'who leaves is counted still',
  )
  assert.deepEqual(consumers(2, [[0], [1, 'waiting', 'leaving']]), ['f@0 block'], 'it has gone')
  assert.deepEqual(consumers(2, [[0], [1, 'backingOff']]), ['f@0 block', 'f@1 block'], 'it comes back')
})

test('namedStreams names each stream once', () => {
  const istreams = { x: { grouping: 'groupBy' }, y: { grouping: 'groupBy' } } as const
  assert.deepEqual(namedStreams(manifestSchema.parse({ name: 'f', istreams, ostreams: ['x'] })), ['x', 'y'])
})
