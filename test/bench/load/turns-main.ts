/**
 * The load of `stage/turns.ts`: `node turns-main.ts URL STREAM CONSUMER INDEX RECORDS`. Sends as fast as records are taken, from the first
 * line of its input to the line "stop". From the line "poison" to the line "plain" one record in a hundred is poison. At last it says how
 * many had a number. RECORDS, of which it makes as many as producer-main.ts, is about how many it will send.
 * @module
 */
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setImmediate } from 'node:timers/promises'
import { openSender } from './senders.ts'
import { makeTape, partitions, writeNumbers, writePoisoned } from './workload.ts'

export type Turn = 'plain' | 'poison'

const [url, stream, consumer] = process.argv.slice(2, 5) as [string, string, string]
const [index, records] = process.argv.slice(5).map(Number) as [number, number]
let word = 'plain' as Turn | 'stop'
const input = createInterface({ input: process.stdin })
input.once('close', () => process.exit(1)) // whoever started us is gone
input.on('line', (line) => {
  word = JSON.parse(line) as typeof word
})
const tape = makeTape(index + 1, records)
const sender = await openSender({ url, transport: 'channel', stream, consumer, index })
console.log(JSON.stringify({ ready: true }))
await once(input, 'line')

const next = new Array<number>(partitions).fill(0)
let poisoned = 0
for (let i = 0; word !== 'stop'; i++) {
  const frame = tape[i % tape.length]!
  await sender.room()
  const first = next[frame.partition]! + index * 2 ** 31
  if (word === 'poison') {
    next[frame.partition]! += writePoisoned(frame, first, poisoned)
    poisoned += frame.count
  } else {
    writeNumbers(frame, first)
    next[frame.partition]! += frame.count
  }
  sender.send(frame)
  await setImmediate() // sockets are read and written between frames
}
await sender.settled()
console.log(JSON.stringify({ numbered: next.reduce((sum, count) => sum + count, 0) }))
