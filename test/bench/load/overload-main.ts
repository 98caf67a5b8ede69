/**
 * The load of the overload benchmark: `node overload-main.ts OVERLOAD_OPTIONS`. Sends numbered records at a fixed rate, or as fast
 * as it may, and says when it is done, and what became of them when nothing waits any more.
 * @module
 */
import { once } from 'node:events'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { connectBus, connectWire, originOf, Producer } from '../../../infra/bus/index.ts'
import { systemClock } from '../../../infra/clock.ts'
import type { OutputLedger } from '../../../infra/control/messages/accounts.ts'
import { SpillStore } from '../../../infra/spill/index.ts'
import type { BackPressure } from '../../../sdk/index.ts'
import { frameOf } from '../../../sdk/wire/frame.ts'
import { namespace } from '../stage/runner.ts'
import { partitions, valueBytes } from './workload.ts'

export interface OverloadOptions {
  readonly url: string
  readonly mode: BackPressure
  readonly perSecond: number
  readonly seconds: number
}

const recordsPerFrame = 200
const { url, mode, perSecond, seconds } = JSON.parse(process.argv[2]!) as OverloadOptions
process.stdin.once('end', () => process.exit(1)) // whoever started us is gone
const spill = new SpillStore({
  ...{ namespace, connect: () => connectBus({ url, name: 'bench-spill' }) },
  onTrouble: (message) => process.stderr.write(`${message}\n`),
})
const producer = new Producer({
  ...{ namespace, epoch: 1, clock: systemClock, isFirst: true, spill },
  wire: await connectWire({ url, name: 'bench-overload' }),
  origin: originOf(namespace, 'load', mode),
})
const stream = { name: 'in', partitions, keyed: false }
producer.setStream({ ...stream, consumers: [{ name: 'slow', backPressure: mode }] })
console.log(JSON.stringify({ ready: true }))
await once(process.stdin, 'data')

const next = new Array<number>(partitions).fill(0)
const startMs = performance.now()
const passedSeconds = (): number => (performance.now() - startMs) / 1000
let sent = 0
while (passedSeconds() < seconds) {
  if (sent > passedSeconds() * perSecond) await setTimeout(1)
  else if (!producer.writable('in')) await Promise.race([producer.ready('in'), setTimeout(50)])
  else {
    sendFrame()
    await setImmediate() // sockets are read and written between frames
  }
}
console.log(JSON.stringify(rowNow()))
const isEmpty = ({ sent, acked, unaccounted }: OutputLedger): boolean => sent === acked + unaccounted
while (!isEmpty(rowNow())) await setTimeout(50)
console.log(JSON.stringify(rowNow()))

function sendFrame(): void {
  const partition = (sent / recordsPerFrame) % partitions
  const records = Array.from({ length: recordsPerFrame }, () => {
    const value = new Uint8Array(valueBytes)
    new DataView(value.buffer).setUint32(0, next[partition]!++, true)
    return { key: new Uint8Array(0), value, timeMs: 0 }
  })
  producer.send('in', partition, frameOf(records), recordsPerFrame)
  sent += recordsPerFrame
}

function rowNow(): OutputLedger {
  return producer.ledger().find(({ consumer }) => consumer === 'slow')!
}
