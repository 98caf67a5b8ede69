/**
 * The load for a service over HTTP: `node http-main.ts PORT UNIT RECORDS COLD`, where UNIT is `record` or `frame`: what a request
 * holds. A connection for each partition, several requests on their way in each, as fast as they are answered; every record
 * that comes back is checked, and the first COLD of them are told apart. It speaks HTTP itself, since a client that does more costs more than the service.
 * @module
 */
import { once } from 'node:events'
import { headerBytesV1, recordHeaderBytes } from '../../../sdk/wire/frame.ts'
import { Checker } from './checker.ts'
import { HttpLine } from './http-line.ts'
import type { SinkReport, Stretch } from './sink-main.ts'
import {
  keyBytes,
  makeTape,
  numberAt,
  partitions,
  plannedRecords,
  recordStride,
  type TapeFrame,
  writeNumbers,
} from './workload.ts'

const port = Number(process.argv[2])
const unit = process.argv[3] as 'record' | 'frame'

process.stdin.once('end', () => process.exit(1)) // whoever started us is gone
const [records, coldRecords] = process.argv.slice(4, 6).map(Number) as [number, number]
const tape = makeTape(1, records)
const planned = plannedRecords(tape, records)
const checker = new Checker(partitions)
const lines = await Promise.all(
  Array.from({ length: partitions }, (_, partition) =>
    HttpLine.open({
      port,
      path: unit === 'frame' ? '/frame' : '/record',
      depth: unit === 'frame' ? 2 : 32,
      onBody: (body) => check(partition, body),
    }),
  ),
)
console.log(JSON.stringify({ planned }))
await once(process.stdin, 'data')

const next = new Array<number>(partitions).fill(0)
let begun = { records: 0, ms: performance.now() }
let isCold = coldRecords > 0
for (let sent = 0, i = 0; sent < planned; i++) {
  const frame = tape[i % tape.length]!
  writeNumbers(frame, next[frame.partition]!)
  next[frame.partition]! += frame.count
  await lines[frame.partition]!.send(unit === 'frame' ? [frame.bytes] : recordsOf(frame))
  sent += frame.count
}
await Promise.all(lines.map((line) => line.answered()))
const report: SinkReport = { ...lap(), ...checker.checks(planned) }
console.log(JSON.stringify(report))

/** What came since the last time, or the beginning. */
function lap(): Stretch {
  const now = { records: checker.received, ms: performance.now() }
  const stretch = { records: now.records - begun.records, seconds: (now.ms - begun.ms) / 1000 }
  begun = now
  return stretch
}

/** Key and value of each record, without its header. */
function recordsOf({ bytes, count }: TapeFrame): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => {
    const at = headerBytesV1 + i * recordStride
    return bytes.subarray(at + recordHeaderBytes, at + recordStride)
  })
}

function check(partition: number, body: Buffer): void {
  if (unit === 'record') checker.see(partition, body.readUInt32LE(keyBytes))
  else
    for (let at = headerBytesV1 + numberAt; at < body.length; at += recordStride)
      checker.see(partition, body.readUInt32LE(at))
  if (!isCold || checker.received < coldRecords) return
  isCold = false
  console.log(JSON.stringify(lap()))
}
