/**
 * A load producer: `node producer-main.ts URL TRANSPORT STREAM CONSUMER INDEX RECORDS`. Says how many records it will send,
 * and from the next line of its input on sends them as fast as they are taken.
 * @module
 */
import { once } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { openSender, type Transport } from './senders.ts'
import { makeTape, partitions, plannedRecords, writeNumbers } from './workload.ts'

const [url, transport, stream, consumer] = process.argv.slice(2, 6) as [string, Transport, string, string]
const [index, records] = process.argv.slice(6).map(Number) as [number, number]
process.stdin.once('end', () => process.exit(1)) // whoever started us is gone
const tape = makeTape(index + 1, records)
const sender = await openSender({ url, transport, stream, consumer, index })
const planned = plannedRecords(tape, records)
console.log(JSON.stringify({ planned }))
await once(process.stdin, 'data')

const next = new Array<number>(partitions).fill(0)
let sent = 0
while (sent < planned) {
  for (const frame of tape) {
    if (sent >= planned) break
    await sender.room()
    writeNumbers(frame, next[frame.partition]! + index * 2 ** 31)
    sender.send(frame)
    next[frame.partition]! += frame.count
    sent += frame.count
    await setImmediate() // sockets are read and written between frames
  }
}
await sender.settled()
