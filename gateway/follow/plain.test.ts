import assert from 'node:assert/strict'
import { test } from 'node:test'
import { takeMemory, type Wire } from '../../infra/bus/index.ts'
import { frameOf, stampHeader } from '../../sdk/wire/frame.ts'
import { PlainFollowers } from './plain.ts'

test('PlainFollowers gives the memory of a frame back, and keeps the frame', async () => {
  let receive: ((bytes: Uint8Array) => void) | undefined
  const wire: Wire = {
    connected: true,
    publish: () => undefined,
    subscribe: (_, to) => {
      receive = (bytes) => to(bytes, '')
      return () => undefined
    },
    flush: async () => undefined,
    onReconnect: () => () => undefined,
  }
  const stop = new AbortController()
  const events = new PlainFollowers({ wire, namespace: 'n' }).follow('s', stop.signal)
  await events.next()

  const sent = frameOf([{ key: new Uint8Array(1), value: Buffer.from('hello'), timeMs: 5 }])
  const id = { low: 1, high: 0 }
  stampHeader(sent, {
    ...{ flags: 0, partition: 0, producer: id, origin: id, epoch: 1, count: 1, sequence: 0 },
  })
  const bytes = takeMemory(sent.length)
  bytes.set(sent)
  receive!(bytes)
  const next = takeMemory(sent.length)
  assert.equal(next.buffer, bytes.buffer)
  next.fill(0)
  const [output] = [...(await events.next()).value!]
  assert.equal((output as { value: string }).value, 'hello')
  stop.abort()
  await events.return()
})
