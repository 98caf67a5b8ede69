/**
 * A load of lines: `node lines-main.ts URL STREAM CONSUMER FILE KEYED_BY LINES`. Says how many it will send (whole frames), and
 * from the next line of its input on sends them round and round as fast as they are taken; then says that all were.
 * @module
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { type KeyedBy, tapeOfLines, writeTimes } from './lines.ts'
import { openSender } from './senders.ts'
import { partitions, plannedRecords } from './workload.ts'

const [url, stream, consumer, file, keyedBy] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  KeyedBy,
]
process.stdin.once('end', () => process.exit(1)) // whoever started us is gone
const lines = readFileSync(file, 'utf8').split('\n')
const wanted = Number(process.argv[7])
const tape = tapeOfLines(lines.filter((line) => line !== '').slice(0, wanted), keyedBy)
const planned = plannedRecords(tape, wanted)
const sender = await openSender({ url, transport: 'channel', stream, consumer, index: 0 })
console.log(JSON.stringify({ planned }))
await once(process.stdin, 'data')

const next = new Array<number>(partitions).fill(0)
const startMs = performance.now()
for (let sent = 0, i = 0; sent < planned; i++) {
  const frame = tape[i % tape.length]!
  await sender.room()
  writeTimes(frame, next[frame.partition]!)
  sender.send(frame)
  next[frame.partition]! += frame.count
  sent += frame.count
  await setImmediate() // sockets are read and written between frames
}
await sender.settled()
console.log(JSON.stringify({ seconds: (performance.now() - startMs) / 1000 }))
