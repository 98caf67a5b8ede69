import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { originOf, Producer, startTail, type Wire } from '../../infra/bus/index.ts'
import { systemClock } from '../../infra/clock.ts'
import type { OutputLedger } from '../../infra/control/messages/accounts.ts'
import type { Heartbeat } from '../../infra/control/messages/heartbeat.ts'
import { paths, type StatusDocument } from '../../infra/store/index.ts'
import type { FunctionDetail, Problem } from '../../sdk/api/index.ts'
import { frameOf } from '../../sdk/wire/frame.ts'
import {
  call,
  linesOf,
  namespace,
  type Platform,
  sourceOf,
  startPlatform,
  until,
} from '../testing/platform.ts'
import { PlainFollowers } from './plain.ts'

let platform: Platform
before(async () => {
  platform = await startPlatform()
})
after(() => platform.close())

async function makeStream(name: string): Promise<void> {
  assert.equal((await platform.call('PUT', `/v1/streams/${name}`)).status, 200)
}

async function publish(stream: string, lines: readonly object[]): Promise<void> {
  const body = lines.map((line) => JSON.stringify(line)).join('\n')
  const response = await platform.call('POST', `/v1/streams/${stream}/records`, { body })
  assert.equal(response.status, 200, await response.text())
}

function numbered(from: number, to: number): object[] {
  return Array.from({ length: to - from }, (_, i) => ({ key: 'k', value: `${from + i}` }))
}

async function take(
  lines: AsyncGenerator<Record<string, unknown>>,
  count: number,
): Promise<Record<string, unknown>[]> {
  const taken: Record<string, unknown>[] = []
  while (taken.length < count) {
    const { value, done } = await lines.next()
    if (done) break
    taken.push(value)
  }
  return taken
}

const followerIds = (stream: string) => platform.store.list(paths.followers(namespace, stream))

test('Follow says ready, then shows what passes, and ends after count records', async () => {
  await makeStream('plain')
  const lines = linesOf(await platform.call('GET', '/v1/streams/plain/records?count=3'))
  assert.deepEqual(await take(lines, 1), [{ event: 'ready', hold: false }])
  await publish('plain', [
    { key: 'a', value: 'one', timeMs: 7 },
    { key: 'a', valueBase64: '/w==' },
    { keyBase64: '/w==', value: 'three' },
    { key: 'a', value: 'four' },
  ])
  const records = await take(lines, 10)
  assert.equal(records.length, 3)
  const one = records.find(({ value }) => value === 'one')!
  assert.deepEqual([one['stream'], one['key'], one['timeMs'], one['sequence']], ['plain', 'a', 7, 0])
  assert.match(String(one['producer']), /^[0-9a-f]{16}$/)
  assert.ok(
    records.some(({ valueBase64 }) => valueBase64 === '/w==') ||
      records.some(({ keyBase64 }) => keyBase64 === '/w=='),
  )
})

test('Follow sends server-sent events on request', async () => {
  await makeStream('events')
  const headers = { accept: 'text/event-stream' }
  const response = await platform.call('GET', '/v1/streams/events/records?count=1', { headers })
  assert.equal(response.headers.get('content-type'), 'text/event-stream')
  await publish('events', [{ value: 'a' }])
  const text = await response.text()
  assert.match(
    text,
    /^event: ready\ndata: \{"event":"ready","hold":false\}\n\ndata: \{"stream":"events",.*"value":"a"\}\n\n$/,
  )
})

test('Follow refuses an unknown stream and an invalid count', async () => {
  const unknown = await platform.call('GET', '/v1/streams/nowhere/records')
  assert.deepEqual([unknown.status, ((await unknown.json()) as Problem).code], [404, 'ERR_STREAM_UNKNOWN'])
  assert.equal((await platform.call('GET', '/v1/streams/events/records?count=0')).status, 400)
})

test('PlainFollowers drops the oldest records for a slow reader, and says how many', async () => {
  const wire = platform.wire
  const abort = new AbortController()
  const followers = new PlainFollowers({ wire, namespace, streamBytesMax: 20_000 })
  const lines = followers.follow('flood', abort.signal)
  await lines.next()
  const producer = new Producer({
    wire,
    namespace,
    clock: systemClock,
    origin: originOf(namespace, 'x', 0),
    epoch: 1,
  })
  producer.setStream({ name: 'flood', partitions: 1, keyed: false, consumers: [] })
  const value = Buffer.alloc(3000)
  let passed = 0
  const stop = startTail({
    wire,
    namespace,
    stream: 'flood',
    onFrame: () => passed++,
    onGap: () => assert.fail(),
  })
  for (let i = 0; i < 20; i++)
    producer.send('flood', 0, frameOf([{ key: Buffer.alloc(0), value, timeMs: i }]), 1)
  await until('all passed', () => passed === 20)
  const first = (await lines.next()).value!
  assert.deepEqual(first, [{ event: 'gap', partition: 0, producer: producer.id, records: 15 }])
  const [next] = (await lines.next()).value as Iterable<{ sequence: number }>
  assert.equal(next!.sequence, 15)
  abort.abort()
  assert.ok((await lines.return(undefined)).done)
  stop()
  await producer.close()
  assert.equal(followers.bytes, 0)
})

test('PlainFollowers reads a stream once for all readers, and bounds what waits for them (F1, F2 of plain.ts)', async () => {
  const real = platform.wire
  let subscriptions = 0
  const wire: Wire = {
    connected: true,
    publish: (subject, bytes) => real.publish(subject, bytes),
    flush: () => real.flush(),
    onReconnect: (reconnected) => real.onReconnect(reconnected),
    subscribe(subject, receive) {
      const stop = real.subscribe(subject, receive)
      subscriptions += 1
      return () => {
        subscriptions -= 1
        stop()
      }
    },
  }
  const bytesMax = 200_000
  const followers = new PlainFollowers({ wire, namespace, bytesMax })
  const abort = new AbortController()
  const streams = ['flood-a', 'flood-b', 'flood-c']
  const readers = streams.flatMap((stream) =>
    Array.from({ length: 50 }, () => followers.follow(stream, abort.signal)),
  )
  await Promise.all(readers.map((lines) => lines.next()))
  assert.equal(subscriptions, streams.length)

  const origin = originOf(namespace, 'y', 0)
  const producer = new Producer({ wire: real, namespace, clock: systemClock, origin, epoch: 1 })
  const send = (stream: string, bytes: number): void => {
    const record = { key: Buffer.alloc(0), value: Buffer.alloc(bytes), timeMs: 0 }
    producer.send(stream, 0, frameOf([record]), 1)
  }
  for (const name of streams) producer.setStream({ name, partitions: 1, keyed: false, consumers: [] })
  send('flood-c', 10_000) // a quiet stream
  const flood = 200
  for (let i = 0; i < flood; i++) for (const stream of ['flood-a', 'flood-b']) send(stream, 10_000)
  const last = followers.follow('flood-b', abort.signal)
  await last.next()
  send('flood-b', 1)
  assert.equal([...((await last.next()).value as Iterable<unknown>)].length, 1) // so all has passed
  assert.ok(followers.bytes <= bytesMax && followers.bytes > bytesMax - 25_000, `${followers.bytes} bytes`)

  const [quiet] = (await readers.at(-1)!.next()).value as Iterable<{ sequence: number }>
  assert.equal(quiet!.sequence, 0)
  const [gap] = (await readers[0]!.next()).value as Iterable<{ records: number }>
  const [next] = (await readers[0]!.next()).value as Iterable<{ sequence: number }>
  assert.ok(gap!.records > flood / 2)
  assert.equal(next!.sequence, gap!.records)
  await Promise.all([...readers, last].map((lines) => lines.return()))
  assert.deepEqual([subscriptions, followers.bytes], [0, 0])
  await producer.close()
})

test('Follow answers HEAD without creating a reader that the stream would wait for', async () => {
  await makeStream('headed')
  const response = await platform.call('HEAD', '/v1/streams/headed/records?hold=true')
  assert.deepEqual(
    [response.status, response.headers.get('content-type'), await response.text()],
    [200, 'application/x-ndjson', ''],
  )
  assert.deepEqual(await followerIds('headed'), [])
  assert.equal((await platform.call('HEAD', '/v1/streams/nowhere/records?hold=true')).status, 404)
})

test('Follow limits the readers of each kind, and accepts another when one has left', async () => {
  await makeStream('crowded')
  const other = await platform.another({ placesMax: { plain: 1, hold: 1 } })
  for (const query of ['', '?hold']) {
    const abort = new AbortController()
    const path = `/v1/streams/crowded/records${query}`
    const first = await call(other.url, 'GET', path, { signal: abort.signal })
    await take(linesOf(first.clone()), 1)
    const second = await call(other.url, 'GET', path)
    assert.deepEqual([second.status, second.headers.get('retry-after')], [503, '10'])
    assert.equal(((await second.json()) as Problem).code, 'ERR_BUSY')
    abort.abort()
    await first.text().catch(() => undefined)
    const third = await until('there is room', async () => {
      const response = await call(other.url, 'GET', path)
      if (response.status === 200) return response
      await response.body?.cancel()
      return undefined
    })
    await third.body?.cancel()
  }
})

test('Follow with hold misses nothing: the stream fills up behind a slow reader', async () => {
  await makeStream('held')
  const response = await platform.call('GET', '/v1/streams/held/records?hold=true')
  const lines = linesOf(response)
  const [ready] = await take(lines, 1)
  const reader = ready!['reader']
  assert.deepEqual(ready, { event: 'ready', hold: true, reader, resumed: false })
  assert.deepEqual(await followerIds('held'), [reader])

  // More than windows, sockets and buffers together take, to a reader that does not read.
  const value = 'x'.repeat(10_000)
  let sent = 0
  let full = false
  while (!full && sent < 10_000) {
    const body = Array.from({ length: 100 }, (_, i) =>
      JSON.stringify({ key: 'k', value: `${sent + i} ${value}` }),
    ).join('\n')
    const answer = await platform.call('POST', '/v1/streams/held/records', { body })
    const { accepted = 0 } = (await answer.json()) as Problem
    sent += accepted
    full = answer.status === 429
  }
  assert.ok(full, 'a reader that does not read stops the stream')
  const records = await take(lines, sent)
  assert.deepEqual(
    records.map((record) => Number.parseInt(String(record['value']), 10)),
    Array.from({ length: sent }, (_, i) => i),
  )
  await lines.return(undefined)
  await until('its document is gone', async () => (await followerIds('held')).length === 0)
  await publish('held', numbered(0, 10))
})

test('Follow with hold ends with its count, or with its client, and leaves no document', async () => {
  await makeStream('counted')
  const response = await platform.call('GET', '/v1/streams/counted/records?hold&count=5')
  const lines = linesOf(response)
  await take(lines, 1)
  await publish('counted', numbered(0, 8))
  assert.deepEqual(
    (await take(lines, 100)).map(({ value }) => value),
    ['0', '1', '2', '3', '4'],
  )
  assert.deepEqual(await followerIds('counted'), [])

  const abort = new AbortController()
  const other = await platform.call('GET', '/v1/streams/counted/records?hold', { signal: abort.signal })
  await until('it is known', async () => (await followerIds('counted')).length === 1)
  abort.abort()
  await other.text().catch(() => undefined)
  await until('it is gone', async () => (await followerIds('counted')).length === 0)
})

test('Follow with hold keeps its document fresh', async () => {
  await makeStream('fresh')
  const abort = new AbortController()
  const started = platform.call('GET', '/v1/streams/fresh/records?hold', { signal: abort.signal })
  const lines = linesOf(await started)
  await take(lines, 1)
  const [id] = await followerIds('fresh')
  const renewed = async () =>
    (await platform.store.get<{ renewedAtMs: number }>(paths.follower(namespace, 'fresh', id!)))!.value
      .renewedAtMs
  const first = await renewed()
  await until('it is renewed', async () => (await renewed()) > first)
  abort.abort()
  await lines.next().catch(() => undefined)
})

/** A runner's heartbeat and the scheduler's status, as the real ones would write them. */
function runnerBeat(taskId: string, outputs: readonly OutputLedger[]): void {
  const beat: Heartbeat = {
    ...{
      schema: 1,
      kind: 'runner',
      id: taskId,
      incarnation: 'x',
      generation: 1,
      sentAtMs: Date.now(),
    },
    ...{ state: 'running', pid: 4242, rssBytes: 1000, cpuSeconds: 1 },
    instances: [
      {
        ...{
          id: 'maker-0',
          function: 'maker',
          index: 0,
          epoch: 1,
          version: 1,
          state: 'running',
          recordsIn: 5,
          recordsOut: 4,
          errors: 1,
        },
        ...{ timersFired: 0, batches: 1, stateEntries: 2, stateBytes: 3, heapBytes: 4, cpuSeconds: 1 },
        ...{ outputs, inputs: [] },
        lastError: {
          name: 'TypeError',
          message: 'boo',
          stack: 'TypeError: boo',
          at: 'maker.ts:3:9',
          timeMs: 1,
        },
      },
    ],
  }
  platform.nc.publish(`concord.${namespace}.c.hb.${taskId}`, JSON.stringify(beat))
}

const row = (consumer: string, more: Partial<OutputLedger> = {}): OutputLedger => ({
  ...{ stream: 'made', consumer, sent: 0, acked: 0, dropped: {}, unaccounted: 0 },
  ...more,
})

test('Follow with hold is ready only when every running producer of the stream waits for it (H1 of hold.ts)', async () => {
  assert.equal(
    (await platform.call('POST', '/v1/functions', { body: sourceOf('maker', ['lines'], ['made']) })).status,
    200,
  )
  const status: StatusDocument = {
    ...{ schema: 1, function: 'maker', version: 1 },
    instances: [
      {
        ...{
          id: 'maker-0',
          index: 0,
          epoch: 1,
          version: 1,
          state: 'running',
          taskId: 'task-1',
          agent: 'a',
          hostname: 'h',
        },
        ...{ generation: 1, generationSeen: 1, restarts: 2, since: 1 },
        lastExit: { code: 10, reason: 'functionFailed', message: 'it threw', atMs: 5 },
      },
    ],
    ended: { recordsIn: 10, recordsOut: 20, errors: 30, outputs: [] },
  }
  await platform.store.create(paths.status(namespace, 'maker'), status)
  runnerBeat('task-1', [])
  let answered = false
  const abort = new AbortController()
  const following = platform.call('GET', '/v1/streams/made/records?hold', { signal: abort.signal })
  void following.then(() => {
    answered = true
  })
  const [id] = await until('the reader is known', async () => {
    const ids = await followerIds('made')
    return ids.length > 0 && ids
  })
  runnerBeat('task-1', [row('follower.other')])
  await platform.nc.flush()
  // A whole look of the gateway's later it has still not said that it is ready.
  await (await platform.call('GET', '/v1/topology')).json()
  assert.equal(answered, false)
  runnerBeat('task-1', [row(`follower.${id}`)])
  const lines = linesOf(await following)
  assert.equal((await take(lines, 1))[0]!['hold'], true)
  abort.abort()
  await lines.next().catch(() => undefined)
})

test('Inspect adds up what runners say, living and ended, and what gateways have sent', async () => {
  assert.equal(
    (await platform.call('POST', '/v1/functions', { body: sourceOf('reader', ['made'], []) })).status,
    200,
  )
  const { value, version } = (await platform.store.get<StatusDocument>(paths.status(namespace, 'maker')))!
  const endedRow = row('reader', {
    sent: 100,
    acked: 80,
    dropped: { skipped: 5 },
    unaccounted: 20,
    isAtMost: true,
  })
  await platform.store.update(
    paths.status(namespace, 'maker'),
    { ...value, ended: { ...value.ended, outputs: [endedRow] } },
    version,
  )
  runnerBeat('task-1', [row('reader', { sent: 10, acked: 4 }), row('follower.x', { sent: 999 })])
  runnerBeat('task-of-no-instance', [row('reader', { sent: 1000, acked: 1000 })])
  const detail = await until('all is heard', async () => {
    const found = (await (await platform.call('GET', '/v1/functions/reader')).json()) as FunctionDetail
    return found.ledger[0]!.sent === 110 && found
  })
  assert.deepEqual(detail.ledger, [
    {
      stream: 'made',
      sent: 110,
      processed: 79,
      dropped: { skipped: 5 },
      inFlight: 6,
      unaccounted: 20,
      unaccountedIsAtMost: true,
      stateLost: 0,
    },
  ])
  const maker = (await (await platform.call('GET', '/v1/functions/maker')).json()) as FunctionDetail
  assert.deepEqual(
    [maker.state, maker.instancesRunning, maker.recordsIn, maker.recordsOut, maker.errors],
    ['running', 1, 15, 24, 31],
  )
  const [instance] = maker.instances
  assert.deepEqual(
    [instance!.pid, instance!.heapBytes, instance!.restarts, instance!.lastExit?.reason],
    [4242, 4, 2, 'functionFailed'],
  )
  assert.equal(instance!.lastError?.at, 'maker.ts:3:9')
})

test('Kill writes a command for the scheduler, and refuses an unknown instance', async () => {
  assert.equal((await platform.call('DELETE', '/v1/instances/maker-0?restart=true')).status, 204)
  const [id] = await platform.store.list(paths.commands(namespace))
  const command = (await platform.store.get(paths.command(namespace, id!)))!.value
  assert.deepEqual(command, {
    schema: 1,
    kind: 'killInstance',
    function: 'maker',
    instance: 'maker-0',
    restart: true,
  })
  const unknown = async (id: string) => {
    const answer = await platform.call('DELETE', `/v1/instances/${id}`)
    return [answer.status, ((await answer.json()) as Problem).detail]
  }
  assert.deepEqual(await unknown('maker-9'), [
    404,
    "Cannot kill instance 'maker-9': there is none of that id. `concord fn inspect maker` shows those that 'maker' has.",
  ])
  assert.match(
    String((await unknown('nobody-0'))[1]),
    /There is no function 'nobody' either; `concord fn ls`/,
  )
})

test('Logs returns the last lines of a function, and continues with follow', async () => {
  const log = (n: number, name = 'maker') =>
    platform.nc.publish(
      `concord.${namespace}.c.log.${name}`,
      JSON.stringify({
        timeMs: n,
        level: 'info',
        function: name,
        version: 1,
        instance: `${name}-0`,
        message: `line ${n}`,
      }),
    )
  for (let n = 0; n < 20; n++) log(n)
  log(0, 'other')
  const tail = await until('they are kept', async () => {
    const response = await platform.call('GET', '/v1/functions/maker/logs?tail=3')
    const lines = await take(linesOf(response), 10)
    return lines.at(-1)?.['message'] === 'line 19' && lines
  })
  assert.deepEqual(
    tail.map(({ message }) => message),
    ['line 17', 'line 18', 'line 19'],
  )
  assert.equal((await take(linesOf(await platform.call('GET', '/v1/functions/maker/logs')), 100)).length, 20)

  const following = linesOf(await platform.call('GET', '/v1/functions/maker/logs?follow&tail=1'))
  assert.equal((await take(following, 1))[0]!['message'], 'line 19')
  log(20)
  assert.equal((await take(following, 1))[0]!['message'], 'line 20')
  await following.return(undefined)
  assert.equal((await platform.call('GET', '/v1/functions/nobody/logs')).status, 404)
  const head = await platform.call('HEAD', '/v1/functions/maker/logs?follow')
  assert.deepEqual([head.status, await head.text()], [200, ''])
  assert.deepEqual(await take(linesOf(await platform.call('GET', '/v1/functions/reader/logs')), 1), [])
})
