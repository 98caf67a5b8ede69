import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import { paths } from '../../infra/store/index.ts'
import { call, linesOf, namespace, type Platform, startPlatform, token, until } from '../testing/platform.ts'

let platform: Platform
before(async () => {
  platform = await startPlatform()
})
after(() => platform.close())

interface Reading {
  readonly ready: Record<string, unknown>
  readonly values: number[]
  readonly ended: Promise<unknown>
}

/** Follows by the gateway at `url`, and keeps what comes. */
async function follow(url: string, stream: string, query: string): Promise<Reading> {
  const lines = linesOf(await call(url, 'GET', `/v1/streams/${stream}/records?hold&${query}`))
  const ready = (await lines.next()).value as Record<string, unknown>
  const values: number[] = []
  const read = async () => {
    for await (const { value } of lines) values.push(Number(value))
  }
  return { ready, values, ended: read().catch(() => undefined) }
}

test('Follow with hold continues at another gateway with everything that was not acknowledged (H4 of hold.ts)', async () => {
  const stream = 'kept'
  await platform.call('PUT', `/v1/streams/${stream}`)
  const publish = async (from: number, to: number) => {
    const body = Array.from({ length: to - from }, (_, i) =>
      JSON.stringify({ key: 'k', value: `${from + i}` }),
    ).join('\n')
    const answer = await platform.call('POST', `/v1/streams/${stream}/records`, { body })
    assert.deepEqual(await answer.json(), { accepted: to - from })
  }
  const followers = () => platform.store.list(paths.followers(namespace, stream))
  const gateway = await platform.another()
  const first = await follow(gateway.url, stream, '')
  const { reader } = first.ready
  await publish(0, 100)
  await until('it has read', () => first.values.length === 100)
  await gateway.close()
  await first.ended
  assert.deepEqual(await followers(), [reader], 'the stream waits on')
  await publish(100, 200)

  const second = await follow(platform.gateway.url, stream, `instead=${reader}&count=300`)
  assert.deepEqual(second.ready, {
    event: 'ready',
    hold: true,
    reader: second.ready['reader'],
    resumed: true,
  })
  await until('the former is gone', async () => (await followers()).join() === second.ready['reader'])
  await publish(200, 300)
  await until('it has read', () => second.values.at(-1) === 299)
  const [begin = 0] = second.values
  assert.ok(begin <= 100, `it begins at ${begin}`)
  assert.deepEqual(
    second.values,
    Array.from({ length: 300 - begin }, (_, i) => begin + i),
  )

  const third = await follow(platform.gateway.url, stream, `instead=${reader}&count=1`)
  assert.equal(third.ready['resumed'], false, 'nobody waits for it any more')
  await publish(300, 301)
  await third.ended
  assert.deepEqual(third.values, [300])
})

test('A gateway that is stopping refuses what comes by a connection that it has, and lets go of that', async () => {
  const stream = 'stopping'
  await platform.call('PUT', `/v1/streams/${stream}`)
  const gateway = await platform.another()
  const { hostname, port } = new URL(gateway.url)
  const socket = connect(Number(port), hostname)
  let text = ''
  socket.setEncoding('utf8').on('data', (more: string) => {
    text += more
  })
  const ask = () =>
    socket.write(
      `GET /v1/streams/${stream}/records?hold HTTP/1.1\r\nhost: ${hostname}\r\nauthorization: Bearer ${token}\r\n\r\n`,
    )
  ask()
  await until('it follows', () => text.includes('"ready"'))
  const closed = gateway.close()
  ask()
  await once(socket, 'close')
  await closed
  const [, second = ''] = text.split('HTTP/1.1 503 ')
  assert.match(second, /connection: close.*ERR_CLOSING/is)
})
