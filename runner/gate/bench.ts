/**
 * Bench of the gate: how long 100,000 records are judged, what the tape costs the instance that keeps it, and what collecting it costs
 * where frames are small. What it does not measure: NATS, reading a checkpoint, and a machine without a core to spare.
 *
 *   node --no-node-snapshot runner/gate/bench.ts [records]
 * @module
 */
import { PerformanceObserver } from 'node:perf_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { giveBackMemory, takeMemory } from '../../infra/bus/index.ts'
import { systemClock } from '../../infra/clock.ts'
import { parseFrame } from '../../sdk/wire/frame.ts'
import { type InputFrame, SingleIsolate } from '../isolate/index.ts'
import { frame, nowMs, record } from '../isolate/testing/harness.ts'
import { roomOf } from '../process/test-memory.ts'
import { frames, isolateOf, median, table } from '../shadow/bench-versions.ts'
import { judge, resting } from './gate.ts'
import { Tape } from './tape.ts'

const wanted = Number(process.argv[2] ?? 100_000)

/** A copy in memory of its own, as a frame comes. */
function fresh({ bytes, ...rest }: InputFrame): InputFrame & { finished: number } {
  const copy = takeMemory(bytes.length)
  copy.set(bytes)
  return { ...rest, bytes: copy, header: parseFrame(copy), finished: rest.header.count }
}

/** Time for a record, in ns, with the tape kept as the worker keeps it. */
async function measure(isolate: SingleIsolate, tape: Tape, ms: number): Promise<number> {
  let records = 0
  const beganMs = performance.now()
  for (let at = 0; performance.now() < beganMs + ms; at = (at + 4) % (frames.length - 4)) {
    const batch = frames.slice(at, at + 4).map(fresh)
    const result = await isolate.run(batch, nowMs)
    if (result.fatal !== undefined) throw result.fatal
    for (const { frame } of result.outputs()) giveBackMemory(frame)
    for (const frame of batch) tape.keep(frame)
    records += result.records
  }
  return ((performance.now() - beganMs) * 1e6) / records
}

const isolate = await SingleIsolate.create(isolateOf(1))
const none = new Tape(systemClock, () => ({ bytes: 0, ms: 0 }))
const some = new Tape(systemClock, () => ({ bytes: 16 * 2 ** 20, ms: 300_000 }))
await measure(isolate, some, 1_000)
const ratios: number[] = []
const costs: number[] = []
for (let round = 0; round < 30; round++) {
  const plain = await measure(isolate, none, 200)
  costs.push(plain)
  ratios.push((await measure(isolate, some, 200)) / plain)
}
isolate.kill()
console.log(
  `${median(costs).toFixed(0)} ns a record without a tape; with one of 16 MiB ${((median(ratios) - 1) * 100).toFixed(1)} % more`,
)

/** Of four records each, at 50,000 records a second. */
const smallFramesASecond = 14_000

/** Frames of four records, as they come at 50,000 records a second: what each costs, and the pauses of a minute of them. */
async function collecting(name: string, kept: Tape): Promise<void> {
  const small = fresh(frame(Array.from({ length: 4 }, () => record('x'.repeat(100)))))
  const pauses: number[] = []
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) pauses.push(duration)
  })
  observer.observe({ entryTypes: ['gc'] })
  const before = process.cpuUsage()
  for (let second = 0; second < 60; second++) {
    for (let i = 0; i < smallFramesASecond; i++) kept.keep(fresh(small))
    await nextTurn()
  }
  const { user, system } = process.cpuUsage(before)
  await nextTurn()
  observer.disconnect()
  const [sum, longest] = [pauses.reduce((a, b) => a + b, 0), Math.max(0, ...pauses)]
  console.log(
    `${name}: ${((user + system) / (60 * smallFramesASecond)).toFixed(2)} µs of CPU a small frame; in a minute of them ` +
      `${pauses.length} collections, ${sum.toFixed(0)} ms, the longest ${longest.toFixed(1)}`,
  )
}
for (let round = 0; round < 3; round++) {
  await collecting('no tape', new Tape(systemClock, () => ({ bytes: 0, ms: 0 })))
  await collecting('64 MiB', new Tape(systemClock, () => ({ bytes: 64 * 2 ** 20, ms: 300_000 })))
}

const tape = new Tape(systemClock, () => ({ bytes: 2 ** 30, ms: 300_000 }))
for (let records = 0, at = 0; records < wanted; at = (at + 1) % frames.length) {
  tape.keep(fresh(frames[at]!))
  records += frames[at]!.header.count
}
for (let round = 0; round < 3; round++) {
  const beganMs = performance.now()
  const { found, slowdown } = await judge({
    ...{
      clock: systemClock,
      tape,
      limitMs: 60_000,
      rest: resting(systemClock, 1),
      memory: roomOf(),
    },
    state: {
      ...{ arenaOf: (_stream, partition) => partition, has: () => false, lostMs: 0 },
      ...{ basesOf: () => [], readBase: () => Promise.resolve([]) },
    },
    live: { isolate: isolateOf(1), outputs: table },
    next: { isolate: isolateOf(2), outputs: table },
  })
  const { compared, different, ms, timed } = found
  console.log(
    `${compared} records judged in ${(performance.now() - beganMs).toFixed(0)} ms, ${different} differ; ` +
      `${((ms.live / timed) * 1000).toFixed(2)} and ${((ms.shadow / timed) * 1000).toFixed(2)} µs a record, slowdown ${slowdown?.toFixed(2)}`,
  )
}
