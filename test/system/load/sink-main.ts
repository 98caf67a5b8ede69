/**
 * The sink of the load: `node sink-main.ts HOME NATS-URL FUNCTION FOLLOWER HISTORY`.
 *
 * Owns FUNCTION-out as `follower.FOLLOWER` and writes down what came of each record. A line on stdin says how many outputs
 * there must be: when they are there, and every timer has fired, or nothing has come for `quietMs`, it prints one JSON line
 * and ends. What is missing then is for the checker to say.
 * @module
 */
import { createInterface } from 'node:readline'
import { Consumer, type TakenFrame } from '../../../infra/bus/index.ts'
import { systemClock } from '../../../infra/clock.ts'
import { recordBytes, recordHeaderBytes } from '../../../sdk/frame.ts'
import { HistoryWriter } from '../../history/file.ts'
import { connectLoad, namespace } from './connection.ts'
import { Gaps } from './gaps.ts'
import { kinds, partitions } from './records.ts'

const [home, url, name, follower, path] = process.argv.slice(2) as [string, string, string, string, string]
const quietMs = 8_000
const stream = `${name}-in`
const wire = await connectLoad(home, url, 'load-sink')
const history = new HistoryWriter(path, 'output')
const counts = { outputs: 0, timersSet: 0, timersFired: 0 }
const gaps = new Gaps()
let wanted = Number.POSITIVE_INFINITY
let lastMs = performance.now()
let ended = false

const consumer = new Consumer({
  wire,
  namespace,
  name: `follower.${follower}`,
  epoch: 1,
  clock: systemClock,
  onFrames: () => setImmediate(drain),
})
const all = Array.from({ length: partitions }, (_, i) => i)
consumer.own(`${name}-out`, all)
createInterface({ input: process.stdin }).once('line', (line) => {
  wanted = Number(line)
  finish()
})
const quiet = setInterval(finish, 500)
console.log(JSON.stringify({ ready: true }))

function drain(): void {
  for (let hand = consumer.take(1 << 20); hand.length > 0; hand = consumer.take(1 << 20)) {
    for (const frame of hand) {
      readOutputs(frame)
      consumer.done(frame, frame.header.count - frame.skip)
    }
    consumer.acknowledge()
    lastMs = performance.now()
  }
  finish()
}

function readOutputs({ bytes, header, partition, skip }: TakenFrame): void {
  const nowMs = performance.now()
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  // A frame carries the epoch of its producer's slot, not that of the share: here an epoch is a tenure that was seen.
  let at = header.headerBytes
  for (let i = 0; i < header.count; i++) {
    const keyBytes = view.getUint16(at + 4, true)
    const word = at + recordHeaderBytes + keyBytes
    if (i >= skip) {
      const from = view.getUint32(word + 8, true)
      const record = { stream, partition, producer: `p${view.getUint32(word + 4, true)}`, from, count: 1 }
      // Another version is another owner: ticks are an isolate's own.
      const owner = `${header.producer} v${view.getUint32(word + 28, true)}`
      const actor = { consumer: name, owner, epoch: gaps.tenure(partition, owner) }
      gaps.saw(partition, owner, nowMs)
      const ticks = [view.getUint32(word + 16, true), view.getUint32(word + 20, true)] as const
      const after = view.getInt32(word + 12, true)
      if (view.getUint32(word, true) === kinds.fired) {
        counts.timersFired += 1
        history.add({ event: 'fired', ...record, ...actor, ticks })
      } else {
        counts.outputs += 1
        counts.timersSet += view.getUint32(word + 24, true)
        history.add({ event: 'output', ...record, ...actor, ticks, ...(after === -2 ? {} : { after }) })
      }
    }
    at += recordBytes(keyBytes, view.getUint32(at, true))
  }
}

function finish(): void {
  const complete = counts.outputs >= wanted && counts.timersFired >= counts.timersSet
  const isQuiet = performance.now() - lastMs > quietMs
  if (ended || wanted === Number.POSITIVE_INFINITY || !(complete || isQuiet)) return
  ended = true
  clearInterval(quiet)
  history.add({ event: 'end' })
  history.close()
  console.log(JSON.stringify({ ...counts, gapsMs: gaps.ofMoves() }))
  void wire.flush().then(() => process.exit(0))
}
