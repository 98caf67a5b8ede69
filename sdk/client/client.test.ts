import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { RecordOutput } from '../api/index.ts'
import { CodedError } from '../errors.ts'
import { ConcordClient } from './client.ts'
import { RefusedError } from './errors.ts'
import { isRecord } from './follow.ts'
import { ProduceError } from './produce.ts'
import { problem, type Script, startTestGateway } from './test-gateway.ts'

async function clientOf(t: TestContext, script: Script, timeoutMs = 5000) {
  const gateway = await startTestGateway(script)
  t.after(() => gateway.close())
  return { gateway, client: new ConcordClient({ url: gateway.url, token: 'secret', timeoutMs }) }
}

const hasCode = (code: string) => (error: unknown) => error instanceof CodedError && error.code === code

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

/** Values of a length-prefixed body. */
function valuesOf(body: Buffer): string[] {
  const values: string[] = []
  for (let at = 0; at < body.length; ) {
    const [keyBytes, valueBytes] = [body.readUInt32LE(at), body.readUInt32LE(at + 4)]
    values.push(body.toString('utf8', at + 8 + keyBytes, at + 8 + keyBytes + valueBytes))
    at += 8 + keyBytes + valueBytes
  }
  return values
}

test('ConcordClient sends the token and reads the answer', async (t) => {
  const { client, gateway } = await clientOf(t, () => ({ status: 200, json: { functions: [] } }))
  assert.deepEqual(await client.functions(), [])
  assert.equal(gateway.received[0]!.headers.authorization, 'Bearer secret')
})

test('ConcordClient repeats a read when a kept-alive connection closes under it, and repeats nothing else (H4 of http.ts)', async (t) => {
  let breaks = 1
  const { client, gateway } = await clientOf(t, (_, response) => {
    if (breaks-- > 0) return void response.destroy()
    return { status: 200, json: { functions: [] } }
  })
  assert.deepEqual(await client.functions(), [])
  assert.equal(gateway.received.length, 2)
  breaks = 2
  await assert.rejects(client.functions(), hasCode('ERR_CONNECTION_LOST'))
  breaks = 1
  await assert.rejects(client.remove('f'), hasCode('ERR_CONNECTION_LOST'))
  assert.equal(gateway.received.length, 5)
})

test('ConcordClient sends what it asks for as JSON, and says so', async (t) => {
  const { client, gateway } = await clientOf(t, () => ({ status: 200, json: {} }))
  await client.scale('f', 3)
  await client.functions()
  const [asks, reads] = gateway.received
  assert.deepEqual([asks!.method, asks!.headers['content-type']], ['PUT', 'application/json'])
  assert.equal(asks!.body.toString(), '{"instances":3}')
  assert.deepEqual([reads!.headers['content-type'], reads!.body.length], [undefined, 0])
})

test('ConcordClient escapes names, so that no name reaches another route', async (t) => {
  const { client, gateway } = await clientOf(t, () => ({ status: 200, json: {} }))
  await client.inspect('../streams')
  assert.equal(gateway.received[0]!.path, '/v1/functions/..%2Fstreams')
})

test('ConcordClient uploads manifest, bundle and source map as the parts of a form', async (t) => {
  const { client, gateway } = await clientOf(t, () => ({ status: 200, json: { name: 'f', version: 1 } }))
  await client.deploy({ manifest: { instances: 2 }, bundle: 'export default 1', sourceMap: '{}' })
  const { headers, body } = gateway.received[0]!
  const form = await new Response(new Uint8Array(body), {
    headers: { 'content-type': headers['content-type']! },
  }).formData()
  const text = (name: string) => (form.get(name) as File).text()
  assert.deepEqual(await Promise.all(['manifest', 'bundle', 'sourceMap'].map(text)), [
    '{"instances":2}',
    'export default 1',
    '{}',
  ])
  await client.deploy({ manifest: {}, source: 'export default 2', file: 'index.ts' })
  const { path, body: second } = gateway.received[1]!
  assert.equal(path, '/v1/functions?file=index.ts')
  assert.match(second.toString(), /name="source"; filename="index.ts"[\s\S]*export default 2/)
})

test('ConcordClient turns a problem document into a RefusedError that names the position', async (t) => {
  const location = { file: 'a.ts', line: 3, column: 7 }
  const { client } = await clientOf(t, () =>
    problem(422, 'ERR_SOURCE_INVALID', 'it does not compile', { location }),
  )
  await assert.rejects(client.deploySource('', 'a.ts'), (error) => {
    assert.ok(error instanceof RefusedError)
    assert.equal(error.code, 'ERR_SOURCE_INVALID')
    assert.equal(error.status, 422)
    assert.equal(error.message, 'a.ts:3:7: it does not compile')
    return true
  })
})

test('ConcordClient distinguishes a refusal without a problem document', async (t) => {
  const { client } = await clientOf(t, () => ({ status: 502, json: 'a proxy says no' }))
  await assert.rejects(client.functions(), hasCode('ERR_REFUSED'))
})

test('ConcordClient says so when the answer is not JSON', async (t) => {
  const { client } = await clientOf(t, (_, response) => void response.end('<html>'))
  await assert.rejects(client.topology(), hasCode('ERR_ANSWER_MALFORMED'))
})

test('ConcordClient gives up when no answer comes in time', async (t) => {
  const { client } = await clientOf(t, () => undefined, 100)
  await assert.rejects(client.topology(), hasCode('ERR_TIMED_OUT'))
})

test('ConcordClient distinguishes an unreachable server from a broken connection', async (t) => {
  const { client, gateway } = await clientOf(t, (_, response) => void response.destroy())
  await assert.rejects(client.topology(), hasCode('ERR_CONNECTION_LOST'))
  await gateway.close()
  await assert.rejects(client.topology(), hasCode('ERR_SERVER_UNREACHABLE'))
  const odd = new ConcordClient({ url: 'http://127.0.0.1:6667', token: '' })
  await assert.rejects(odd.topology(), (error: Error) =>
    /:6667 has a port that HTTP clients do not use/.test(error.message),
  )
})

test('ConcordClient stops waiting when its caller aborts', async (t) => {
  const { client } = await clientOf(t, () => undefined)
  await assert.rejects(client.inspect('f', { signal: AbortSignal.timeout(50) }), { name: 'TimeoutError' })
})

test('produce sends the rest after a 429 in the middle, and nothing twice', async (t) => {
  const taken: string[] = []
  let room = 3
  const { client } = await clientOf(t, ({ body }) => {
    const values = valuesOf(body)
    taken.push(...values.slice(0, room))
    if (values.length <= room) return { status: 200, json: { accepted: values.length } }
    const refusal = problem(429, 'ERR_STREAM_FULL', 'no room', { accepted: room })
    room += 2
    return { ...refusal, headers: { 'retry-after': '0' } }
  })
  const records = Array.from({ length: 12 }, (_, i) => ({ key: 'k', value: `v${i}` }))
  const waits: number[] = []
  const { accepted } = await client.produce('s', records, { onWait: (waitMs) => waits.push(waitMs) })
  assert.equal(accepted, 12)
  assert.deepEqual(
    taken,
    records.map(({ value }) => value),
  )
  assert.deepEqual(waits, [0, 0])
})

test('produce splits a large input into several requests, in order', async (t) => {
  const { client, gateway } = await clientOf(t, ({ body }) => ({
    status: 200,
    json: { accepted: valuesOf(body).length },
  }))
  const records = Array.from({ length: 40 }, (_, i) => ({ value: new Uint8Array(20_000).fill(65 + i) }))
  await client.produce('s', records)
  assert.ok(gateway.received.length > 2)
  assert.equal(
    gateway.received.flatMap(({ body }) => valuesOf(body)).join(''),
    records.map(({ value }) => Buffer.from(value).toString()).join(''),
  )
})

test('produce sends event times as NDJSON, bytes as base64', async (t) => {
  const { client, gateway } = await clientOf(t, () => ({ status: 200, json: { accepted: 2 } }))
  await client.produce('s', [{ key: 'ä', value: 'x', timeMs: 5 }, { value: new Uint8Array([255]) }])
  const { body, headers } = gateway.received[0]!
  assert.equal(headers['content-type'], 'application/x-ndjson')
  assert.deepEqual(
    body
      .toString()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
    [{ key: 'ä', value: 'x', timeMs: 5 }, { valueBase64: '/w==' }],
  )
})

test('produce does not repeat a chunk whose outcome is unknown, and says what was accepted before', async (t) => {
  const { client, gateway } = await clientOf(t, ({ body }, response) => {
    if (gateway.received.length === 1) return { status: 200, json: { accepted: valuesOf(body).length } }
    return void response.destroy()
  })
  const records = Array.from({ length: 20 }, () => ({ value: new Uint8Array(20_000) }))
  await assert.rejects(client.produce('s', records), (error) => {
    assert.ok(error instanceof ProduceError)
    assert.equal(error.code, 'ERR_CONNECTION_LOST')
    const [taken, lost] = gateway.received.map(({ body }) => valuesOf(body).length)
    assert.deepEqual([error.accepted, error.unknown], [taken, lost])
    return true
  })
  assert.equal(gateway.received.length, 2)
})

test('produce reports records as unknown if the answer does not say what was accepted', async (t) => {
  const silent = [
    { status: 200, json: 'no gateway says so' },
    { status: 200, json: { accepted: 1 } },
    { status: 500, json: 'a proxy is broken' },
    problem(500, 'ERR_INTERNAL', 'a gateway is'),
  ]
  for (const whenUnknown of ['stop', 'skip', 'repeat'] as const)
    for (const answer of silent) {
      const { client } = await clientOf(t, () => answer)
      const produced = client.produce('s', [{ value: 'x' }, { value: 'y' }], { whenUnknown })
      await assert.rejects(produced, (error) => {
        assert.ok(error instanceof ProduceError)
        assert.deepEqual([error.accepted, error.unknown], [0, 2], `${whenUnknown}: ${error.message}`)
        return true
      })
    }
  for (const answer of [{ status: 413, json: 'too large' }, problem(404, 'ERR_STREAM_UNKNOWN', 'none')]) {
    const { client } = await clientOf(t, () => answer)
    await assert.rejects(
      client.produce('s', [{ value: 'x' }]),
      (error) => error instanceof ProduceError && error.accepted + error.unknown === 0,
    )
  }
})

test('produce skips a chunk whose outcome is unknown, or sends it again, as requested (P2 of produce.ts)', async (t) => {
  for (const whenUnknown of ['skip', 'repeat'] as const) {
    const taken: string[] = []
    let breaks = 2
    const { client } = await clientOf(t, ({ body, path }, response) => {
      if (path === '/healthz') return { status: 200, json: { ok: true } }
      const values = valuesOf(body)
      if (taken.length > 0 && breaks-- > 0) return void response.destroy()
      taken.push(...values)
      return { status: 200, json: { accepted: values.length } }
    })
    const values = Array.from({ length: 60 }, (_, i) => `${i}`.padEnd(20_000))
    const waits: string[] = []
    const onWait = (_waitMs: number, { code }: CodedError) => waits.push(code)
    const records = values.map((value) => ({ value }))
    const { accepted, unknown } = await client.produce('s', records, { whenUnknown, onWait })
    assert.deepEqual(waits, ['ERR_CONNECTION_LOST', 'ERR_CONNECTION_LOST'])
    assert.equal(taken.length, accepted)
    const first = accepted === 60 ? unknown : 14
    assert.deepEqual(
      taken,
      whenUnknown === 'repeat' ? values : [...values.slice(0, first), ...values.slice(first + unknown)],
    )
    assert.deepEqual([accepted, unknown], whenUnknown === 'repeat' ? [60, 14] : [32, 28])
  }
})

test('produce leaves at most one request unknown in an outage behind a proxy, however long the proxy answers (P4 of produce.ts)', async (t) => {
  const taken: string[] = []
  let refusals = 5
  const { client } = await clientOf(t, ({ body, path }) => {
    if (taken.length > 0 && refusals-- > 0) return { status: 502, json: 'a proxy says no' }
    if (path === '/healthz') return { status: 200, json: { ok: true } }
    const values = valuesOf(body)
    taken.push(...values)
    return { status: 200, json: { accepted: values.length } }
  })
  const records = Array.from({ length: 60 }, (_, i) => ({ value: `${i}`.padEnd(20_000) }))
  assert.deepEqual(await client.produce('s', records, { whenUnknown: 'skip' }), { accepted: 46, unknown: 14 })
  assert.equal(taken.length, 46)
})

test('ConcordClient uses the next gateway if one is away, for requests that were not sent', async (t) => {
  const gone = await startTestGateway(() => ({ status: 200, json: {} }))
  await gone.close()
  const taken: string[] = []
  const there = await startTestGateway(({ body }) => {
    const values = valuesOf(body)
    taken.push(...values)
    return { status: 200, json: { accepted: values.length } }
  })
  t.after(() => there.close())
  const client = new ConcordClient({ url: [gone.url, there.url] })
  assert.deepEqual(await client.produce('s', [{ value: 'a' }]), { accepted: 1, unknown: 0 })
  await there.close()
  await assert.rejects(client.topology(), hasCode('ERR_SERVER_UNREACHABLE'))
  assert.deepEqual(taken, ['a'])
})

/** A gateway that accepts connections and never answers, before one that lists no functions and takes no changes. */
async function hungAndWell(t: TestContext, timeoutMs?: number) {
  const hung = await startTestGateway(() => undefined)
  const well = await startTestGateway(() => ({ status: 200, json: { functions: [] } }))
  t.after(() => Promise.all([hung.close(), well.close()]))
  return { hung, well, client: new ConcordClient({ url: [hung.url, well.url], timeoutMs: timeoutMs ?? 100 }) }
}

test('ConcordClient reads from the next gateway if one does not answer, and stays there (H6 of http.ts)', async (t) => {
  const { hung, well, client } = await hungAndWell(t)
  assert.deepEqual(await client.functions(), [])
  assert.deepEqual(await client.functions(), [])
  assert.deepEqual([hung.received.length, well.received.length], [1, 2])
})

test('ConcordClient gives a gateway less than the whole limit for a read while others are left (H6 of http.ts)', {
  timeout: 60_000,
}, async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { hung, client } = await hungAndWell(t, 30_000)
  const listed = client.functions()
  while (hung.received.length === 0) await setImmediate()
  t.mock.timers.tick(6_000)
  assert.deepEqual(await listed, [])
})

test('ConcordClient repeats no change at the next gateway, and leaves the one that did not answer (H6 of http.ts)', async (t) => {
  const { hung, well, client } = await hungAndWell(t)
  await assert.rejects(client.remove('f'), hasCode('ERR_TIMED_OUT'))
  assert.equal(well.received.length, 0)
  await client.remove('f')
  assert.deepEqual([hung.received.length, well.received.length], [1, 1])
})

test('produce moves from a stopping gateway to the next one, and continues after what was accepted', async (t) => {
  const took: string[][] = [[], []]
  const gateways = await Promise.all(
    took.map((values, i) =>
      startTestGateway(({ body }) => {
        const [first, ...rest] = valuesOf(body)
        values.push(...(i === 0 ? [first!] : [first!, ...rest]))
        if (i === 1) return { status: 200, json: { accepted: rest.length + 1 } }
        return {
          ...problem(503, 'ERR_CLOSING', 'stopping', { accepted: 1 }),
          headers: { 'retry-after': '0' },
        }
      }),
    ),
  )
  t.after(() => Promise.all(gateways.map((gateway) => gateway.close())))
  const client = new ConcordClient({ url: gateways.map(({ url }) => url) })
  const records = ['a', 'b', 'c'].map((value) => ({ value }))
  assert.deepEqual(await client.produce('s', records), { accepted: 3, unknown: 0 })
  assert.deepEqual(took, [['a'], ['b', 'c']])
})

test('produce gives up on a gateway that accepts nothing for `stallMs`', async (t) => {
  const { client } = await clientOf(t, () => ({
    ...problem(429, 'ERR_STREAM_FULL', 'no room'),
    headers: { 'retry-after': '0' },
  }))
  await assert.rejects(client.produce('s', [{ value: 'x' }], { stallMs: 50 }), hasCode('ERR_STREAM_FULL'))
})

test('produce continues when the gateway returns', async (t) => {
  const first = await startTestGateway(() => ({ status: 200, json: {} }))
  await first.close()
  const { port } = new URL(first.url)
  const client = new ConcordClient({ url: first.url })
  const { createServer } = await import('node:http')
  const server = createServer((_, response) => response.end('{"accepted":1}'))
  t.after(() => server.close())
  const onWait = () => void (server.listening || server.listen(Number(port), '127.0.0.1'))
  assert.deepEqual(await client.produce('s', [{ value: 'x' }], { onWait }), { accepted: 1, unknown: 0 })
})

test('follow yields records and events, whatever the pieces they come in', async (t) => {
  const record = { stream: 's', partition: 0, producer: 'p', sequence: 1, timeMs: 2, value: 'grüße' }
  const next = { ...record, sequence: 2 }
  const bytes = Buffer.from(
    `{"event":"ready","hold":true}\n\n${JSON.stringify(record)}\r\n${JSON.stringify(next)}`,
  )
  const { client, gateway } = await clientOf(t, (_, response) => {
    for (const byte of bytes) response.write(Buffer.from([byte]))
    return void response.end()
  })
  const lines = await all(client.follow('s', { hold: true, count: 2 }))
  assert.deepEqual(lines, [{ event: 'ready', hold: true }, record, next])
  assert.deepEqual(
    lines.filter(isRecord).map(({ sequence }: RecordOutput) => sequence),
    [1, 2],
  )
  assert.equal(gateway.received[0]!.path, '/v1/streams/s/records?hold=true&count=2')
})

test('follow without resuming reports a broken connection, and does not open another', async (t) => {
  const { client, gateway } = await clientOf(
    t,
    (_, response) => void response.write('{"event":"ready","hold":false}\n', () => response.destroy()),
  )
  await assert.rejects(all(client.follow('s')), hasCode('ERR_CONNECTION_LOST'))
  assert.equal(gateway.received.length, 1)
})

test('follow that resumes continues where it was, drops repeats, and reports what it missed (F1, F2 of follow.ts)', async (t) => {
  const line = (sequence: number, partition = 0) => ({
    ...{ stream: 's', partition, producer: 'p', sequence, timeMs: 2, value: `${partition}/${sequence}` },
  })
  const ready = { event: 'ready', hold: false }
  const gap = { event: 'gap', partition: 1, producer: 'p', records: 2 }
  const answers = [
    [ready, line(5), line(0, 1), line(6)],
    [ready, line(6), line(7), gap, line(3, 1)],
    [ready, line(9), line(4, 1), line(5, 1)],
  ]
  const { client, gateway } = await clientOf(t, (_, response) => {
    const lines = answers[gateway.received.length - 1]
    if (lines === undefined) return problem(503, 'ERR_CLOSING', 'stopping')
    const text = lines.map((each) => `${JSON.stringify(each)}\n`).join('')
    // one breaks, one ends in order
    return void (gateway.received.length === 2
      ? response.end(text)
      : response.write(text, () => response.destroy()))
  })
  const away: string[] = []
  const onAway = (_waitMs: number, { code }: CodedError) => away.push(code)
  const lines = await all(client.follow('s', { count: 8, resumeMs: 20_000, onAway }))
  assert.deepEqual(lines, [
    ...answers[0]!,
    ...[ready, line(7), gap, line(3, 1)],
    ...[ready, { event: 'gap', partition: 0, producer: 'p', records: 1 }, line(9), line(4, 1), line(5, 1)],
  ])
  assert.deepEqual(away, ['ERR_CONNECTION_LOST', 'ERR_CONNECTION_LOST'])
})

test('follow that holds names its former reader when it resumes, and gets everything from before the break (F3 of follow.ts, A1 of ahead.ts)', async (t) => {
  const line = (sequence: number) =>
    JSON.stringify({ stream: 's', partition: 0, producer: 'p', sequence, timeMs: 2, value: 'v'.repeat(1000) })
  const { client, gateway } = await clientOf(t, (_, response) => {
    const [from, reader] = gateway.received.length === 1 ? [0, 'a'] : [90, 'b']
    response.write(`{"event":"ready","hold":true,"reader":"${reader}","resumed":${from > 0}}\n`)
    const count = Number(/count=(\d+)/.exec(gateway.received.at(-1)!.path)?.[1] ?? 110)
    const text = Array.from({ length: Math.min(110, count) }, (_, i) => `${line(from + i)}\n`).join('')
    return void response.write(text, () => from === 0 && response.socket?.end())
  })
  const sequences: number[] = []
  for await (const each of client.follow('s', { hold: true, count: 200, resumeMs: 20_000 })) {
    if (!isRecord(each)) continue
    sequences.push(each.sequence)
    if (sequences.length < 3) await setTimeout(50) // a slow reader: the connection breaks behind its back
  }
  assert.deepEqual(
    sequences,
    Array.from({ length: 200 }, (_, i) => i),
  )
  assert.deepEqual(
    gateway.received.map(({ path }) => path),
    ['?hold=true&count=200', '?hold=true&instead=a'].map((query) => `/v1/streams/s/records${query}`),
  )
})

test('follow gives up on a gateway that stays away, and at once on one that was never reached (F4 of follow.ts)', async (t) => {
  const { client, gateway } = await clientOf(
    t,
    (_, response) => void response.end('{"event":"ready","hold":false}\n', () => void gateway.close()),
  )
  const options = { resumeMs: 300 }
  await assert.rejects(all(client.follow('s', options)), hasCode('ERR_SERVER_UNREACHABLE'))
  await assert.rejects(all(client.follow('s', { resumeMs: 600_000 })), hasCode('ERR_SERVER_UNREACHABLE'))
})

test('follow ends with its signal, also after a garbage collection', async (t) => {
  const { client } = await clientOf(t, (_, response) => {
    return void response.write('{"event":"ready","hold":false}\n')
  })
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  const stop = new AbortController()
  const lines = client.follow('s', { signal: stop.signal })
  await lines.next()
  const next = lines.next()
  for (let i = 0; i < 5; i++) {
    await setImmediate()
    collect()
  }
  stop.abort()
  await assert.rejects(next, { name: 'AbortError' })
})

test('follow ends its request when its reader stops', async (t) => {
  let ended: () => void = () => {}
  const closed = new Promise<void>((resolve) => {
    ended = resolve
  })
  const { client } = await clientOf(t, (_, response) => {
    response.on('close', ended)
    return void response.write('{"event":"ready","hold":false}\n')
  })
  for await (const _line of client.follow('s')) break
  await closed
})
