/**
 * The load for a service over HTTP: `node http-main.ts PORT UNIT RECORDS`, where UNIT is `record` or `frame`: what a request
 * holds. A connection for each partition, several requests on their way in each, as fast as they are answered; every record
 * that comes back is checked. It speaks HTTP itself, since a client that does more costs more than the service.
 * @module
 */
import { once } from 'node:events'
import { headerBytesV1, recordHeaderBytes } from '../../../sdk/frame.ts'
import { Checker } from './checker.ts'
import { HttpLine } from './http-line.ts'
import type { SinkReport } from './sink-main.ts'
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
const records = Number(process.argv[4])
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
const startMs = performance.now()
for (let sent = 0, i = 0; sent < planned; i++) {
  const frame = tape[i % tape.length]!
  writeNumbers(frame, next[frame.partition]!)
  next[frame.partition]! += frame.count
  await lines[frame.partition]!.send(unit === 'frame' ? [frame.bytes] : recordsOf(frame))
  sent += frame.count
}
await Promise.all(lines.map((line) => line.answered()))
const report: SinkReport = { seconds: (performance.now() - startMs) / 1000, ...checker.checks(planned) }
console.log(JSON.stringify(report))

/** Key and value of each record, without its header. */
function recordsOf({ bytes, count }: TapeFrame): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => {
    const at = headerBytesV1 + i * recordStride
    return bytes.subarray(at + recordHeaderBytes, at + recordStride)
  })
}

function check(partition: number, body: Buffer): void {
  if (unit === 'record') return checker.see(partition, body.readUInt32LE(keyBytes))
  for (let at = headerBytesV1 + numberAt; at < body.length; at += recordStride)
    checker.see(partition, body.readUInt32LE(at))
}
