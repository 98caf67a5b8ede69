/**
 * The sink: `node sink-main.ts URL TRANSPORT STREAM RECORDS`. Checks the number of each record against the last of the same
 * producer and partition, and says what it saw when all have come, or when none has for a while.
 * @module
 */
import { Checker } from './checker.ts'
import { openReceiver } from './receivers.ts'
import type { Transport } from './senders.ts'
import { partitions } from './workload.ts'

/** What the sink says. */
export interface SinkReport {
  /** From the first record to the last. */
  readonly seconds: number
  readonly lost: number
  readonly repeated: number
  readonly reordered: number
}

/** How long nothing may come: at first, since a runner starts meanwhile, and then. */
const [firstWaitMs, stallMs] = [60_000, 15_000]

const [url, transport, stream] = process.argv.slice(2, 5) as [string, Transport, string]
const planned = Number(process.argv[5])
process.stdin.once('end', () => process.exit(1)) // whoever started us is gone
const checker = new Checker(2 * partitions)
let firstMs = 0
let lastMs = performance.now()
await openReceiver({
  url,
  transport,
  stream,
  onRecord(partition, view, valueAt) {
    if (firstMs === 0) firstMs = performance.now()
    const number = view.getUint32(valueAt, true)
    const producer = number >>> 31
    checker.see(2 * partition + producer, number & 0x7fffffff)
    return producer
  },
  onLot() {
    lastMs = performance.now()
    if (checker.received >= planned) finish()
  },
})
console.log(JSON.stringify({ ready: true }))
const stall = setInterval(() => {
  if (performance.now() - lastMs > (firstMs === 0 ? firstWaitMs : stallMs)) finish()
}, 1000)

function finish(): void {
  clearInterval(stall)
  const report: SinkReport = { seconds: (lastMs - firstMs) / 1000, ...checker.checks(planned) }
  console.log(JSON.stringify(report))
}
