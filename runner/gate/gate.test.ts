import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock, systemClock } from '../../infra/clock.ts'
import { CodedError } from '../../sdk/errors.ts'
import { gateSchema, type ManifestInput, manifestSchema } from '../../sdk/manifest/manifest.ts'
import { breachesOf, type GateEvidence } from '../../sdk/versions/gate.ts'
import { type InputFrame, outputTable, SingleIsolate } from '../isolate/index.ts'
import { bundleOf, fn, frame, nowMs, record } from '../isolate/testing/harness.ts'
import { roomOf, toldMemory } from '../process/test-memory.ts'
import type { StateSource } from './begin.ts'
import { type GateOptions, type GateSide, judge, resting } from './gate.ts'
import { Tape } from './tape.ts'
import {
  judgeInThread,
  type KeptStates,
  type ThreadSide,
  type ThreadTask,
  type ThreadWord,
} from './thread.ts'

const outputs = { out: { partitions: 4, keyed: true } }
const limits = { heapMib: 64, stateMib: 64, callbackMs: 1000 }

const counting = (more = ''): string =>
  fn(`
  const count = (ctx.getJson(record.key) ?? 0) + 1
  ctx.setJson(record.key, count)
  ${more}
  ctx.produceRecord('out', record.key, record.text() + ' ' + count)`)

function sideOf(source: string, version: number, more: Partial<ManifestInput> = {}): GateSide {
  const istreams = { in: { grouping: 'groupBy' as const } }
  const manifest = manifestSchema.parse({ name: 'fn', istreams, ostreams: ['out'], limits, ...more })
  const isolate = { function: 'fn', version, instance: 0, manifest, outputs, nowMs, log: () => undefined }
  const seed = new Uint8Array(32).fill(5)
  return { isolate: { ...isolate, seed, ...bundleOf(source) }, outputs: outputTable(manifest, outputs) }
}

/** Of an instance that has no state. */
const stateless: StateSource = {
  arenaOf: (_stream, partition) => partition,
  has: () => false,
  lostMs: Number.NEGATIVE_INFINITY,
  basesOf: () => [],
  readBase: () => assert.fail('there is none'),
}

async function tapeOf(frames: readonly InputFrame[], stepMs = 1): Promise<Tape> {
  const clock = new ManualClock(nowMs)
  const tape = new Tape(clock, () => ({ bytes: 2 ** 30, ms: 3_600_000 }))
  for (const one of frames) {
    tape.keep({ ...one, finished: one.header.count })
    clock.advance(stepMs)
  }
  return tape
}

async function found(
  one: string,
  other: string,
  frames: readonly InputFrame[],
  more: Partial<GateOptions> = {},
): Promise<GateEvidence> {
  return await judge({
    ...{ clock: systemClock, state: stateless, limitMs: 60_000, tape: await tapeOf(frames) },
    rest: resting(systemClock, 1),
    memory: roomOf(),
    ...{ live: sideOf(one, 1), next: sideOf(other, 2) },
    ...more,
  })
}

const records = (...values: readonly string[]) => values.map((value) => record(value, value[0]))

test('judge finds exactly the records with different outputs, with both outputs and their place', async () => {
  const other = counting("if (record.text() === 'b1') return ctx.produceRecord('out', 'b', 'other')")
  const frames = [frame(records('a0', 'b0', 'a1')), frame(records('b1', 'a2'), 0, 3)]
  const evidence = await found(counting(), other, frames)
  const { compared, different, records: all, examples, missed, outputs: made } = evidence.found
  assert.deepEqual([all, compared, different, made], [5, 5, 1, { live: 5, shadow: 5 }])
  assert.deepEqual(missed, { notReady: 0, behind: 0, ended: 0 })
  const [{ stream, partition, sequence, value, live, shadow } = assert.fail()] = examples
  assert.deepEqual([stream, partition, sequence, value], ['in', 0, 3, 'b1'])
  assert.deepEqual([live.outputs[0]?.value, shadow.outputs[0]?.value], ['b1 2', 'other'])
  assert.deepEqual([evidence.sinceMs, evidence.untilMs], [nowMs, nowMs + 1])
  assert.deepEqual(breachesOf(gateSchema.parse({}), evidence), [
    'its outputs differ for 1 of 5 records, 20.00 % (gate.maxDiff 2.00 %)',
  ])
  assert.deepEqual(breachesOf(gateSchema.parse({ maxDiff: 0.2 }), evidence), [])
})

test('judge gives both versions the same random numbers and time, and the timers that fall due on the tape', async () => {
  const source = fn(
    `ctx.setTimer(record.keyText(), ctx.nowMs() + 5)
  ctx.produceRecord('out', record.key, [record.text(), Math.random(), Date.now(), crypto.randomUUID()].join())`,
    `processTimer(ctx, key) { ctx.produceRecord('out', key, String(Math.random())) },`,
  )
  const frames = Array.from({ length: 10 }, (_, i) => frame(records(`a${i}`, `b${i}`), 0, 2 * i))
  const evidence = await found(source, source, frames, { tape: await tapeOf(frames, 1_000) })
  assert.deepEqual([evidence.found.compared, evidence.found.different], [20, 0])
  assert.ok(evidence.found.timers.compared > 0)
  assert.equal(evidence.found.timers.different, 0)
})

test('judge reports what the new version throws, how often, and in which line of the source', async () => {
  const other = counting("if (record.text().startsWith('b')) throw new RangeError('no b')")
  const evidence = await found(counting(), other, [frame(records('a0', 'b0', 'a1', 'b1'))])
  assert.deepEqual(evidence.found.failed, { live: 0, shadow: 2, both: 0 })
  assert.equal(evidence.errors.length, 1)
  const { name, message, at, records: count } = evidence.errors[0]!
  assert.deepEqual([name, message, count], ['RangeError', 'no b', 2])
  assert.match(at ?? '', /^fn\.ts:\d+:\d+$/)
  const breaches = breachesOf(gateSchema.parse({ maxDiff: 1 }), evidence)
  assert.deepEqual(breaches, ['it throws at 2 records at which the live version does not (gate.maxErrors 0)'])
})

test('judge counts records that a version left when it ended, and reports a version that does not start', async () => {
  const loop = counting("if (record.text() === 'b1') for (;;);")
  const frames = [frame(records('a0', 'b0')), frame(records('a1', 'b1', 'a2'), 0, 2)]
  const ends = await found(counting(), loop, frames, { tape: await tapeOf(frames, 1_000) })
  assert.match(ends.ended ?? '', /the record 3 of .* took longer than its limit of 1000 ms/)
  assert.deepEqual([ends.found.records, ends.found.compared, ends.found.missed.ended], [5, 3, 2])
  const broken = await found(
    counting(),
    counting().replace('metadata', "init() { throw new Error('no model') }, metadata"),
    frames,
  )
  assert.match(broken.ended ?? '', /no model/)
  assert.deepEqual([broken.found.compared, broken.found.missed.ended], [0, 5])
  assert.equal(breachesOf(gateSchema.parse({ maxDiff: 1, maxSlowdown: 1000 }), broken).length, 1)
})

test('judge leaves out records for which it has no time, and counts them', async () => {
  const frames = Array.from({ length: 50 }, (_, i) => frame(records(`a${i}`), 0, i))
  const clock = new ManualClock(nowMs)
  const evidence = await found(counting(), counting(), frames, {
    tape: await tapeOf(frames, 1_000),
    limitMs: 0,
    clock,
  })
  assert.deepEqual([evidence.found.compared, evidence.found.missed.behind], [0, 50])
})

test('judge starts from a checkpoint and the frames behind it, and counts the records in between', async () => {
  // The state that was after a0 and a1, as an isolate left it.
  const { isolate } = sideOf(counting(), 1)
  const before = await SingleIsolate.create({ ...isolate, sliceMs: 600_000 }) // on a busy machine a call may end early
  assert.equal((await before.run([frame(records('a0', 'a1'))], nowMs)).records, 2)
  const slabs = before.state.slabsOf(0).map((slab) => slab.slice(0))
  before.kill()
  const frames = [frame(records('a0', 'a1', 'a2'), 0, 0), frame(records('a3'), 0, 3)]
  const { producer, origin } = frames[0]!.header
  const base = (through: number, timeMs: number, isOwn = true) => ({
    ...{ epoch: 1, number: through, timeMs, version: 1, clean: false, isOwn, segments: [] },
    slabs: slabs.map(({ byteLength }) => byteLength),
    inputs: { in: { lost: 0, positions: [{ producer, origin, epoch: 1, through }] } },
  })
  const read: number[] = []
  const state = (
    bases: readonly ReturnType<typeof base>[],
    lostMs = Number.NEGATIVE_INFINITY,
  ): StateSource => ({
    ...stateless,
    has: () => true,
    lostMs,
    basesOf: () => bases,
    readBase: (_arena, { number }) => {
      read.push(number)
      return Promise.resolve(slabs)
    },
  })
  const other = counting("if (record.text() === 'a3') return ctx.produceRecord('out', 'a', 'other')")
  const two = [base(2, nowMs - 1_000), base(3, nowMs)]
  const evidence = await found(counting(), other, frames, { state: state(two) })
  assert.deepEqual([evidence.found.records, evidence.found.compared, evidence.found.different], [2, 2, 1])
  assert.equal(evidence.found.examples[0]?.live.outputs[0]?.value, 'a3 4', 'it has counted on')
  assert.deepEqual([evidence.state.restored, evidence.state.between, evidence.state.lacking], [1, 0, 0])
  assert.equal(evidence.state.atMs, nowMs - 1_000)

  // Where the tape has lost what came since the older one, the newer one is taken; and if it lacks some too, they are counted.
  const lost = await found(counting(), counting(), frames, { state: state(two, nowMs - 500) })
  assert.deepEqual([lost.found.records, lost.state.atMs], [1, nowMs])
  const late = [frame(records('a7'), 0, 7)]
  const gap = await found(counting(), counting(), late, { state: state(two, nowMs + 1) })
  assert.deepEqual([gap.found.records, gap.state.between], [1, 4])
  assert.deepEqual(read, [2, 3, 3])
  const none = await found(counting(), counting(), late, { state: state([]) })
  assert.deepEqual([none.found.compared, none.state.lacking], [1, 1])
  const full = roomOf(1, () => 2 ** 20)
  const refused = await found(counting(), counting(), late, { state: state(two), memory: full })
  assert.match(
    refused.failed ?? '',
    /copies of the state take \d+ MiB, and the runner uses 1 MiB .*of its bound of 1,.* --mem \d+/,
  )
})

test('judge rests after each call: three times as long as the call, if it may work a quarter of the time', async () => {
  const frames = Array.from({ length: 4 }, (_, i) => frame(records(`a${i}`), 0, i))
  const rests: number[] = []
  const rest = async (workedMs: number): Promise<void> => void rests.push(workedMs)
  const evidence = await found(counting(), counting(), frames, { rest, tape: await tapeOf(frames, 1_000) })
  assert.deepEqual([evidence.found.compared, rests.length], [4, 4])
  assert.ok(rests.every((ms) => ms > 0))
  const clock = new ManualClock()
  let isOver = false
  const over = resting(
    clock,
    1 / 4,
  )(10).then(() => {
    isOver = true
  })
  clock.advance(29)
  await Promise.resolve()
  assert.equal(isOver, false)
  clock.advance(1)
  await over
  assert.equal(clock.isAwaited, false)
  await resting(clock, 1)(10)
})

/** What another thread can be told of it. */
function dataOf({ isolate: { log: _, ...isolate }, outputs }: GateSide): ThreadSide {
  return { isolate, outputs }
}

test('judgeInThread finds what judge finds, reads states when asked, and reads a newer one if the first is gone', async () => {
  const other = counting("if (record.text() === 'b1') return ctx.produceRecord('out', 'b', 'other')")
  const frames = [frame(records('a0', 'b0', 'a1')), frame(records('b1', 'a2'), 0, 3)]
  const tape = await tapeOf(frames)
  const { producer, origin } = frames[0]!.header
  const base = (through: number) => ({
    ...{
      epoch: 1,
      number: through,
      timeMs: nowMs,
      version: 1,
      clean: false,
      isOwn: true,
      segments: [],
      slabs: [],
    },
    inputs: { in: { lost: 0, positions: [{ producer, origin, epoch: 1, through }] } },
  })
  const reads: number[] = []
  const states: KeptStates = {
    basesOf: () => [base(3)],
    readBase: async (_arena, { number }) => {
      reads.push(number)
      if (number === 1) throw new CodedError('ERR_CHECKPOINT_CORRUPT', 'it has gone')
      return []
    },
  }
  const evidence = await tape.lend((snapshot) => {
    const task: ThreadTask = {
      ...{ snapshot, lostMs: tape.lostMs, arenas: { in: 0 }, kept: new Map([[0, [base(1)]]]) },
      ...{ memory: toldMemory(), limitMs: 60_000, workShare: 1 },
      ...{ live: dataOf(sideOf(counting(), 1)), next: dataOf(sideOf(other, 2)) },
    }
    return judgeInThread(task, states, systemClock)
  })
  assert.deepEqual(reads, [1, 3])
  const { compared, different, records: all, examples } = evidence.found
  assert.deepEqual([all, compared, different, evidence.failed], [2, 2, 1, undefined])
  assert.equal(examples[0]?.shadow.outputs[0]?.value, 'other')
})

/** Tells that it has begun: an asset is memory that a function and its host share. */
const loop = "ctx.asset('sign')[0] = 1; for (;;);"
const loopingInit = fn('', `init(ctx) { ${loop} },`)

/** Both sides, and a wait until one of them loops. */
function loopingSides(live: string, next: string) {
  const sign = new SharedArrayBuffer(1)
  const side = (source: string, version: number): GateSide => {
    const { isolate, outputs } = sideOf(source, version, {
      limits: { ...limits, callbackMs: 60_000, initMs: 60_000 },
    })
    return { isolate: { ...isolate, assets: new Map([['sign', { sha256: '', memory: sign }]]) }, outputs }
  }
  const begun = async (): Promise<void> => {
    while (new Uint8Array(sign)[0] === 0) await new Promise(setImmediate)
  }
  return { live: side(live, 1), next: side(next, 2), begun }
}

for (const [where, ...sources] of [
  ['a record', fn(loop), fn('')],
  ['the init of the live version', loopingInit, fn('')],
  ['the init of the new version', fn(''), loopingInit],
] as const) {
  test(`judge is stopped within ${where}, with both isolates ended (GT6)`, async () => {
    const { begun, ...sides } = loopingSides(...sources)
    const stop = new AbortController()
    const judged = found('', '', [frame(records('a0'))], { ...sides, stop: stop.signal })
    await begun()
    stop.abort()
    const { failed, ended } = await judged
    assert.match(failed ?? ended ?? '', /has been ended/)
  })

  test(`judgeInThread ends a judgement that takes too long in ${where} by a word, never its thread at work, and waits for that (GH3)`, async () => {
    const { begun, live, next } = loopingSides(...sources)
    const tape = await tapeOf([frame(records('a0'))])
    const [told, codes]: [ThreadWord[], number[]] = [[], []]
    process.once('worker', (thread) => {
      thread.on('message', (word) => told.push(word))
      thread.on('exit', (code) => codes.push(code))
    })
    const clock = new ManualClock()
    const states: KeptStates = { basesOf: () => [], readBase: () => assert.fail('there is none') }
    const judged = tape.lend((snapshot) => {
      const task: ThreadTask = {
        ...{ snapshot, lostMs: tape.lostMs, arenas: { in: 0 }, kept: new Map() },
        ...{ memory: toldMemory(), limitMs: 60_000, workShare: 1 },
        ...{ live: dataOf(live), next: dataOf(next) },
      }
      return judgeInThread(task, states, clock)
    })
    await begun()
    clock.advance(90_000)
    await assert.rejects(judged, /did not end in time/)
    assert.deepEqual([told.length, codes.length], [1, 1])
    const { failed, ended } = told[0]?.kind === 'judged' ? told[0].evidence : assert.fail()
    assert.match(failed ?? ended ?? '', /has been ended/)
  })
}
