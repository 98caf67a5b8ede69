import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pipeline } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { freePorts } from '../../free-ports.ts'
import { type BusOptions, connectBus, connectWire, type NatsTls, readTls } from '../index.ts'
import { anotherAuthority, authority, client, server, serverElsewhere } from './testing-certificates.ts'

interface Started {
  readonly url: string
  readonly dir: string
  stop(): Promise<void>
  start(): Promise<void>
}

/** A real server; `login` absent: it speaks in clear. */
async function startServer(t: TestContext, login?: NatsTls, asksClients = false): Promise<Started> {
  const dir = await mkdtemp(join(tmpdir(), 'concord-tls-'))
  const [port] = await freePorts(1)
  const file = async (name: string, text = ''): Promise<string> => {
    await writeFile(join(dir, name), text)
    return join(dir, name)
  }
  const tls =
    login === undefined
      ? []
      : [
          ...[
            '--tls',
            '--tlscert',
            await file('cert.pem', login.cert),
            '--tlskey',
            await file('key.pem', login.key),
          ],
          ...(asksClients ? ['--tlsverify', '--tlscacert', await file('ca.pem', authority)] : []),
        ]
  let child: ReturnType<typeof spawn> | undefined
  const stop = async (): Promise<void> => {
    if (child === undefined) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
    child = undefined
  }
  const start = async (): Promise<void> => {
    child = spawn('nats-server', ['-a', '127.0.0.1', '-p', String(port), ...tls], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const ready = Promise.withResolvers<void>()
    createInterface({ input: child.stderr! }).on('line', (line) => {
      if (line.includes('Server is ready')) ready.resolve()
    })
    await ready.promise
  }
  t.after(async () => {
    await stop()
    await rm(dir, { recursive: true })
  })
  await start()
  return { url: `nats://127.0.0.1:${port}`, dir, stop, start }
}

/** Both ways of connecting must say the same. */
async function bothRefuse(options: BusOptions, message: RegExp): Promise<void> {
  for (const connect of [connectBus, connectWire])
    await assert.rejects(connect(options), { code: 'ERR_NATS_TLS', message })
}

test('connectWire and connectBus use TLS for frames of all sizes, also after the server was away', async (t) => {
  const { url, stop, start } = await startServer(t, server)
  const tls = { ca: authority }
  const nc = await connectBus({ url, name: 'control', tls })
  t.after(() => nc.close())
  const wires = await Promise.all(['a', 'b'].map((name) => connectWire({ url, name, tls })))
  t.after(() => {
    for (const wire of wires) wire.close()
  })
  const [from, to] = wires as [(typeof wires)[0], (typeof wires)[0]]
  const sizes = [0, 1, 300, 5_000, 65_536, 900_000]
  const sendAll = async (): Promise<void> => {
    const got = Promise.withResolvers<void>()
    const seen: number[] = []
    const end = to.subscribe('frames', (bytes) => {
      assert.ok(bytes.every((byte) => byte === seen.length + 1))
      if (seen.push(bytes.length) === sizes.length) got.resolve()
    })
    await to.flush()
    for (const [i, size] of sizes.entries()) from.publish('frames', new Uint8Array(size).fill(i + 1))
    await got.promise
    assert.deepEqual(seen, sizes)
    end()
  }
  await sendAll()
  const back = Promise.all(wires.map((wire) => new Promise<void>((resolve) => wire.onReconnect(resolve))))
  await stop()
  await start()
  await back
  await sendAll()
})

test('connectWire leaves no connection that was closed while it was being made', {
  timeout: 30_000,
}, async (t) => {
  const { url } = await startServer(t, server)
  const accepted: Socket[] = []
  let onConnection = (): void => undefined
  const proxy = createServer((socket) => {
    accepted.push(socket)
    onConnection()
    const upstream = createConnection({ host: '127.0.0.1', port: Number(new URL(url).port) })
    pipeline(socket, upstream, socket, () => undefined)
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.after(() => {
    for (const socket of accepted) socket.destroy()
    proxy.close()
  })
  const { port } = proxy.address() as AddressInfo
  const wire = await connectWire({ url: `nats://127.0.0.1:${port}`, name: 'x', tls: { ca: authority } })
  const again = new Promise<void>((resolve) => {
    onConnection = resolve
  })
  accepted[0]!.destroy()
  await again
  wire.close()
  await once(accepted[1]!, 'close')
  assert.equal(wire.connected, false)
})

test('a server that asks for certificates accepts only clients that have one', async (t) => {
  const { url } = await startServer(t, server, true)
  const wire = await connectWire({ url, name: 'known', tls: { ca: authority, ...client } })
  await wire.flush()
  wire.close()
  const unknown = connectWire({ url, name: 'unknown', tls: { ca: authority } })
  await assert.rejects(unknown, { code: 'ERR_NATS_TLS', message: /certificate/i })
})

test('a server that is not trusted, or uses TLS differently, is reported with the settings to change', async (t) => {
  const { url } = await startServer(t, server)
  await bothRefuse({ url, name: 'x', tls: { ca: anotherAuthority } }, /nats\.caFile names who signs/)
  await bothRefuse({ url, name: 'x' }, /nats\.caFile/)
  const elsewhere = await startServer(t, serverElsewhere)
  await bothRefuse({ url: elsewhere.url, name: 'x', tls: { ca: authority } }, /elsewhere\.example|altnames/)
  const clear = await startServer(t)
  await assert.rejects(connectWire({ url: clear.url, name: 'x', tls: { ca: authority } }), {
    code: 'ERR_NATS_TLS',
    message: /speaks no TLS: leave nats\.caFile out/,
  })
})

test('readTls reads the files that the settings name, and says which setting is wrong', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'concord-tls-'))
  t.after(() => rm(dir, { recursive: true }))
  const caFile = join(dir, 'ca.pem')
  await writeFile(caFile, authority)
  assert.equal(await readTls({ url: 'nats://a,nats://b' }), undefined)
  assert.deepEqual(await readTls({ url: 'tls://a,tls://b' }), {})
  assert.deepEqual(await readTls({ url: 'nats://a', caFile }), { ca: authority })
  const refused = (settings: Parameters<typeof readTls>[0], message: RegExp) =>
    assert.rejects(readTls(settings), { code: 'ERR_NATS_TLS', message })
  await refused({ url: 'nats://a', certFile: caFile }, /certFile and nats\.keyFile belong together/)
  await refused({ url: 'nats://a', caFile: join(dir, 'none') }, /Cannot read nats\.caFile .*none/)
  await writeFile(caFile, 'no certificate')
  await refused({ url: 'nats://a', caFile }, /expected PEM/)
})
