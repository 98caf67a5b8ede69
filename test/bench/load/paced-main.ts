/**
 * The open-loop load: `node paced-main.ts URL TRANSPORT STREAM CONSUMER RECORDS RECORDS_PER_SECOND`. Each millisecond so many
 * records are due, whatever became of the earlier ones; each carries when it was due.
 *
 * Between two milliseconds it sleeps. A timer of the event loop would be up to a millisecond late; a wait on a futex is
 * late by some ten microseconds, and sockets are served in between.
 * @module
 */
import { once } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { headerBytesV1 } from '../../../sdk/wire/frame.ts'
import { monotonicUs } from './monotonic.ts'
import { openSender, type Transport } from './senders.ts'
import {
  dueAt,
  numberAt,
  partitions,
  recordStride,
  type TapeFrame,
  TapeMaker,
  writeNumbers,
} from './workload.ts'

const tickUs = 1000
/** Ticks made in advance, and sent round and round. */
const ticksMade = 1000

const [url, transport, stream, consumer] = process.argv.slice(2, 6) as [string, Transport, string, string]
const [records, rate] = process.argv.slice(6).map(Number) as [number, number]
process.stdin.once('end', () => process.exit(1)) // whoever started us is gone
const recordsPerTick = Math.round(rate / (1e6 / tickUs))
const ticks = Math.ceil(records / recordsPerTick)
const maker = new TapeMaker(1)
const tape = Array.from({ length: Math.min(ticks, ticksMade) }, () => maker.frames(recordsPerTick))
const sender = await openSender({ url, transport, stream, consumer, index: 0 })
console.log(JSON.stringify({ planned: ticks * recordsPerTick }))
await once(process.stdin, 'data')

const next = new Array<number>(partitions).fill(0)
const never = new Int32Array(new SharedArrayBuffer(4))
const startUs = monotonicUs()
for (let tick = 0; tick < ticks; tick++) {
  const dueUs = startUs + tick * tickUs
  const waitMs = (dueUs - monotonicUs()) / 1000
  if (waitMs > 0) Atomics.wait(never, 0, 0, waitMs)
  for (const frame of tape[tick % tape.length]!) {
    await sender.room()
    writeDue(frame, dueUs)
    writeNumbers(frame, next[frame.partition]!)
    sender.send(frame)
    next[frame.partition]! += frame.count
  }
  await setImmediate() // sockets are read and written between ticks
}
await sender.settled()

function writeDue({ view, count }: TapeFrame, dueUs: number): void {
  let at = headerBytesV1 + numberAt + dueAt
  for (let i = 0; i < count; i++, at += recordStride) view.setFloat64(at, dueUs, true)
}
