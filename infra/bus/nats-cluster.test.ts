import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { frameOf, recordsOf } from '../../sdk/wire/frame.ts'
import { systemClock } from '../clock.ts'
import { freePorts } from '../free-ports.ts'
import { Consumer, connectWire, originOf, Producer } from './index.ts'

const partitions = 4
const recordsPerFrame = 20
/** Of all partitions, from one owner to the other, on another server. */
const moves = Number(process.env['CONCORD_CLUSTER_MOVES'] ?? 20)

test(`channels on a cluster of three nats-servers: ${moves} moves and one server killed, and nothing lost, twice or out of order`, {
  timeout: 600_000,
}, async (t) => {
  const servers = await startCluster(t)
  /** The list of all, from the given one on. */
  const listFrom = (first: number): string => [0, 1, 2].map((i) => servers[(first + i) % 3]!.url).join(',')
  const wires = await Promise.all(
    [0, 1, 2].map((i) => connectWire({ url: listFrom(i), first: 0, name: `wire ${i}` })),
  )
  t.after(() => {
    for (const wire of wires) wire.close()
  })

  const seen: number[][] = Array.from({ length: partitions }, () => [])
  let total = 0
  let wake = (): void => undefined
  const reached = async (count: number): Promise<void> => {
    while (total < count) await new Promise<void>((resolve) => (wake = resolve))
  }
  const owner = (index: number): Consumer => {
    const drain = (): void => {
      for (const frame of consumer.take(Number.POSITIVE_INFINITY)) {
        const all = [...recordsOf(frame.bytes, frame.header)].slice(frame.skip)
        for (const { value } of all)
          seen[frame.partition]!.push(new DataView(value.buffer, value.byteOffset).getUint32(0))
        total += all.length
        consumer.done(frame, all.length)
      }
      consumer.acknowledge()
      wake()
    }
    const consumer: Consumer = new Consumer({
      wire: wires[index]!,
      ...{ namespace: 'n', name: 'f', epoch: 1, clock: systemClock, windowBytes: 128 * 1024 },
      onFrames: () => setImmediate(drain),
    })
    return consumer
  }
  const all = Array.from({ length: partitions }, (_, i) => i)
  const owners = [owner(1), owner(2)] as const
  owners[0].own('s', all)

  const origin = originOf('n', 'p', 0)
  const producer = new Producer({ wire: wires[0]!, namespace: 'n', origin, epoch: 1, clock: systemClock })
  producer.setStream({
    name: 's',
    partitions,
    keyed: true,
    consumers: [{ name: 'f', backPressure: 'block' }],
  })
  const next = new Array<number>(partitions).fill(0)
  let sent = 0
  let feeding = true
  const feed = (async () => {
    for (let turn = 0; feeding; turn++) {
      await producer.ready('s')
      const partition = turn % partitions
      const frame = Array.from({ length: recordsPerFrame }, () => {
        const value = new Uint8Array(100)
        new DataView(value.buffer).setUint32(0, next[partition]!++)
        return { key: new Uint8Array(0), value, timeMs: 0 }
      })
      producer.send('s', partition, frameOf(frame), recordsPerFrame)
      sent += recordsPerFrame
      await new Promise((resolve) => setImmediate(resolve))
    }
  })()

  for (let move = 0; move < moves; move++) {
    await reached(total + 2_000)
    if (move === Math.floor(moves / 2)) servers[0]!.child.kill('SIGKILL')
    const [giver, taker] = move % 2 === 0 ? owners : [owners[1], owners[0]]
    taker.await('s', all)
    giver.suspend('s', all)
    taker.own('s', all, move + 2, giver.release('s', all))
  }
  await reached(total + 2_000)
  feeding = false
  await feed
  await reached(sent)
  await producer.settled(AbortSignal.timeout(60_000))
  for (const [partition, numbers] of seen.entries())
    assert.deepEqual(
      numbers,
      Array.from({ length: next[partition]! }, (_, i) => i),
      `partition ${partition}`,
    )
  assert.equal(producer.ledger().find(({ consumer }) => consumer === 'f')?.unaccounted, 0)
  await producer.close()
})

interface Member {
  readonly url: string
  readonly child: ChildProcess
}

/** Three real servers that know each other by their routes. */
async function startCluster(t: TestContext): Promise<Member[]> {
  const ports = await freePorts(6)
  const routes = ports.slice(3).map((port) => `nats://127.0.0.1:${port}`)
  return await Promise.all(
    [0, 1, 2].map(async (i) => {
      const args = ['-a', '127.0.0.1', '-p', String(ports[i]), '-n', `member-${i}`, '--cluster_name', 'three']
      const child = spawn('nats-server', [...args, '--cluster', routes[i]!, '--routes', routes.join(',')], {
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      t.after(async () => {
        if (child.exitCode !== null || child.signalCode !== null) return
        child.kill('SIGKILL')
        await once(child, 'exit')
      })
      let routesUp = 0
      const { promise: joined, resolve } = Promise.withResolvers<void>()
      createInterface({ input: child.stderr! }).on('line', (line) => {
        if (line.includes('Route connection created')) routesUp += 1
        if (routesUp >= 2) resolve()
      })
      await joined
      return { url: `nats://127.0.0.1:${ports[i]}`, child }
    }),
  )
}
