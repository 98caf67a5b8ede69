import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import type { NatsConnection, Wire } from '../../infra/bus/index.ts'
import { frameOf, parseId64, stampHeader } from '../../sdk/wire/frame.ts'
import type { CatalogView } from '../catalog/catalog.ts'
import { makeMetrics } from '../metrics.ts'
import { RawRepublish } from './raw-republish.ts'

test('RawRepublish drops and counts what its own connection does not get rid of, however quick the other one is (O1)', async () => {
  let receive: Parameters<Wire['subscribe']>[1] = () => assert.fail('nobody has subscribed')
  const wire = {
    connected: true,
    flush: () => Promise.resolve(),
    subscribe(_subject: string, receiver: typeof receive) {
      receive = receiver
      return () => undefined
    },
  } as unknown as Wire
  let published = 0
  const nc = {
    publish: () => {
      published += 1
    },
    flush: () => new Promise(() => undefined),
  } as unknown as NatsConnection
  const metrics = makeMetrics('test')
  const republish = new RawRepublish({ nc, wire, namespace: 'test', metrics })
  republish.adopt({
    streams: new Map([['s', { name: 's', document: { raw: true } }]]),
  } as unknown as CatalogView)
  const id = parseId64('00000000000000ff')
  for (let sequence = 0; sequence < 12; sequence++) {
    const frame = frameOf([{ key: new Uint8Array(0), value: new Uint8Array(1_000_000), timeMs: 1 }])
    stampHeader(frame, { flags: 0, partition: 0, producer: id, origin: id, epoch: 1, count: 1, sequence })
    receive(frame, 'any')
    await setImmediate()
  }
  const { values } = await metrics.republishDropped.get()
  assert.deepEqual([published, values.map(({ value }) => value)], [9, [3]])
})
