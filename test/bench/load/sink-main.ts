/**
 * The sink of the benchmarks: `node sink-main.ts URL STREAM RECORDS`. Consumes a stream as its owner, checks the number in
 * each value against the last of the same (key's producer number sequence), and prints one JSON line when all have come.
 *
 * The numbers of one (load producer, partition) must rise by one. Records of two load producers mix in one partition of
 * the output (which has as many as the input, and the same keys); the top bit of the number tells them apart.
 * @module
 */
import { Consumer, connectBus, natsWire, type TakenFrame } from '../../../infra/bus/index.ts'
import { systemClock } from '../../../infra/clock.ts'
import { recordBytes, recordHeaderBytes } from '../../../sdk/frame.ts'
import { partitions } from './workload.ts'

const [url, stream, records] = [process.argv[2]!, process.argv[3]!, Number(process.argv[4])]
const nc = await connectBus({ url, name: 'bench-sink' })
const counts = { received: 0, lost: 0, repeated: 0, reordered: 0 }
const next = new Map<string, number>()
const missing = new Set<string>()
let firstMs = 0
const consumer = new Consumer({
  wire: natsWire(nc),
  namespace: 'bench',
  name: 'sink',
  epoch: 1,
  clock: systemClock,
  onFrames: () => setImmediate(drain),
})
consumer.own(
  stream,
  Array.from({ length: partitions }, (_, i) => i),
)
console.log(JSON.stringify({ ready: true }))

function drain(): void {
  for (let hand = consumer.take(1 << 20); hand.length > 0; hand = consumer.take(1 << 20)) {
    for (const frame of hand) check(frame)
    consumer.acknowledge()
  }
  if (counts.received >= records) finish()
}

function check(frame: TakenFrame): void {
  if (firstMs === 0) firstMs = performance.now()
  const view = new DataView(frame.bytes.buffer, frame.bytes.byteOffset, frame.bytes.byteLength)
  let at = frame.header.headerBytes
  for (let i = 0; i < frame.header.count; i++) {
    const valueSize = view.getUint32(at, true)
    const keySize = view.getUint16(at + 4, true)
    const number = view.getUint32(at + recordHeaderBytes + keySize, true)
    judge(`${frame.partition} ${number >>> 31}`, number & 0x7fffffff)
    at += recordBytes(keySize, valueSize)
  }
  counts.received += frame.header.count
  consumer.done(frame, frame.header.count)
}

/** Each number once and in order; what was skipped and comes later is reordered, what comes again is repeated. */
function judge(source: string, found: number): void {
  const expected = next.get(source) ?? 0
  if (found < expected) {
    if (missing.delete(`${source} ${found}`)) {
      counts.lost -= 1
      counts.reordered += 1
    } else counts.repeated += 1
    return
  }
  for (let skipped = expected; skipped < found; skipped++) {
    counts.lost += 1
    missing.add(`${source} ${skipped}`)
  }
  next.set(source, found + 1)
}

function finish(): void {
  const cpu = process.cpuUsage()
  console.log(
    JSON.stringify({
      ...counts,
      seconds: (performance.now() - firstMs) / 1000,
      cpuSeconds: (cpu.user + cpu.system) / 1e6,
    }),
  )
  setTimeout(() => process.exit(0), 100)
}
