import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { frameOf, recordsOf } from '../../sdk/wire/frame.ts'
import { systemClock } from '../clock.ts'
import { startNatsServer } from '../nats/index.ts'
import { Consumer, connectWire, originOf, Producer, type TakenFrame } from './index.ts'

const records = 60_000
const recordsPerFrame = 50
const partitions = 4

test('channels lose and repeat nothing while the real nats-server is killed, restarted and stopped', {
  timeout: 300_000,
}, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'concord-channel-'))
  let server = await startNatsServer({ dir, port: 0 })
  const { port, url } = server
  const [a, b] = await Promise.all([
    connectWire({ url, name: 'producer' }),
    connectWire({ url, name: 'owner' }),
  ])
  t.after(async () => {
    a.close()
    b.close()
    await server.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  const producer = new Producer({
    wire: a,
    namespace: 'n',
    origin: originOf('n', 'p', 0),
    epoch: 1,
    clock: systemClock,
  })
  producer.setStream({
    name: 's',
    partitions,
    keyed: true,
    consumers: [{ name: 'f', backPressure: 'block' }],
  })
  const seen: number[][] = Array.from({ length: partitions }, () => [])
  let total = 0
  let onProgress = (): void => undefined
  const consumer = new Consumer({
    wire: b,
    namespace: 'n',
    name: 'f',
    epoch: 1,
    clock: systemClock,
    windowBytes: 256 * 1024,
    onFrames: () => setImmediate(drain),
  })
  consumer.own(
    's',
    Array.from({ length: partitions }, (_, i) => i),
  )

  function drain(): void {
    for (let hand = consumer.take(64 * 1024); hand.length > 0; hand = consumer.take(64 * 1024))
      hand.forEach(process)
    consumer.acknowledge()
    onProgress()
  }
  function process(frame: TakenFrame): void {
    const all = [...recordsOf(frame.bytes, frame.header)].slice(frame.skip)
    for (const { value } of all)
      seen[frame.partition]!.push(new DataView(value.buffer, value.byteOffset).getUint32(0))
    total += all.length
    consumer.done(frame, all.length)
  }
  const reached = (count: number): Promise<void> =>
    new Promise((resolve) => {
      onProgress = () => {
        if (total >= count) resolve()
      }
      onProgress()
    })

  const feed = (async () => {
    const next = new Array<number>(partitions).fill(0)
    for (let sent = 0; sent < records; sent += recordsPerFrame) {
      await producer.ready('s')
      const partition = (sent / recordsPerFrame) % partitions
      const frame = Array.from({ length: recordsPerFrame }, () => {
        const value = new Uint8Array(100)
        new DataView(value.buffer).setUint32(0, next[partition]!++)
        return { key: new Uint8Array(8), value, timeMs: 0 }
      })
      producer.send('s', partition, frameOf(frame), recordsPerFrame)
      if (sent % 1000 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
  })()

  for (const share of [0.2, 0.4, 0.6]) {
    await reached(records * share)
    await server.stop('SIGKILL')
    server = await startNatsServer({ dir, port })
  }
  await reached(records * 0.8)
  globalThis.process.kill(server.pid, 'SIGSTOP')
  await new Promise((resolve) => setTimeout(resolve, 300)) // the time for which it is stopped is the test itself
  globalThis.process.kill(server.pid, 'SIGCONT')
  await feed
  await producer.settled(AbortSignal.timeout(180_000))
  for (const list of seen)
    assert.deepEqual(
      list,
      Array.from({ length: records / partitions }, (_, i) => i),
    )
  const row = producer.ledger().find((r) => r.consumer === 'f')!
  assert.deepEqual([row.sent, row.acked, row.unaccounted], [records, records, 0])
})
