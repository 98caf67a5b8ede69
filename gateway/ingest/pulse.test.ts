import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Wire } from '../../infra/bus/index.ts'
import { ManualClock } from '../../infra/clock.ts'
import type { Heartbeat } from '../../infra/control/messages/heartbeat.ts'
import { Pulse } from './pulse.ts'

test('Pulse beats on in a process that may open no more files', (t) => {
  const refuse = (): never => {
    throw new Error('EMFILE: too many open files, uv_resident_set_memory')
  }
  t.mock.method(process.memoryUsage, 'rss', refuse)
  const beats: Heartbeat[] = []
  const wire = {
    connected: true,
    publish: (_subject, bytes) => void beats.push(JSON.parse(Buffer.from(bytes).toString())),
  } as Wire
  const pulse = new Pulse({
    ...{ wire, namespace: 'test', gatewayId: 'g', clock: new ManualClock() },
    ingest: { ledger: () => [] },
    rawIngest: { dropped: { unknownStream: 0, malformed: 0, noRoom: 0, tooLarge: 0 } },
  })
  pulse.stop()
  assert.ok(beats[0]!.rssBytes! > 0)
})

test('Pulse sends nothing after its last heartbeat (PU1)', () => {
  const clock = new ManualClock()
  const states: string[] = []
  const wire = {
    connected: true,
    publish: (_subject, bytes) =>
      void states.push((JSON.parse(Buffer.from(bytes).toString()) as Heartbeat).state),
  } as Wire
  const pulse = new Pulse({
    ...{ wire, namespace: 'test', gatewayId: 'g', clock },
    ingest: { ledger: () => [] },
    rawIngest: { dropped: { unknownStream: 0, malformed: 0, noRoom: 0, tooLarge: 0 } },
  })
  clock.advance(1000)
  pulse.stop()
  pulse.beat() // the catalog has news
  pulse.soon()
  pulse.leads(undefined)
  clock.advance(5000)
  assert.deepEqual(states, ['running', 'running', 'stopped'])
  assert.equal(clock.isAwaited, false)
})
