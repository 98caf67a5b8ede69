import assert from 'node:assert/strict'
import { test } from 'node:test'
import { manifestSchema } from '../../sdk/manifest/manifest.ts'
import { accountsBy } from './accounts.ts'
import type { CatalogView, LiveFunction, Stream } from './catalog.ts'
import type { Heartbeats } from './heartbeats.ts'
import { readersOf } from './readers.ts'
import type { Sent } from './sent-before.ts'

function live(name: string, istreams: object, instances: readonly object[]): LiveFunction {
  return {
    name,
    document: { version: 1, good: 1, instances: 1 },
    version: { version: 1, manifest: manifestSchema.parse({ name, istreams }) },
    status: { instances, ended: { recordsIn: 0, recordsOut: 0, errors: 0, outputs: [] } },
  } as unknown as LiveFunction
}

const sent = (stream: string, consumer: string, records: number) => ({
  ...{ stream, consumer, sent: records, acked: 0 },
  ...{ dropped: {}, unaccounted: 0 },
})

test('readersOf asks the store about all readers at once, and adds up what functions have sent only once', async () => {
  const readers = ['a', 'b', 'c']
  const writer = live('writer', {}, [{ id: 'writer-0', index: 0, epoch: 1, taskId: 'task' }])
  const view: CatalogView = {
    functions: new Map(
      [writer, ...readers.map((name) => live(name, { s: { grouping: 'groupBy' } }, []))].map((one) => [
        one.name,
        one,
      ]),
    ),
    streams: new Map(),
  }
  const outputs = [...readers.map((name) => sent('s', name, 2)), sent('other', 'a', 9)]
  let looks = 0
  const heartbeats = {
    of: () => {
      looks++
      return { instances: [{ id: 'writer-0', epoch: 1, inputs: [], metrics: [], outputs }] }
    },
    ofClients: () => [],
    confirms: () => true,
  } as unknown as Heartbeats

  const asked: string[] = []
  const allAsked = Promise.withResolvers<void>()
  const accountsOf = accountsBy({
    ...{ view: () => view, heartbeats, stateLost: { of: () => new Map() } },
    ...{ gatewayId: 'gw', ownRows: () => [sent('s', 'b', 5)] },
    sentTo: async ({ name }): Promise<Sent> => {
      if (asked.push(name) === readers.length) allAsked.resolve()
      await allAsked.promise
      return { rows: name === 'c' ? [sent('s', 'c', 7)] : [], over: new Set(), open: [] }
    },
  })
  const stream = { name: 's', consumers: readers, followers: new Map([['held', {}]]) } as unknown as Stream
  const rows = await readersOf(stream, view, heartbeats, accountsOf)
  assert.deepEqual(
    rows.map((row) => [row.reader, row.sent]),
    [
      ['a', 2],
      ['b', 7],
      ['c', 9],
      ['follower.held', 0],
    ],
  )
  assert.equal(looks, 1)
})
