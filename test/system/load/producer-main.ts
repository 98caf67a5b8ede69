/**
 * A producer of numbered records: `node producer-main.ts HOME NATS-URL FUNCTION INDEX RECORDS RATE HISTORY`.
 *
 * Sends to FUNCTION-in, over all partitions in turn, until RECORDS are sent or a line comes on stdin; RATE is records a
 * second, 0 as fast as credits allow. Then waits until all are acknowledged and prints one JSON line.
 * @module
 */
import { createInterface } from 'node:readline'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { originOf, Producer } from '../../../infra/bus/index.ts'
import { systemClock } from '../../../infra/clock.ts'
import { frameOf } from '../../../sdk/wire/frame.ts'
import { HistoryWriter } from '../../history/file.ts'
import { connectLoad, namespace } from './connection.ts'
import { keysByPartition, partitions, valueBytes } from './records.ts'

const [home, url, name, index, records, rate, path] = process.argv.slice(2) as [string, string, ...string[]]
const stream = `${name}-in`
const wanted = Number(records)
const perSecond = Number(rate)
const recordsPerFrame = perSecond === 0 ? 400 : Math.max(1, Math.min(400, Math.round(perSecond / 2000)))
const settleMs = 180_000

let stopped = false
createInterface({ input: process.stdin }).once('line', () => {
  stopped = true
})
const wire = await connectLoad(home, url, `load-producer-${index}`)
const producer = new Producer({
  wire,
  namespace,
  origin: originOf(namespace, 'load', index!),
  epoch: 1,
  clock: systemClock,
  isFirst: true,
})
producer.setStream({
  name: stream,
  partitions,
  keyed: true,
  consumers: [{ name: name!, backPressure: 'block' }],
})
const history = new HistoryWriter(path!, 'output')
const keys = keysByPartition()
const next = new Array<number>(partitions).fill(0)
const channel = (partition: number): { stream: string; partition: number; producer: string } => ({
  stream,
  partition,
  producer: `p${index}`,
})
let sent = 0
const startMs = performance.now()
for (let turn = 0; sent < wanted && !stopped; turn++) {
  await producer.ready(stream)
  if (perSecond > 0 && sent / perSecond > (performance.now() - startMs) / 1000) {
    await setTimeout(1)
    continue
  }
  sendFrame(turn % partitions)
  await setImmediate() // sockets are read and written between frames
}
const seconds = (performance.now() - startMs) / 1000
const settled = await producer.settled(AbortSignal.timeout(settleMs)).then(
  () => true,
  () => false,
)
for (const [partition, through] of next.entries())
  if (settled) history.add({ event: 'acknowledged', ...channel(partition), consumer: name!, through })
history.close()
const row = producer.ledger().find((r) => r.consumer === name)
console.log(JSON.stringify({ id: producer.id, sent, seconds, settled, unaccounted: row?.unaccounted ?? 0 }))
wire.close()
process.exit(0)

function sendFrame(partition: number): void {
  const from = next[partition]!
  const frame = Array.from({ length: recordsPerFrame }, (_, i) => {
    const value = new Uint8Array(valueBytes)
    const view = new DataView(value.buffer)
    view.setUint32(0, Number(index), true)
    view.setUint32(4, from + i, true)
    return { key: keys[partition]!, value, timeMs: 0 }
  })
  producer.send(stream, partition, frameOf(frame), recordsPerFrame)
  history.add({ event: 'sent', ...channel(partition), from, count: recordsPerFrame })
  next[partition] = from + recordsPerFrame
  sent += recordsPerFrame
}
