/**
 * The sink of the load: `node sink-main.ts HOME NATS-URL FUNCTION FOLLOWER HISTORY`.
 *
 * Owns FUNCTION-out as `follower.FOLLOWER` and writes down what came of each record, and which claims of FUNCTION's owners were heard between:
 * first the frames as they come, which costs little beside what is measured; the history at the end. A line on stdin says how many outputs there must be: when they are
 * there, and every timer has fired, or nothing has come for `quietMs`, it prints one JSON line and ends. What is missing then
 * is for the checker to say.
 * @module
 */
import { rmSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { Consumer, giveBackMemory, type TakenFrame } from '../../../infra/bus/index.ts'
import { encodeClaim, readClaim } from '../../../infra/bus/messages/claim.ts'
import { claimSubject } from '../../../infra/bus/messages/subjects.ts'
import { systemClock } from '../../../infra/clock.ts'
import { parseFrame, recordBytes, recordHeaderBytes } from '../../../sdk/wire/frame.ts'
import { HistoryWriter } from '../../history/file.ts'
import { Claims } from './claims.ts'
import { connectLoad, namespace } from './connection.ts'
import { FrameWriter, framesOf, type ReceivedFrame } from './frame-file.ts'
import { Gaps } from './gaps.ts'
import { kinds, partitions } from './records.ts'

const [home, url, name, follower, path] = process.argv.slice(2) as [string, string, string, string, string]
const quietMs = 8_000
const stream = `${name}-in`
const wire = await connectLoad(home, url, 'load-sink')
const received = new FrameWriter(`${path}.frames`)
const counts = { outputs: 0, timersSet: 0, timersFired: 0 }
const claims = new Claims(stream)
let frames = 0
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
wire.subscribe(claimSubject(namespace, name), (bytes) => {
  const claim = readClaim(bytes)
  if (claim === undefined || claim.owner === consumer.owner) return
  drain() // what came before it
  claims.hear(claim, frames)
})
ask()
wire.onReconnect(ask)
createInterface({ input: process.stdin }).once('line', (line) => {
  wanted = Number(line)
  finish()
})
const quiet = setInterval(finish, 500)
console.log(JSON.stringify({ ready: true }))

/** Each owner answers a claim that is earlier than its own by its own. */
function ask(): void {
  const earlier = {
    schema: 1,
    consumer: name,
    owner: consumer.owner,
    epoch: 0,
    partitions: { [stream]: all },
  } as const
  wire.publish(claimSubject(namespace, name), encodeClaim(earlier))
}

function drain(): void {
  for (let hand = consumer.take(1 << 20); hand.length > 0; hand = consumer.take(1 << 20)) {
    for (const frame of hand) {
      count(frame)
      received.add({ atMs: performance.now(), ...frame })
      frames += 1
      consumer.done(frame, frame.header.count - frame.skip)
      giveBackMemory(frame.bytes)
    }
    consumer.acknowledge()
    lastMs = performance.now()
  }
  finish()
}

/** Where the values of records begin that are not skipped. */
function* wordsOf({ bytes, skip }: Pick<TakenFrame, 'bytes' | 'skip'>): Generator<number> {
  const { headerBytes, count: records } = parseFrame(bytes)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = headerBytes
  for (let i = 0; i < records; i++) {
    const keyBytes = view.getUint16(at + 4, true)
    if (i >= skip) yield at + recordHeaderBytes + keyBytes
    at += recordBytes(keyBytes, view.getUint32(at, true))
  }
}

function count(frame: TakenFrame): void {
  const view = new DataView(frame.bytes.buffer, frame.bytes.byteOffset, frame.bytes.byteLength)
  for (const word of wordsOf(frame)) {
    if (view.getUint32(word, true) === kinds.fired) counts.timersFired += 1
    else {
      counts.outputs += 1
      counts.timersSet += view.getUint32(word + 24, true)
    }
  }
}

function tell(history: HistoryWriter, gaps: Gaps, frame: ReceivedFrame): void {
  const { atMs, partition, bytes } = frame
  const header = parseFrame(bytes)
  const view = new DataView(bytes.buffer)
  const owner = header.producer
  const epoch = claims.epochOf(owner, partition)
  for (const word of wordsOf(frame)) {
    const from = view.getUint32(word + 8, true)
    const record = { stream, partition, producer: `p${view.getUint32(word + 4, true)}`, from, count: 1 }
    const isolate = `${owner} v${view.getUint32(word + 28, true)}.${view.getUint32(word + 32, true)}`
    const actor = { consumer: name, owner, epoch, isolate }
    gaps.saw(partition, isolate, atMs)
    const ticks = [view.getUint32(word + 16, true), view.getUint32(word + 20, true)] as const
    const after = view.getInt32(word + 12, true)
    if (view.getUint32(word, true) === kinds.fired)
      history.add({ event: 'fired', ...record, ...actor, ticks })
    else {
      const timer = view.getUint32(word + 24, true) === 1 ? { timer: true as const } : {}
      history.add({
        event: 'output',
        ...record,
        ...actor,
        ticks,
        ...timer,
        ...(after === -2 ? {} : { after }),
      })
    }
  }
}

function finish(): void {
  const complete = counts.outputs >= wanted && counts.timersFired >= counts.timersSet
  const isQuiet = performance.now() - lastMs > quietMs
  if (ended || wanted === Number.POSITIVE_INFINITY || !(complete || isQuiet)) return
  ended = true
  clearInterval(quiet)
  received.close()
  const history = new HistoryWriter(path, 'output')
  const gaps = new Gaps()
  let told = 0
  for (const frame of framesOf(`${path}.frames`)) {
    for (const { owner, epoch, partitions } of claims.before(told++))
      history.add({ event: 'heard', consumer: name, owner, epoch, partitions })
    tell(history, gaps, frame)
  }
  history.add({ event: 'end' })
  history.close()
  rmSync(`${path}.frames`)
  const steadyMs = { median: gaps.steadyMs(0.5), p99: gaps.steadyMs(0.99) }
  const said = `${JSON.stringify({ ...counts, gaps: gaps.ofMoves(), steadyMs, ownersMs: gaps.ofOwners() })}\n`
  process.stdout.write(said, () => void wire.flush().then(() => process.exit(0))) // of a long one an exit would cut off the end
}
