/**
 * Bench of the gate: what a judgement costs the instance beside it, in turns with none: time of its records under full load, and how late
 * small calls are answered that come at fixed times. What it does not measure: NATS, reading a checkpoint, channels.
 *
 *   node --no-node-snapshot runner/gate/bench-beside.ts [rounds]
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { giveBackMemory } from '../../infra/bus/index.ts'
import { systemClock } from '../../infra/clock.ts'
import { SingleIsolate } from '../isolate/index.ts'
import { nowMs } from '../isolate/testing/harness.ts'
import { toldMemory } from '../process/test-memory.ts'
import { frames, isolateOf, median, table } from '../shadow/bench-versions.ts'
import { Tape } from './tape.ts'
import { judgeInThread, type ThreadSide } from './thread.ts'

const rounds = Number(process.argv[2] ?? 5)
const roundMs = 1_000
const callEveryMs = 10
const tapeRecords = 100_000

const isolate = await SingleIsolate.create(isolateOf(1))
const tape = new Tape(systemClock, () => ({ bytes: 2 ** 30, ms: 300_000 }))
for (let records = 0, at = 0; records < tapeRecords; at = (at + 1) % frames.length) {
  const { bytes, header, ...rest } = frames[at]!
  tape.keep({ ...rest, bytes: bytes.slice(), header, finished: header.count })
  records += header.count
}

function sideOf(version: 1 | 2): ThreadSide {
  const { log: _, ...isolate } = isolateOf(version)
  return { isolate, outputs: table }
}

async function run(at: number): Promise<number> {
  const result = await isolate.run([frames[at % frames.length]!], nowMs)
  if (result.fatal !== undefined) throw result.fatal
  for (const { frame } of result.outputs()) giveBackMemory(frame)
  return result.records
}

/** Time of a record, in ns, under full load. */
async function timeOfRecord(): Promise<number> {
  let records = 0
  const beganMs = performance.now()
  for (let at = 0; performance.now() < beganMs + roundMs; at++) records += await run(at)
  return ((performance.now() - beganMs) * 1e6) / records
}

/** How late calls are done that are due every so often, in ms. */
async function lateness(): Promise<readonly number[]> {
  const late: number[] = []
  const beganMs = performance.now()
  for (let dueMs = beganMs; dueMs < beganMs + roundMs; dueMs += callEveryMs) {
    while (performance.now() < dueMs) await sleep(1)
    await run(late.length)
    late.push(performance.now() - dueMs)
  }
  return late
}

/** While a version is judged again and again. @returns How long a judgement took, in ms. */
async function besideJudgement(workShare: number, measure: () => Promise<void>): Promise<number[]> {
  const tookMs: number[] = []
  let isMeasured = false
  const judging = (async () => {
    for (let beganMs = performance.now(); !isMeasured; beganMs = performance.now()) {
      const { found, failed, ended } = await tape.lend((snapshot) =>
        judgeInThread(
          {
            ...{ snapshot, lostMs: tape.lostMs, arenas: {}, kept: new Map(), memory: toldMemory() },
            ...{ limitMs: 60_000, workShare, live: sideOf(1), next: sideOf(2) },
          },
          { basesOf: () => [], readBase: () => Promise.resolve([]) },
          systemClock,
        ),
      )
      if (found.compared !== found.records) throw new Error(`not judged: ${failed ?? ended}`)
      tookMs.push(performance.now() - beganMs)
    }
  })()
  await measure()
  isMeasured = true
  await judging
  return tookMs
}

await timeOfRecord()
const alone: number[] = []
const shares = [1, 1 / 2].map((share) => ({
  share,
  ratios: [] as number[],
  late: [] as number[],
  tookMs: [] as number[],
}))
for (let round = 0; round < rounds; round++) {
  const plain = await timeOfRecord()
  alone.push(...(await lateness()))
  for (const { share, ratios, late, tookMs } of shares) {
    const took = await besideJudgement(share, async () => {
      ratios.push((await timeOfRecord()) / plain)
      late.push(...(await lateness()))
    })
    tookMs.push(...took)
  }
}
isolate.kill()
const p99 = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.99)]!
const shown = (late: readonly number[]): string =>
  `${median(late).toFixed(2)} ms, p99 ${p99(late).toFixed(2)}`
console.log(
  `a call of ${frames[0]!.header.count} records every ${callEveryMs} ms is done after ${shown(alone)}`,
)
for (const { share, ratios, late, tookMs } of shares)
  console.log(
    `beside a judgement of ${tapeRecords} records that works ${share} of the time and takes ${median(tookMs).toFixed(0)} ms: ` +
      `after ${shown(late)}; under full load a record takes ${median(ratios).toFixed(2)} times as long`,
  )
