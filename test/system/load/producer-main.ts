/**
 * A producer of numbered records: `node producer-main.ts HOME NATS-URL FUNCTION INDEX RECORDS RATE VALUE-BYTES HISTORY`.
 *
 * Sends to FUNCTION-in, over all partitions in turn, until RECORDS are sent or a line comes on stdin; RATE is records a
 * second, 0 as fast as credits allow. Then waits until all are acknowledged and prints one JSON line.
 * @module
 */
import { createInterface } from 'node:readline'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { originOf, Producer, takeMemory } from '../../../infra/bus/index.ts'
import { systemClock } from '../../../infra/clock.ts'
import { frameOf, headerBytesV1, recordBytes, recordHeaderBytes } from '../../../sdk/wire/frame.ts'
import { HistoryWriter } from '../../history/file.ts'
import { connectLoad, namespace } from './connection.ts'
import { keysByPartition, partitions } from './records.ts'

const [home, url, name, index, records, rate, size, path] = process.argv.slice(2) as [
  string,
  string,
  ...string[],
]
const stream = `${name}-in`
const wanted = Number(records)
const perSecond = Number(rate)
const valueBytes = Number(size)
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
/** A frame of each partition, in which only the numbers are to be written: what a load costs is taken from what it measures. */
const templates = keys.map((key) =>
  frameOf(Array.from({ length: recordsPerFrame }, () => ({ key, value: madeValue(), timeMs: 0 }))),
)
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
  // What is due by now goes out together, as a client's would.
  while (perSecond > 0 && !stopped && sent / perSecond > (performance.now() - startMs) / 1000)
    await setTimeout(1)
  sendFrame(turn % partitions)
  if (perSecond === 0) await setImmediate() // sockets are read and written between frames
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
  const template = templates[partition]!
  const frame = takeMemory(template.length)
  frame.set(template)
  const view = new DataView(frame.buffer)
  const keyBytes = keys[partition]!.length
  const stride = recordBytes(keyBytes, valueBytes)
  const numberAt = headerBytesV1 + recordHeaderBytes + keyBytes + 4
  for (let i = 0; i < recordsPerFrame; i++) view.setUint32(numberAt + i * stride, from + i, true)
  producer.send(stream, partition, frame, recordsPerFrame)
  history.add({ event: 'sent', ...channel(partition), from, count: recordsPerFrame })
  next[partition] = from + recordsPerFrame
  sent += recordsPerFrame
}

function madeValue(): Uint8Array {
  const value = new Uint8Array(valueBytes)
  new DataView(value.buffer).setUint32(0, Number(index), true)
  return value
}
