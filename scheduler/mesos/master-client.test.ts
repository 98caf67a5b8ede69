import assert from 'node:assert/strict'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { MasterClient } from './master-client.ts'

const silenceMsMax = 200

/** A server that leaves the answers to the test, and a client of it. */
async function scene(t: TestContext, answer: (response: ServerResponse) => void) {
  const ports = new Set<number>()
  const server = createServer((request, response) => {
    ports.add(request.socket.remotePort!)
    request.on('end', () => answer(response)).resume()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/api`)
  const client = new MasterClient(url, silenceMsMax)
  t.after(() => {
    client.destroy()
    server.closeAllConnections()
    server.close()
  })
  return { client, url, ports }
}

test('MasterClient sends one request after another over one connection', async (t) => {
  const { client, ports } = await scene(t, (response) => response.end('yes'))
  for (let i = 0; i < 3; i++) assert.equal(await text(await client.post({}, 'hello')), 'yes')
  assert.equal(ports.size, 1)
})

test('MasterClient gives up an answer that does not come, or not to its end, and not a stream that is silent (MC1)', async (t) => {
  const streams: ServerResponse[] = []
  const { client, url } = await scene(t, (response) => {
    streams.push(response)
    if (streams.length < 3) response.flushHeaders()
  })
  const stream = await client.stream({}, '')
  const other = new MasterClient(url, silenceMsMax)
  t.after(() => other.destroy())
  const cut = await other.post({}, '')
  await assert.rejects(text(cut), { code: 'ECONNRESET' })
  await assert.rejects(other.post({}, ''), /nothing was heard for 200 ms/)
  streams[0]!.end('after twice that time')
  assert.equal(await text(stream), 'after twice that time')
})

test('MasterClient ends what is under way when it is destroyed (MC2)', { timeout: 30_000 }, async (t) => {
  const asked = Promise.withResolvers<void>()
  let requests = 0
  const { client, url } = await scene(t, (response) => {
    if (++requests === 1) response.flushHeaders()
    else asked.resolve()
  })
  const answer = await client.stream({}, '')
  client.destroy()
  await assert.rejects(text(answer), { code: 'ECONNRESET' })
  const other = new MasterClient(url, 60_000)
  const waiting = assert.rejects(other.post({}, ''), { code: 'ECONNRESET' })
  await asked.promise
  other.destroy()
  await waiting
})
