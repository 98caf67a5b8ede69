import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Wire } from '../../infra/bus/index.ts'
import { ManualClock } from '../../infra/clock.ts'
import type { CatalogView } from '../catalog/catalog.ts'
import { Ingest } from './ingest.ts'
import { publish } from './publish.ts'
import { recordReader } from './record-reader.ts'

/** What the catalog shows of streams, each with its partitions and the function that reads it. */
function viewOf(
  streams: Readonly<Record<string, { readonly partitions: number; readonly reader?: string }>>,
) {
  const all = Object.entries(streams)
  const readers = all.flatMap(([stream, { reader }]) =>
    reader === undefined ? [] : [[reader, stream] as const],
  )
  return {
    functions: new Map(
      readers.map(([name, stream]) => [
        name,
        {
          name,
          version: { manifest: { istreams: { [stream]: { grouping: 'groupBy', backPressure: 'block' } } } },
          document: { instances: 1 },
        },
      ]),
    ),
    streams: new Map(
      all.map(([name, { partitions, reader }]) => [
        name,
        {
          name,
          document: { partitions },
          consumers: reader === undefined ? [] : [reader],
          followers: new Map(),
        },
      ]),
    ),
  } as unknown as CatalogView
}

/** Its server takes everything, and confirms nothing before `confirm` is called. */
const open = () => {
  const clock = new ManualClock(1_000)
  const { promise, resolve } = Promise.withResolvers<void>()
  const wire: Wire = {
    connected: true,
    publish: () => undefined,
    subscribe: () => () => undefined,
    flush: () => promise,
    onReconnect: () => () => undefined,
  }
  const ingest = new Ingest({ wire, namespace: 'n', gatewayId: 'g', clock })
  return { ingest, clock, confirm: resolve }
}

test('Ingest takes a stream that was removed and made again with other partitions, though it never saw it without a reader', () => {
  const { ingest } = open()
  ingest.adopt(viewOf({ s: { partitions: 16, reader: 'f' } }))
  assert.equal(ingest.adopt(viewOf({ s: { partitions: 4, reader: 'g' } })), true)
  ingest.mustHave('s', 3)
  assert.throws(() => ingest.mustHave('s', 4), /it has 0 to 3/)
  assert.deepEqual([ingest.heeds('s', 'f'), ingest.heeds('s', 'g')], [false, true])
})

test('publish has the record that the end of its body completes wait for room too, and asks for none without one (P2 of publish.ts)', async () => {
  for (const end of ['', '\n']) {
    const { ingest } = open()
    ingest.adopt(viewOf({ s: { partitions: 16, reader: 'f' } }))
    async function* body() {
      yield Buffer.from(`{"value":"a"}\n{"value":"b"}${end}`)
      const made = viewOf({ s: { partitions: 4, reader: 'g' } })
      assert.throws(() => ingest.adopt(made), { code: 'ERR_STREAM_PARTITIONS' })
    }
    const reader = recordReader('application/x-ndjson', () => 5)
    const published = publish(ingest, 's', body(), reader, new AbortController().signal, () => undefined)
    if (end === '') await assert.rejects(published, { code: 'ERR_STREAM_FULL', detail: { accepted: 1 } })
    else assert.equal(await published, 2)
  }
})

test('Ingest accepts nothing for a stream that it cannot take yet, adopts those behind it, and tries again', async () => {
  const { ingest, clock, confirm } = open()
  ingest.adopt(viewOf({ s: { partitions: 16, reader: 'f' } }))
  const batch = ingest.batch('s')
  batch.add({ key: new Uint8Array(1), value: new Uint8Array(1), timeMs: 5 })
  batch.flush()
  const view = viewOf({ s: { partitions: 4, reader: 'g' }, next: { partitions: 2, reader: 'h' } })
  assert.throws(() => ingest.adopt(view), { code: 'ERR_STREAM_PARTITIONS' }) // the server has not heard yet what waited
  ingest.mustHave('next', 1)
  assert.equal(ingest.writable('s'), false)
  const { signal } = new AbortController()
  await assert.rejects(ingest.room('s', signal), { code: 'ERR_STREAM_FULL', message: /has other partitions/ })
  clock.advance(1_000)
  assert.equal(ingest.writable('s'), false, 'nothing is confirmed')

  confirm()
  await new Promise(setImmediate)
  clock.advance(1_000)
  assert.equal(ingest.writable('s'), true)
  await ingest.room('s', signal)
  assert.throws(() => ingest.mustHave('s', 4), /it has 0 to 3/)
  assert.equal(ingest.heeds('s', 'g'), true)
})
