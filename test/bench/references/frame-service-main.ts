/**
 * Reference (c2): `node frame-service-main.ts URL`: the same service by a good engineer who may send frames and writes it for
 * this one job. He knows that the key stays the same, and so the partition: a frame that comes in goes out as it is, with the
 * counts written into a copy; that keys are text, so a latin-1 string; that a count is a number, so one lookup and no bytes in the Map.
 * What he does without: isolation, credits, repeats and gaps, undoing, limits, several outputs, anything that could change.
 * @module
 */
import { connect } from '@nats-io/transport-node'
import { headerBytesV1, recordBytes, recordHeaderBytes } from '../../../sdk/wire/frame.ts'

const countAt = 96

process.stdin.once('end', () => process.exit(1)).resume() // whoever started us is gone
const nc = await connect({ servers: process.argv[2]! })
const counts = new Map<string, { records: number }>()
nc.subscribe('bench.in.*', {
  callback: (_, { subject, data }) => {
    const frame = Buffer.from(data) // a copy: what is received may be the client's own buffer
    count(frame)
    nc.publish(`bench.out.${subject.slice('bench.in.'.length)}`, frame)
  },
})
await nc.flush()
console.log(JSON.stringify({ ready: true }))

function count(frame: Buffer): void {
  const records = frame.readUInt32LE(28)
  let at = headerBytesV1
  for (let i = 0; i < records; i++) {
    const valueBytes = frame.readUInt32LE(at)
    const keyBytes = frame.readUInt16LE(at + 4)
    const keyAt = at + recordHeaderBytes
    const valueAt = keyAt + keyBytes
    const key = frame.toString('latin1', keyAt, valueAt)
    let counted = counts.get(key)
    if (counted === undefined) {
      counted = { records: 0 }
      counts.set(key, counted)
    }
    counted.records += 1
    frame.writeUInt32LE(counted.records, valueAt + countAt)
    at += recordBytes(keyBytes, valueBytes)
  }
}
