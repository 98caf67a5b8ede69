import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import { headers } from '@nats-io/transport-node'
import { startTail } from '../../infra/bus/index.ts'
import type { Heartbeat } from '../../infra/control/messages/heartbeat.ts'
import { paths } from '../../infra/store/index.ts'
import { recordsOf } from '../../sdk/wire/frame.ts'
import { namespace, type Platform, sourceOf, startPlatform, until } from '../testing/platform.ts'

let platform: Platform
before(async () => {
  platform = await startPlatform({ bufferBytesMax: 64 * 1024 })
})
after(() => platform.close())

async function makeStream(name: string, config: object): Promise<void> {
  assert.equal(
    (await platform.call('PUT', `/v1/streams/${name}`, { body: JSON.stringify(config) })).status,
    200,
  )
}

function rawIn(stream: string, value: string, key?: string): void {
  const made = headers()
  if (key !== undefined) made.set('Concord-Key', key)
  platform.nc.publish(`concord.${namespace}.in.${stream}`, value, { headers: made })
}

const leads = () =>
  until('a gateway leads', () => platform.logged.some((line) => line.includes('leads ingest-test')))

test('Raw records of any NATS client enter the stream once, even with two gateways', async () => {
  await leads()
  await platform.another()
  await makeStream('raw', {})
  const seen: string[] = []
  const wire = platform.wire
  startTail({
    ...{ wire, namespace, stream: 'raw', onGap: () => assert.fail() },
    onFrame(bytes, header) {
      for (const { key, value } of recordsOf(bytes, header))
        seen.push(`${Buffer.from(key)}=${Buffer.from(value)}`)
    },
  })
  for (let i = 0; i < 100; i++) rawIn('raw', `${i}`, i % 2 === 0 ? 'even' : undefined)
  await until('all passed', () => seen.length >= 100)
  await wire.flush()
  assert.equal(seen.length, 100)
  const even = seen.filter((text) => text.startsWith('even='))
  assert.deepEqual(
    even,
    Array.from({ length: 50 }, (_, i) => `even=${i * 2}`),
  )
})

test('Raw records leave a stream marked raw with their keys, binary ones included', async () => {
  await leads()
  await makeStream('open', { raw: true, partitions: 1 })
  const seen: string[] = []
  platform.nc.subscribe(`concord.${namespace}.out.open`, {
    callback: (_, message) => {
      const [key, base64] = [message.headers?.get('Concord-Key'), message.headers?.get('Concord-Key-Base64')]
      seen.push(`${key || base64 || ''}=${message.string()}`)
    },
  })
  await platform.nc.flush()
  const lines = [
    { key: 'k', value: 'a' },
    { value: 'b' },
    { keyBase64: '/w0K', value: 'c' },
    { key: 'line\nbreak', value: 'd' },
  ]
  await platform.call('POST', '/v1/streams/open/records', {
    body: lines.map((line) => JSON.stringify(line)).join('\n'),
  })
  await until('all came', () => seen.length === 4)
  assert.deepEqual(seen, ['k=a', '=b', '/w0K=c', `${Buffer.from('line\nbreak').toString('base64')}=d`])
  await makeStream('open', { raw: false, partitions: 1 })
  const watched: number[] = []
  const wire = platform.wire
  startTail({
    ...{ wire, namespace, stream: 'open', onGap: () => undefined },
    onFrame: (_, header) => watched.push(header.count),
  })
  await wire.flush()
  await platform.call('POST', '/v1/streams/open/records', { body: '{"value":"e"}' })
  await until('it passed', () => watched.length === 1)
  await wire.flush()
  assert.equal(seen.length, 4)
})

test('Raw records that exceed a message with their key in base64 are dropped and counted, and those behind them pass', async () => {
  await leads()
  await makeStream('wide', { raw: true, partitions: 1 })
  const seen: string[] = []
  platform.nc.subscribe(`concord.${namespace}.out.wide`, {
    callback: (_, message) => void seen.push(message.string()),
  })
  await platform.nc.flush()
  const keyBase64 = Buffer.alloc(60_000, 0xff).toString('base64')
  const lines = [{ keyBase64, value: 'x'.repeat(980_000) }, { value: 'behind it' }]
  const { status } = await platform.call('POST', '/v1/streams/wide/records', {
    body: lines.map((line) => JSON.stringify(line)).join('\n'),
  })
  assert.equal(status, 200)
  await until('the other one came', () => seen.length > 0)
  assert.deepEqual(seen, ['behind it'])
  const metrics = await (await platform.call('GET', '/metrics')).text()
  assert.match(metrics, /concord_republish_dropped_records_total\{stream="wide"[^}]*\} 1\n/)
})

test('Raw records that are refused are counted with the reason, in metrics and heartbeat', async () => {
  await leads()
  let beat: Heartbeat | undefined
  platform.nc.subscribe(`concord.${namespace}.c.hb.${platform.gateway.id}`, {
    callback: (_, message) => {
      beat = message.json<Heartbeat>()
    },
  })
  await platform.nc.flush()
  const shown = async () => await (await platform.call('GET', '/metrics')).text()
  assert.match(
    await shown(),
    /concord_raw_dropped_records_total\{reason="tooLarge"[^}]*\} 0/,
    'before any is',
  )
  rawIn('nowhere', 'a')
  rawIn('nowhere', 'b')
  await platform.call('POST', '/v1/functions', { body: sourceOf('absent', ['stuck'], []) })
  await until('they are counted', () => {
    for (let i = 0; i < 20; i++) rawIn('stuck', 'x'.repeat(1000), `${i}`)
    return beat?.rawDropped?.['unknownStream'] === 2 && beat.rawDropped['noRoom']! > 0
  })
  assert.match(await shown(), /concord_raw_dropped_records_total\{reason="unknownStream"[^}]*\} 2/)
  assert.equal(platform.logged.filter((line) => line.includes('raw records are dropped')).length, 1)
})

test('A raw record whose headers cannot be read is counted, and does not make the gateway deaf', async (t) => {
  await leads()
  await makeStream('heard', {})
  const plain = connect(Number(new URL(platform.nats.url).port), '127.0.0.1')
  t.after(() => plain.destroy())
  const head = 'NATS/1.0\r\nbad key: x\r\n\r\n'
  const subject = `concord.${namespace}.in.heard`
  plain.write(`CONNECT {"headers":true}\r\nHPUB ${subject} ${head.length} ${head.length}\r\n${head}\r\n`)
  const counted = /concord_raw_dropped_records_total\{reason="malformed"[^}]*\} 1\n/
  await until('it is counted', async () =>
    counted.test(await (await platform.call('GET', '/metrics')).text()),
  )
  let seen = 0
  const wire = platform.wire
  startTail({
    ...{ wire, namespace, stream: 'heard', onGap: () => undefined },
    onFrame(_, header) {
      seen += header.count
    },
  })
  await wire.flush()
  rawIn('heard', 'a')
  await until('the next one passes', () => seen === 1)
})

test('Raw ingest moves to another gateway when the leading one ends', async () => {
  await makeStream('passed', {})
  await platform.store.remove(paths.function(namespace, 'absent')) // nobody waits for it any more
  await platform.another()
  let seen = 0
  const wire = platform.wire
  startTail({
    ...{ wire, namespace, stream: 'passed', onGap: () => undefined },
    onFrame(_, header) {
      seen += header.count
    },
  })
  await platform.gateway.close()
  await until('what one sends comes in again', () => {
    rawIn('passed', 'a')
    return seen > 0
  })
})
