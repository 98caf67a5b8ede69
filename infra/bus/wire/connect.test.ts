import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type NatsUsers, natsRoles, startNatsServer } from '../../nats/index.ts'
import { connectBus, reconnectWaitMs } from './connect.ts'

const usersWith = (password: string): NatsUsers =>
  Object.fromEntries(natsRoles.map((role) => [role, { user: role, password }])) as unknown as NatsUsers

test('connectBus reconnects when a server that has refused it, however often, takes it again, and says so once (CB1)', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'concord-bus-'))
  let server = await startNatsServer({ dir, port: 0, users: usersWith('right') })
  const troubles: string[] = []
  const onTrouble = (message: string): unknown => troubles.push(message)
  const nc = await connectBus({ url: server.url, name: 'test', user: 'runner', password: 'right', onTrouble })
  t.after(async () => {
    await nc.close()
    await server.stop()
    await rm(dir, { recursive: true })
  })
  const restart = async (password: string): Promise<void> => {
    await server.stop()
    server = await startNatsServer({ dir, port: server.port, users: usersWith(password) })
  }
  await restart('wrong')
  let refused = 0
  const status = nc.status()
  for await (const event of nc.status()) {
    if (event.type === 'close') assert.fail('it is closed')
    if (event.type === 'error' && /authorization/i.test(event.error.message) && ++refused === 3) break
  }
  await restart('right')
  for await (const event of status) if (event.type === 'reconnect') break
  assert.equal(nc.isClosed(), false)
  assert.equal(troubles.length, 1)
  assert.match(troubles[0]!, /^'test' waits: NATS at .* refused user 'runner': check nats.user/)
})

test('reconnectWaitMs grows with each refusal, to some seconds', () => {
  const waits = [0, 1, 2, 10, 10_000].map(reconnectWaitMs)
  const least = [100, 200, 400, 5_000, 5_000]
  for (const [index, wait] of waits.entries())
    assert.ok(wait >= least[index]! && wait < least[index]! + 50, `${wait}`)
})

test('connectBus knows of all servers of the cluster, also if all have refused it at first', async (t) => {
  let refusals = 2
  let told: readonly string[] = []
  const server = createServer((socket) => {
    const inform = (urls: readonly string[]) =>
      socket.write(
        `INFO ${JSON.stringify({ server_id: 'F', version: '2.11.0', max_payload: 1_048_576, connect_urls: urls })}\r\n`,
      )
    inform([1, 2, 3].map((host) => `127.0.0.${host}:${port}`))
    let isNew = true
    socket.on('error', () => undefined)
    socket.on('data', (data) => {
      for (const line of String(data).split('\r\n')) {
        if (line.startsWith('CONNECT') && refusals-- > 0)
          return socket.end("-ERR 'Authorization Violation'\r\n")
        if (line !== 'PING') continue
        if (!isNew) inform(told)
        isNew = false
        socket.write('PONG\r\n')
      }
    })
  }).listen(0)
  t.after(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const nc = await connectBus({ url: `nats://127.0.0.1:${port}`, name: 'test', user: 'runner' })
  t.after(() => nc.close())
  const status = nc.status()
  told = [`127.0.0.1:${port}`, `127.0.0.4:${port}`]
  await nc.flush()
  await nc.close()
  const types: string[] = []
  for await (const { type } of status) types.push(type)
  assert.ok(types.includes('update'), `it has heard of another server: ${types}`)
})
