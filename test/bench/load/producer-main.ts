/**
 * A producer process of the benchmarks: `node producer-main.ts URL INDEX RECORDS`. Sends numbered records to stream `in`
 * as fast as credits allow, waits until all are acknowledged, and prints one JSON line.
 * It starts sending when a line arrives on stdin, so that making the tape is not measured.
 * @module
 */
import { once } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { connectBus, natsWire, originOf, Producer } from '../../../infra/bus/index.ts'
import { systemClock } from '../../../infra/clock.ts'
import { makeTape, numbered, partitions } from './workload.ts'

const [url, index, records] = [process.argv[2]!, Number(process.argv[3]), Number(process.argv[4])]
const tape = makeTape(index + 1)
const nc = await connectBus({ url, name: `bench-producer-${index}` })
const producer = new Producer({
  wire: natsWire(nc),
  namespace: 'bench',
  origin: originOf('bench', 'load', index),
  epoch: 1,
  clock: systemClock,
})
producer.setStream({
  name: 'in',
  partitions,
  keyed: true,
  consumers: [{ name: 'count', backPressure: 'block' }],
})
// Whole frames: how many records that makes is known before, so that the sink knows when all have come.
let planned = 0
for (let i = 0; planned < records; i++) planned += tape[i % tape.length]!.count
console.log(JSON.stringify({ ready: true, records: planned }))
await once(process.stdin, 'data')

const next = new Array<number>(partitions).fill(0)
const cpuBefore = process.cpuUsage()
let sent = 0
while (sent < records) {
  for (const frame of tape) {
    if (sent >= records) break
    if (!producer.writable('in')) await producer.ready('in')
    producer.send(
      'in',
      frame.partition,
      numbered(frame, next[frame.partition]! + index * 2 ** 31),
      frame.count,
    )
    next[frame.partition]! += frame.count
    sent += frame.count
    await setImmediate() // sockets are read and written between frames
  }
}
await producer.settled()
const cpu = process.cpuUsage(cpuBefore)
console.log(
  JSON.stringify({
    sent,
    perPartition: next,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    creditWaits: producer.creditWaits,
  }),
)
await nc.close()
process.exit(0)
