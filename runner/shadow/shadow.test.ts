import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../infra/clock.ts'
import { type ShadowRules, shadowSchema } from '../../sdk/manifest/manifest.ts'
import type { ShadowDifference, ShadowEvidence } from '../../sdk/versions/shadow.ts'
import {
  type BatchResult,
  behind,
  type InputFrame,
  outputTable,
  type SingleIsolate,
} from '../isolate/index.ts'
import {
  bundleOf,
  fn,
  frame,
  nowMs,
  record,
  type StartOptions,
  start,
  texts,
} from '../isolate/testing/harness.ts'
import { roomOf } from '../process/test-memory.ts'
import { Findings } from './findings.ts'
import { Mirror } from './mirror.ts'
import { Shadow } from './shadow.ts'
import { Shadowed } from './shadowed.ts'

const limits = { heapMib: 64, stateMib: 64, callbackMs: 1000 }
const outputs = [{ name: 'out', partitions: 4, keyed: true }]

interface Rig {
  readonly live: SingleIsolate
  readonly shadowed: Shadowed
  readonly shadow: Shadow
  readonly differences: ShadowDifference[]
  readonly ended: string[]
  /** The version at work, until all is done: on a busy machine a call may end early. */
  run(frames: readonly InputFrame[], atMs?: number): Promise<BatchResult[]>
  /** When so many records have gone by, compared or not. */
  seen(records: number): Promise<ShadowEvidence>
}

interface RigOptions extends StartOptions {
  readonly rules?: Partial<ShadowRules>
  readonly bytes?: () => number
}

/** A function, and another one as its shadow. */
async function rigOf(
  t: { after(run: () => unknown): void },
  one: string,
  other: string,
  { rules, bytes, manifest: said, ...more }: RigOptions = {},
): Promise<Rig> {
  const { instance: live, manifest } = await start(one, {
    ...more,
    manifest: { limits, onError: 'skip', ...said },
  })
  const differences: ShadowDifference[] = []
  const ended: string[] = []
  const findings = new Findings({ listedMax: 100, list: (difference) => differences.push(difference) > 0 })
  const memory = roomOf(2 ** 20, bytes)
  const shadow = new Shadow(live, {
    ...{ clock: systemClock, memory, findings, outputs: () => outputs },
    ...{ setting: 'rollout.shadow', rules: shadowSchema.parse({ workMsPerSecond: 1000, ...rules }) },
    processMs: () => 0,
    make: (seed) =>
      Mirror.create(
        {
          ...{ function: 'fn', version: 2, instance: 0, manifest, seed, nowMs, log: () => undefined },
          ...bundleOf(other),
          outputs: { out: { partitions: 4, keyed: true } },
        },
        outputTable(manifest, { out: { partitions: 4, keyed: true } }),
        findings,
      ),
    onEnded: (why) => ended.push(why),
  })
  const shadowed = new Shadowed(live, shadow, () => performance.now())
  t.after(async () => {
    shadow.end()
    for (const one of [shadowed, live]) one.kill()
    // A process that ends while V8 disposes of an isolate may abort.
    await Promise.all([shadowed.ended(), live.ended()])
  })
  return {
    ...{ live, shadowed, shadow, differences, ended },
    run: async (frames, atMs = nowMs) => {
      const results: BatchResult[] = []
      for (let left = frames; results.length === 0 || left.length > 0; ) {
        let result = await shadowed.run(left, atMs)
        results.push(result)
        let { records } = result
        while (result.pending) {
          result = await shadowed.resume()
          records += result.records
          results.push(result)
        }
        left = behind(left, records)
      }
      return results
    },
    seen: async (records) => {
      await until(() => findings.evidence().records >= records)
      return findings.evidence()
    },
  }
}

function said(results: readonly BatchResult[]): string[] {
  return results.flatMap(texts)
}

async function until(holds: () => boolean): Promise<void> {
  for (const endMs = performance.now() + 60_000; !holds(); ) {
    if (performance.now() > endMs) throw new Error(`after a minute still not: ${holds}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

const counting = (more = ''): string =>
  fn(`
  const count = (ctx.getJson(record.key) ?? 0) + 1
  ctx.setJson(record.key, count)
  ${more}
  ctx.produceRecord('out', record.key, record.text() + ' ' + count)`)

const records = (...values: readonly string[]) => values.map((value) => record(value, value[0]))

test('Shadow finds exactly the records with different outputs, in state that continues from record to record', async (t) => {
  const other = counting("if (record.text() === 'b2') return ctx.produceRecord('out', 'b', 'other')")
  const { live, run, shadow, seen, differences } = await rigOf(t, counting(), other)
  // Without a shadow yet.
  await live.run([frame(records('a0', 'b0', 'a1'))], nowMs)
  await shadow.begin()
  assert.deepEqual(said(await run([frame(records('a2', 'b1'), 0, 3)])), ['a2 3', 'b1 2'])
  assert.deepEqual(said(await run([frame(records('b2', 'a3'), 0, 5)])), ['b2 3', 'a3 4'])
  const { compared, different, missed, outputs: made } = await seen(4)
  assert.deepEqual([compared, different, made], [4, 1, { live: 4, shadow: 4 }])
  assert.deepEqual(missed, { notReady: 0, behind: 0, ended: 0 })
  const time = { timeMs: nowMs }
  assert.deepEqual(differences, [
    {
      ...{
        stream: 'in',
        partition: 0,
        producer: differences[0]!.producer,
        sequence: 5,
        key: 'b',
        value: 'b2',
      },
      live: { outputs: [{ stream: 'out', key: 'b', value: 'b2 3', ...time }] },
      shadow: { outputs: [{ stream: 'out', key: 'b', value: 'other', ...time }] },
    },
  ])
})

test('Shadow gets the same random numbers and time, also after a record at which only the shadow throws', async (t) => {
  const source = (more: string): string =>
    fn(`${more}
  ctx.produceRecord('out', record.key, [record.text(), Math.random(), ctx.nowMs(), Date.now(), crypto.randomUUID()].join())`)
  const other = source("if (record.text() === 'x') { Math.random(); throw new Error('only here') }")
  const { run, shadow, seen, differences } = await rigOf(
    t,
    source("if (record.text() === 'x') Math.random()"),
    other,
  )
  await shadow.begin()
  await run([frame(records('a', 'b'))], nowMs + 5)
  await run([frame(records('c', 'd'), 1)], nowMs + 99)
  const { compared, different } = await seen(4)
  assert.deepEqual([compared, different], [4, 0])
  await run([frame(records('e', 'x'), 1, 2)], nowMs + 100)
  const after = await seen(6)
  assert.deepEqual([after.different, after.failed], [1, { live: 0, shadow: 1, both: 0 }])
  assert.equal(differences[0]?.shadow.error, 'Error: only here')
  assert.equal(differences[0]?.value, 'x')
})

test('Shadow leaves out records that were set aside, and compares them when they are done', async (t) => {
  const source = fn(`
  if (record.text() === 'bad' && !globalThis.tried) { globalThis.tried = true; throw new Error('once') }
  ctx.produceRecord('out', record.key, record.text() + Math.random())`)
  // biome-ignore lint/suspicious/noThenProperty: never a function, so never a thenable -- manifest
  const onError = { retry: 1, then: 'skip', waitMs: 10 } as const
  const { shadow, shadowed, seen, run } = await rigOf(
    t,
    source,
    fn("ctx.produceRecord('out', record.key, record.text())"),
    {
      manifest: { onError },
    },
  )
  await shadow.begin()
  const first = await run([frame(records('a', 'bad', 'c'))])
  assert.deepEqual(
    first.flatMap(({ failures }) => failures.map(({ action }) => action)),
    ['setAside'],
  )
  const two = await seen(2)
  assert.deepEqual([two.records, two.compared], [2, 2])
  await shadowed.run([{ ...frame(records('bad'), 0, 1), tried: 1 }], nowMs, undefined)
  const three = await seen(3)
  assert.deepEqual([three.compared, three.different, three.failed.shadow], [3, 3, 0])
})

test('Shadow compares the timers of a call, and asynchronous callbacks', async (t) => {
  const source = (what: string): string =>
    fn(
      `
  ctx.setTimer(record.keyText(), ${nowMs + 10})
  await new Promise((resolve) => setTimeout(resolve, 1))
  ctx.produceRecord('out', record.key, record.text())`,
      `processTimer(ctx, key) { ctx.produceRecord('out', key, '${what}') },`,
    ).replace('processRecord(', 'async processRecord(')
  const { run, shadow, seen, differences } = await rigOf(t, source('one'), source('two'))
  await shadow.begin()
  await run([frame(records('a', 'b'))])
  assert.equal((await seen(2)).different, 0)
  const laterMs = Date.now() + 10_000 // the clock of whoever waits goes on
  for (let fired = 0; fired < 2; ) for (const result of await run([], laterMs)) fired += result.timersFired
  const values = (side: 'live' | 'shadow') =>
    differences.flatMap((one) => one[side].outputs.map(({ value }) => value))
  await until(() => values('live').length === 2)
  assert.deepEqual([...new Set(differences.map(({ timersAtMs }) => timersAtMs))], [laterMs])
  assert.deepEqual(
    [values('live'), values('shadow')],
    [
      ['one', 'one'],
      ['two', 'two'],
    ],
  )
})

test('Shadow that cannot keep up skips calls, counts them, and starts again with the current state', async (t) => {
  const slow = counting(
    "if (record.text() === 'a-slow') for (let i = 0, x = 0; i < 1e8; i++) x = Math.imul(x, 31) + i",
  )
  const { run, shadow, seen, ended } = await rigOf(t, counting(), slow, {
    rules: { queueMib: 1 },
    manifest: { limits: { ...limits, callbackMs: 60_000 } },
  })
  await shadow.begin()
  const large = 'x'.repeat(300_000)
  await run([frame([record('a-slow', 'a')])])
  let sent = 1
  let evidence = await seen(0)
  while (evidence.missed.behind === 0) {
    await run([frame([record(`a${large}`, 'a')], 0, sent++)])
    evidence = await seen(0)
  }
  // What comes after it has caught up is compared again, and nothing differs: it has the state of the one at work.
  const { compared } = await seen(sent)
  for (let last = compared; last === compared; last = (await seen(sent)).compared)
    await run([frame([record('a', 'a')], 0, sent++)])
  const { records: all, different, missed, compared: now } = await seen(sent)
  assert.deepEqual([all, different, now + missed.behind + missed.notReady], [sent, 0, sent])
  assert.deepEqual(ended, [])
})

test('Shadow that ends in an endless loop does not affect the working version', async (t) => {
  const other = counting("if (record.text() === 'loop') for (;;);")
  const { run, shadow, seen, ended } = await rigOf(t, counting(), other, {
    manifest: { limits: { ...limits, callbackMs: 1000 } },
  })
  await shadow.begin()
  const results = await run([frame([record('a'), record('loop'), record('b')])])
  assert.deepEqual(said(results), ['a 1', 'loop 2', 'b 3'])
  const evidence = await seen(3)
  await until(() => ended.length > 0)
  assert.match(ended[0]!, /the record 1 of .* took longer than its limit of 1000 ms/)
  assert.deepEqual(said(await run([frame([record('c')])])), ['c 4'])
  const { compared, missed, records: all } = await seen(4)
  assert.deepEqual([all, compared, missed.ended, evidence.different], [4, 1, 3, 0])
})

test('Shadow reports what it lacks: room for a copy of the state, or memory', async (t) => {
  const { run, shadow, ended } = await rigOf(t, counting(), counting(), { rules: { stateMib: 0 } })
  await run([frame([record('a')])])
  await shadow.begin()
  await run([frame([record('b')])])
  assert.match(
    ended[0] ?? '',
    /holds \d+ MiB of state, and of 0 at most a copy is made: set rollout\.shadow\.stateMib/,
  )
  const full = await rigOf(t, counting(), counting(), { bytes: () => 2 ** 41 })
  await assert.rejects(
    full.shadow.begin(),
    /no memory for a shadow: the runner uses .* of its bound of \d+,.* --mem \d+/,
  )
})

test('Shadow starts again when partitions come or go, and when another isolate takes over', async (t) => {
  const { run, shadow, shadowed, seen, live } = await rigOf(t, counting(), counting())
  await shadow.begin()
  await run([frame(records('a', 'b'))])
  assert.equal((await seen(2)).compared, 2)
  shadowed.keepPartitions([])
  const untilCompared = async (more: number): Promise<ShadowEvidence> => {
    let { compared, records: sent } = await seen(0)
    for (const want = compared + more; compared < want; ) {
      await run([frame(records('a'), 0, sent)])
      ;({ compared, records: sent } = await seen(sent + 1))
    }
    return await seen(sent)
  }
  assert.equal((await untilCompared(1)).different, 0)
  const { instance: next } = await start(counting(), {
    manifest: { limits, onError: 'skip' },
    seed: new Uint8Array(32).fill(7),
  })
  await next.takeOver(live)
  shadowed.renew(next)
  const { different, compared, missed, records: all } = await untilCompared(2)
  assert.deepEqual([different, all], [0, compared + missed.notReady])
})
