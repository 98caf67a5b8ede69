import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { endNatsServer, startNatsServer } from '../../nats/index.ts'
import { connectWire, heard, type NatsWire, type WireOptions } from '../index.ts'

async function folder(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'concord-wire-'))
  t.after(async () => {
    await endNatsServer(dir)
    await rm(dir, { recursive: true })
  })
  return dir
}

async function connected(t: TestContext, options: Omit<WireOptions, 'name'>): Promise<NatsWire> {
  const wire = await connectWire({ ...options, name: 'test' })
  t.after(() => wire.close())
  return wire
}

/** The next message of a subject. */
function next(wire: NatsWire, subject: string): Promise<[string, Uint8Array]> {
  return new Promise((resolve) => {
    const stop = wire.subscribe(subject, (bytes, on) => {
      stop()
      resolve([on, bytes])
    })
  })
}

const login = (user: string) => ({ user, password: `${user}'s` })
const users = { gateway: login('g'), runner: login('r'), scheduler: login('s'), client: login('c') }

const bytesOf = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i * 31)

test('connectWire carries messages of all sizes, whole and in order', async (t) => {
  const { url } = await startNatsServer({ dir: await folder(t), port: 0 })
  const [a, b] = [await connected(t, { url }), await connected(t, { url })]
  const sizes = [0, 1, 2047, 2048, 2049, 4096, 65_536, 300_000, 1_000_000, 5]
  const { promise, resolve } = Promise.withResolvers<void>()
  const got: Uint8Array[] = []
  b.subscribe('a.*', (bytes) => {
    if (got.push(bytes) === sizes.length) resolve()
  })
  await b.flush()
  for (const size of sizes) a.publish('a.b', bytesOf(size))
  await promise
  for (const [i, size] of sizes.entries())
    assert.ok(Buffer.from(bytesOf(size)).equals(got[i]!), `${size} bytes`)
})

test('connectWire sends messages whole and in order that were written while the server did not read', async (t) => {
  const server = await startNatsServer({ dir: await folder(t), port: 0 })
  const [a, b] = [await connected(t, { url: server.url }), await connected(t, { url: server.url })]
  const sent = Array.from({ length: 3000 }, (_, i) => Buffer.alloc(i % 50 === 0 ? 200_000 : i % 700, i))
  const { promise, resolve } = Promise.withResolvers<void>()
  const got: Uint8Array[] = []
  b.subscribe('a', (bytes) => {
    if (got.push(bytes) === sent.length) resolve()
  })
  await b.flush()
  process.kill(server.pid, 'SIGSTOP')
  for (const [i, bytes] of sent.entries()) {
    a.publish('a', bytes)
    if (i % 20 === 0) await setImmediate()
  }
  process.kill(server.pid, 'SIGCONT')
  await promise
  for (const [i, bytes] of sent.entries()) assert.ok(bytes.equals(got[i]!), `message ${i}`)
})

test('connectWire ends a subscription on request, and passes the subject of a message', async (t) => {
  const { url } = await startNatsServer({ dir: await folder(t), port: 0 })
  const wire = await connected(t, { url })
  let heard = 0
  const stop = wire.subscribe('x.>', () => heard++)
  const first = next(wire, 'x.*')
  wire.publish('x.y', bytesOf(3))
  assert.deepEqual(await first, ['x.y', bytesOf(3)])
  stop()
  wire.publish('x.y', bytesOf(3))
  await wire.flush()
  assert.equal(heard, 1)
})

test('connectWire comes back after the server was killed, with its subscriptions (W4)', async (t) => {
  const dir = await folder(t)
  const server = await startNatsServer({ dir, port: 0 })
  const wire = await connected(t, { url: server.url })
  const heard = next(wire, 'after')
  await wire.flush()
  const back = new Promise<void>((resolve) => wire.onReconnect(resolve))
  process.kill(server.pid, 'SIGSTOP')
  const refused = assert.rejects(wire.flush()) // nobody waits for ever
  await server.stop('SIGKILL')
  await refused
  await startNatsServer({ dir, port: server.port })
  await back
  assert.equal(wire.connected, true)
  wire.publish('after', bytesOf(10))
  assert.deepEqual(await heard, ['after', bytesOf(10)])
})

test('heard waits for what is repeated after a lost connection, and no longer than its deadline', async (t) => {
  const dir = await folder(t)
  const server = await startNatsServer({ dir, port: 0 })
  const wire = await connected(t, { url: server.url })
  const got: string[] = []
  wire.subscribe('word', (bytes) => got.push(Buffer.from(bytes).toString()))
  await heard(wire)
  process.kill(server.pid, 'SIGSTOP')
  wire.publish('word', Buffer.from('lost'))
  wire.onReconnect(() => wire.publish('word', Buffer.from('anew')))
  const isHeard = heard(wire)
  const late = new AbortController()
  const given = assert.rejects(heard(wire, late.signal), /too late/)
  late.abort(new Error('too late'))
  await given
  await server.stop('SIGKILL')
  await startNatsServer({ dir, port: server.port })
  await isHeard
  assert.deepEqual(got, ['anew'])
})

test('connectWire connects to another server of its list when the first is gone', async (t) => {
  const [first, second] = [
    await startNatsServer({ dir: await folder(t), port: 0 }),
    await startNatsServer({ dir: await folder(t), port: 0 }),
  ]
  const wire = await connected(t, { url: `${first.url},${second.url}`, first: 0 })
  const back = new Promise<void>((resolve) => wire.onReconnect(resolve))
  await first.stop('SIGKILL')
  await back
  const other = await connected(t, { url: second.url })
  const heard = next(wire, 'here')
  await wire.flush()
  other.publish('here', bytesOf(1))
  assert.equal((await heard)[0], 'here')
})

test('connectWire says what to do if nothing answers, if it is not NATS, and if the password is wrong', async (t) => {
  await assert.rejects(connectWire({ url: 'nats://127.0.0.1:1', name: 'test' }), {
    code: 'ERR_NATS_UNREACHABLE',
    message: /is nats-server running there\? .*ECONNREFUSED/,
  })
  const web = createServer((socket) =>
    socket.on('error', () => undefined).end('HTTP/1.1 400 Bad Request\r\n\r\n'),
  )
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve))
  t.after(() => web.close())
  const { port } = web.address() as { port: number }
  await assert.rejects(connectWire({ url: `nats://127.0.0.1:${port}`, name: 'test' }), {
    code: 'ERR_NATS_UNREACHABLE',
    message: /the server sent a control line 'HTTP/,
  })
  const { url } = await startNatsServer({ dir: await folder(t), port: 0, users })
  await assert.rejects(connectWire({ url, name: 'test', user: 'g', password: 'wrong' }), {
    code: 'ERR_NATS_REFUSED',
    message: /refused user 'g': check nats\.user and nats\.password/,
  })
})

/** A server that lets the test say when it answers which PING; else it speaks as nats-server does. */
async function slowServer(
  t: TestContext,
  onLine: (connection: number, line: string, socket: Socket) => void,
  info: (connection: number) => object = () => ({}),
) {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    const connection = sockets.push(socket)
    let rest = ''
    socket.on('error', () => undefined).write(`INFO ${JSON.stringify(info(connection))}\r\n`)
    socket.on('data', (bytes) => {
      const lines = (rest + bytes.toString('latin1')).split('\r\n')
      rest = lines.pop()!
      for (const line of lines) onLine(connection, line, socket)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { sockets, url: `nats://127.0.0.1:${(server.address() as { port: number }).port}` }
}

test('connectWire tells the server about subscriptions that began or ended during a reconnect', async (t) => {
  const heard: string[] = []
  const greeted = Promise.withResolvers<Socket>()
  const { sockets, url } = await slowServer(t, (connection, line, socket) => {
    if (connection === 2) heard.push(line)
    if (line !== 'PING') return
    if (connection === 2 && heard.filter((one) => one === 'PING').length === 1) greeted.resolve(socket)
    else socket.write('PONG\r\n')
  })
  const wire = await connected(t, { url })
  const stop = wire.subscribe('before', () => undefined)
  const back = new Promise<void>((resolve) => wire.onReconnect(resolve))
  sockets[0]!.destroy()
  const socket = await greeted.promise
  wire.subscribe('meanwhile', () => undefined)
  stop()
  socket.write('PONG\r\n')
  await back
  await wire.flush()
  assert.ok(heard.includes('SUB meanwhile 2') && heard.includes('UNSUB 1'), heard.join(', '))
})

test('connectWire opens another connection when one breaks at its first answer', async (t) => {
  const { sockets, url } = await slowServer(t, (connection, line, socket) => {
    if (line === 'PING') socket.write(connection === 2 ? "PONG\r\n-ERR 'Stale Connection'\r\n" : 'PONG\r\n')
  })
  const wire = await connected(t, { url })
  const back = new Promise<void>((resolve) => wire.onReconnect(resolve))
  sockets[0]!.destroy()
  await back
  await wire.flush()
  assert.equal(sockets.length, 3)
})

const answersPings = (_: number, line: string, socket: Socket): void => {
  if (line === 'PING') socket.write('PONG\r\n')
}

test('connectWire refuses a server that would close the connection because of a large frame', async (t) => {
  const { url } = await slowServer(t, answersPings, () => ({ max_payload: 65_536 }))
  await assert.rejects(connectWire({ url, name: 'test' }), {
    code: 'ERR_NATS_PAYLOAD',
    message: /takes messages of 65536 bytes at most, and records need \d+: set its max_payload/,
  })
})

test('connectWire says once why it cannot reconnect, and reconnects when it can (W6)', async (t) => {
  const troubles: string[] = []
  const refusals = 3
  const { sockets, url } = await slowServer(
    t,
    (connection, line, socket) => {
      const refused = connection > 1 && connection <= 1 + refusals
      if (refused && line.startsWith('CONNECT')) socket.end("-ERR 'Authorization Violation'\r\n")
      else answersPings(connection, line, socket)
    },
    (connection) => ({ max_payload: connection === 2 + refusals ? 1024 : 1_048_576 }),
  )
  const wire = await connected(t, { url, onTrouble: (message) => troubles.push(message) })
  const back = new Promise<void>((resolve) => wire.onReconnect(resolve))
  sockets[0]!.destroy()
  await back
  assert.equal(troubles.length, 2, troubles.join('\n'))
  assert.match(troubles[0]!, /^Records wait: NATS at .* refused user/)
  assert.match(troubles[1]!, /^Records wait: .* set its max_payload/)
})

test('connectWire reports a subject that the server refuses once, and goes on (W6)', async (t) => {
  const { url } = await startNatsServer({ dir: await folder(t), port: 0, users })
  const troubles: string[] = []
  const onTrouble = (message: string): unknown => troubles.push(message)
  const wire = await connected(t, { url, ...users.client, onTrouble })
  for (let i = 0; i < 3; i++) wire.publish('concord.n.c.claim.f', bytesOf(3))
  wire.subscribe('concord.n.c.hb.>', () => undefined)
  await wire.flush()
  assert.deepEqual(
    troubles.map((text) => /for (\w+) to "([^"]*)"/.exec(text)?.slice(1)),
    [
      ['Publish', 'concord.n.c.claim.f'],
      ['Subscription', 'concord.n.c.hb.>'],
    ],
  )
})

test('connectWire passes on an error of a receiver, and keeps its connection (W7)', async (t) => {
  const { url } = await startNatsServer({ dir: await folder(t), port: 0 })
  const broken: unknown[] = []
  const wire = await connected(t, { url, onBroken: (error) => broken.push(error) })
  wire.onReconnect(() => assert.fail('the connection was lost'))
  const error = new Error('a bug')
  wire.subscribe('bad', () => {
    throw error
  })
  const heard = next(wire, 'good')
  wire.publish('bad', bytesOf(3))
  wire.publish('good', bytesOf(4))
  assert.deepEqual(await heard, ['good', bytesOf(4)])
  assert.deepEqual(broken, [error])
})
