import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import fc from 'fast-check'
import type { StateFormat } from '../../sdk/function.ts'
import { sharesOf } from '../../sdk/versions/canary.ts'
import { pointOf, pointsMax } from '../../sdk/wire/key-share.ts'
import { type BatchResult, behind, type InputFrame, type SingleIsolate } from '../isolate/index.ts'
import { fn, frame, nowMs, record, recordsIn, start } from '../isolate/testing/harness.ts'
import { tellOpen } from '../succession/open-records.ts'
import { Split } from './split.ts'
import type { Step } from './step.ts'

/** Counts records by key; what it puts out names the version. A record says who throws at it, and whether it is asynchronous. */
const counting = (version: number): string =>
  fn(
    `
  const count = (ctx.getJson(record.key) ?? 0) + 1
  ctx.setJson(record.key, count)
  const what = record.text()
  const tell = () => {
    ctx.produceRecord('out', record.key, JSON.stringify({ version: ${version}, count, what }))
    if (what.includes('throw${version}')) throw new Error('thrown by ${version}')
    if (what.includes('loop${version}')) for (;;);
    if (what.includes('timer')) ctx.setTimer(record.keyText(), ctx.nowMs() + 10)
  }
  if (!what.includes('async')) return tell()
  return new Promise((resolve) => setTimeout(resolve, 1)).then(tell)`,
    `processTimer(ctx, key) {
      ctx.produceRecord('out', key, JSON.stringify({ version: ${version}, timer: key }))
      if (key.includes('bad') && ${version} === 2) throw new Error('a bad timer')
      if (key.includes('stuck') && ${version} === 1) for (;;);
    },`,
  )

interface Out {
  readonly key: string
  readonly version: number
  readonly count?: number
  readonly what?: string
  readonly timer?: string
}

const utf8 = new TextDecoder()

function outs(result: BatchResult): Out[] {
  return result.outputs().flatMap((output) =>
    recordsIn(output).map(({ key, value }) => ({
      key: utf8.decode(key),
      ...JSON.parse(utf8.decode(value)),
    })),
  )
}

const salt = 7
const shares = sharesOf(40, salt)
const isCanarys = (key: string): boolean => {
  const bytes = new TextEncoder().encode(key)
  return pointOf(bytes, 0, bytes.length, salt) < shares.canary.to
}

interface Rig {
  readonly split: Split
  readonly old: SingleIsolate
  readonly canary: SingleIsolate
  readonly step: Step
  readonly regressions: string[]
  readonly ended: string[]
  readonly calls: string[]
}

async function rigOf(
  t: { after(run: () => unknown): void },
  onError: 'fail' | 'skip' = 'fail',
  format?: StateFormat,
): Promise<Rig> {
  const manifest = { onError, limits: { callbackMs: 1_000 } }
  const old = (await start(counting(1), { manifest })).instance
  const made = { manifest, version: 2, replaces: 1, onTrial: true, format }
  const canary = (await start(counting(2), made)).instance
  const [regressions, ended, calls]: [string[], string[], string[]] = [[], [], []]
  const step: Step = {
    shares,
    onCall: (side) => calls.push(side),
    onCalled: () => undefined,
    onRegression: (error) => regressions.push(error),
    onControlFailed: () => undefined,
  }
  const split = new Split({
    ...{ old, canary, step, keepsOrder: false, nowMs: () => performance.now() },
    onCanaryEnded: (why) => ended.push(why?.message ?? 'between two batches'),
  })
  t.after(() => split.destroy())
  return { split, old, canary, step, regressions, ended, calls }
}

/** Gives all of it, as a worker does, until it is done or the instance cannot go on. */
async function runAll(split: Split, frames: readonly InputFrame[], atMs = nowMs) {
  let left = frames
  const results: BatchResult[] = []
  let records = 0
  while (left.length > 0) {
    const result = await split.run(left, atMs)
    results.push(result)
    records += result.records
    left = behind(left, result.records)
    if (result.fatal !== undefined) break
  }
  return {
    outs: results.flatMap(outs),
    byCanary: results.flatMap(({ isCanarys, records }) =>
      Array.from({ length: records }, (_, i) => isCanarys![i] === 1),
    ),
    results,
    records,
    failures: results.flatMap(({ failures }) => failures),
  }
}

const keys = Array.from({ length: 30 }, (_, i) => `key-${i}`)
const keyed = (pairs: readonly (readonly [string, string])[], partition = 0): InputFrame =>
  frame(
    pairs.map(([key, value]) => record(value, key)),
    partition,
  )

test('Split gives each record once to the version that has its key, in the order of the key', async (t) => {
  const { split } = await rigOf(t, 'skip')
  const counts = new Map<string, number>()
  const what = fc.constantFrom('', '', '', '', 'async', 'throw2', 'throw1', 'throw1 throw2')
  const batches = fc.array(fc.tuple(fc.constantFrom(...keys), what), { minLength: 1, maxLength: 60 })
  await fc.assert(
    fc.asyncProperty(fc.array(batches, { minLength: 1, maxLength: 3 }), async (given) => {
      const frames = given.map((pairs, partition) => keyed(pairs, partition))
      const done = await runAll(split, frames)
      const all = given.flatMap((pairs, partition) => pairs.map((pair) => [...pair, partition] as const))
      assert.equal(done.records, all.length)
      // Who has a record that throws: the version before, if the new one did; it is skipped if that one does too.
      const skipped = all.filter(
        ([key, value]) => value.includes('throw1') && (!isCanarys(key) || value.includes('throw2')),
      )
      assert.equal(done.failures.length, skipped.length)
      assert.deepEqual(
        done.byCanary,
        all.map(([key, value]) => isCanarys(key) && !value.includes('throw2')),
      )
      for (const key of keys) {
        const found = done.outs.filter((out) => out.key === key)
        const expected = all
          .filter((one) => one[0] === key && !skipped.includes(one))
          .map(([, value, partition]) => {
            const at = `${partition} ${key}`
            counts.set(at, (counts.get(at) ?? 0) + 1)
            return {
              key,
              version: isCanarys(key) && !value.includes('throw2') ? 2 : 1,
              count: counts.get(at),
              what: value,
            }
          })
        assert.deepEqual(found.toSorted(byText), expected.toSorted(byText))
      }
    }),
    { numRuns: 25 },
  )
})

function byText(one: object, other: object): number {
  return JSON.stringify(one) < JSON.stringify(other) ? -1 : 1
}

test('Split gives a record at which the new version throws to the version before, and reports it', async (t) => {
  const { split, regressions } = await rigOf(t)
  const his = keys.filter(isCanarys)
  const done = await runAll(split, [
    keyed([...his.map((key) => [key, ''] as const), [his[0]!, 'throw2'], [his[0]!, '']]),
  ])
  assert.equal(regressions.length, 1)
  assert.match(regressions[0]!, /thrown by 2/)
  assert.deepEqual(
    done.outs.filter(({ key }) => key === his[0]).map(({ version, count }) => [version, count]),
    [
      [2, 1],
      [1, 2],
      [2, 3],
    ],
  )
  assert.equal(done.records, his.length + 2)
})

test('Split finishes a batch in which the version before has finally failed, except for that record', async (t) => {
  const { split } = await rigOf(t)
  const [his] = keys.filter(isCanarys)
  const [mine, others] = keys.filter((key) => !isCanarys(key))
  const done = await runAll(split, [
    keyed([
      [his!, ''],
      [mine!, 'throw1'],
      [his!, ''],
      [others!, ''],
      [mine!, ''],
      [his!, ''],
    ]),
  ])
  const last = done.results.at(-1)!
  assert.equal(last.fatal?.code, 'ERR_FUNCTION_FAILED')
  assert.equal(done.records, 6)
  assert.deepEqual(
    done.failures.map(({ index, action, isDone }) => [index, action, isDone]),
    [[1, 'fail', true]],
  )
  assert.deepEqual(done.outs.map(({ key }) => key).toSorted(), [his, his, his, others, mine].toSorted())
  assert.equal(last.recordAtHand, false)
})

test('Split continues with the version before when the new one has ended', async (t) => {
  const { split, ended } = await rigOf(t)
  const [his, his2] = keys.filter(isCanarys)
  const [mine] = keys.filter((key) => !isCanarys(key))
  const done = await runAll(split, [
    keyed([
      [his!, ''],
      [mine!, ''],
      [his!, 'loop2'],
      [his2!, ''],
      [mine!, ''],
    ]),
  ])
  assert.equal(ended.length, 1)
  assert.equal(done.records, 5)
  assert.deepEqual(
    done.outs.filter(({ key }) => key === his).map(({ version, count }) => [version, count]),
    [
      [2, 1],
      [1, 2],
    ],
  )
  assert.deepEqual(
    done.outs.filter(({ key }) => key === mine).map(({ count }) => count),
    [1, 2],
  )
})

test('Split: what the new version has done to state in a format of its own is told as gone when it ends (OR1)', async (t) => {
  const open = { own: 2, kept: 1 }
  const { split } = await rigOf(t, 'fail', open)
  const told: unknown[] = []
  const consumer = {
    addOpen: (_: unknown, format: number, records: number) => void told.push({ format, records }),
    useFormat: (format: StateFormat) => void told.push(format),
  }
  const [his, his2] = keys.filter(isCanarys)
  const [mine] = keys.filter((key) => !isCanarys(key))
  const run = async (...pairs: readonly (readonly [string, string])[]): Promise<Out[]> => {
    const { outs: all, results } = await runAll(split, [keyed(pairs)])
    for (const result of results)
      tellOpen(consumer, split.format, [{ ...keyed(pairs), finished: 0 }], { ...result })
    return all
  }
  await run([his!, ''], [mine!, ''], [his!, ''])
  assert.deepEqual([told.splice(0), split.format], [[{ format: 2, records: 2 }], open])
  const [first] = await run([his2!, ''], [mine!, ''], [his!, 'loop2'])
  assert.equal(first!.version, 2)
  const settled = { own: 1, kept: 1 }
  assert.deepEqual([told.splice(0), split.format], [[{ format: 2, records: 1 }, settled], settled])
  const again = await run([his!, ''])
  assert.deepEqual(
    again.map(({ version, count }) => [version, count]),
    [[1, 2]],
    'it has one of the batch before, and none of what is gone',
  )
  assert.deepEqual(told, [])
})

test('Split ends as an instance where both versions were ended: the state stays, and what nobody can do is dropped', async (t) => {
  const { split, old, canary, ended } = await rigOf(t)
  const [his] = keys.filter(isCanarys)
  const [mine] = keys.filter((key) => !isCanarys(key))
  await runAll(split, [keyed([[mine!, '']])])
  old.kill() // a stop has waited long enough, and ends both
  const frames = [
    keyed([
      [his!, ''],
      [mine!, ''],
      [his!, 'loop2'],
      [mine!, ''],
    ]),
  ]
  const result = await split.run(frames, nowMs)
  assert.equal(result.fatal?.code, 'ERR_DEADLINE')
  assert.deepEqual([result.records, result.recordAtHand], [2, true])
  assert.deepEqual(
    outs(result).map(({ key }) => key),
    [his],
  )
  assert.deepEqual(
    result.failures.map(({ index, isDone }) => [index, isDone]),
    [[1, true]],
  )
  assert.deepEqual([ended, canary.isEnded], [[], true])
  assert.deepEqual(split.state.partitions(), [0])
  assert.equal(await split.ended(), true, 'its state can be stored')
})

test('Split finishes a batch in which the version before has ended at a timer, and no record of the new one counts as failed', async (t) => {
  const { split } = await rigOf(t)
  const his = keys.find(isCanarys)!
  const [mine, ...others] = [...keys, ...keys.map((key) => `stuck-${key}`)].filter((key) => !isCanarys(key))
  const stuck = others.find((key) => key.includes('stuck'))!
  await runAll(split, [keyed([[stuck, 'timer']])])
  const pairs = [
    [his, ''],
    [mine!, ''],
    [his, ''],
  ] as const
  const result = await split.run([keyed(pairs)], nowMs + 20, undefined)
  assert.deepEqual([result.fatal?.code, result.records, result.timerAtHand?.key], ['ERR_DEADLINE', 3, stuck])
  assert.deepEqual(result.failures, [])
  assert.deepEqual(
    outs(result)
      .map(({ key }) => key)
      .toSorted(),
    [his, his, mine].toSorted(),
    'and the timer is called by nobody else: it is still set',
  )
})

test('Split ends as an instance, with what was done, when the new version has ended and cannot be stopped', async (t) => {
  const { split, old, canary, ended } = await rigOf(t)
  const his = keys.find(isCanarys)!
  canary.ended = async () => false // its thread may be at work still
  const pairs = [
    [his, ''],
    [his, 'loop2'],
  ] as const
  const result = await split.run([keyed(pairs)], nowMs, undefined)
  assert.deepEqual([result.fatal?.code, result.records, outs(result).length], ['ERR_DEADLINE', 1, 1])
  assert.deepEqual(
    [old.isEnded, ended],
    [true, []],
    'nobody can have the state, and the old one goes on with none of its own',
  )
})

test('Split ends as an instance when both have ended, the version before as it takes the state back: what was done stays done', async (t) => {
  const { split, old } = await rigOf(t)
  const his = keys.find(isCanarys)!
  const takeOver = old.takeOver.bind(old)
  old.takeOver = async (from) => {
    old.kill()
    await takeOver(from)
  }
  const pairs = [
    [his, ''],
    [his, 'loop2'],
  ] as const
  const result = await split.run([keyed(pairs)], nowMs, undefined)
  assert.deepEqual([result.fatal?.code, result.records, result.gone], ['ERR_DEADLINE', 1, undefined])
  assert.deepEqual(
    outs(result).map(({ key }) => key),
    [his],
  )
})

test('Split goes on with the version before when the new one ends over taking the state', async (t) => {
  const { split, canary, ended } = await rigOf(t)
  const [his] = keys.filter(isCanarys)
  const takeOver = canary.takeOver.bind(canary)
  canary.takeOver = async (from) => {
    canary.kill()
    await takeOver(from)
  }
  const done = await runAll(split, [keyed([[his!, '']])])
  assert.deepEqual([done.outs.map(({ version }) => version), ended.length], [[1], 1])
})

test('Split goes on with the version before when the new one has ended between two batches, and tells of it', async (t) => {
  const { split, canary, ended } = await rigOf(t)
  const [his] = keys.filter(isCanarys)
  await runAll(split, [keyed([[his!, '']])])
  canary.kill()
  const done = await runAll(split, [keyed([[his!, '']])])
  assert.deepEqual(
    done.outs.map(({ version, count }) => [version, count]),
    [[1, 2]],
  )
  assert.deepEqual([ended.length, done.results[0]!.gone], [1, { own: 1, kept: 1 }])
})

test('Split takes over a share when the new version has ended between two batches: the instance goes on', async (t) => {
  const { split, old, canary, ended } = await rigOf(t)
  const his = keys.find(isCanarys)!
  const { instance: giver } = await start(counting(1))
  await giver.run([frame([record('', his)], 5)], nowMs)
  await giver.destroy()
  await runAll(split, [keyed([[his, '']])])
  await canary.takeOver(old) // as it has the state where it has done nothing of a batch, since it lacked memory
  canary.kill()
  await split.adopt(5, giver.state.slabsOf(5))
  const done = await runAll(split, [frame([record('', his)], 5), keyed([[his, '']])])
  assert.deepEqual(
    [done.outs.map(({ version, count }) => [version, count]), ended.length],
    [
      [
        [1, 2],
        [1, 2],
      ],
      1,
    ],
  )
})

test('Split calls a timer in the version that has its key, and if that throws in the version before', async (t) => {
  const { split, regressions } = await rigOf(t)
  const names = [...keys, ...keys.map((key) => `bad-${key}`)]
  await runAll(split, [keyed(names.map((key) => [key, 'timer'] as const))])
  const fired: Out[] = []
  for (let i = 0; i < 100 && fired.length < names.length; i++)
    fired.push(...outs(await split.run([], nowMs + 1000)))
  assert.deepEqual(fired.map(({ timer }) => timer).toSorted(), names.toSorted())
  for (const { key, version } of fired) {
    if (!isCanarys(key)) assert.equal(version, 1)
    else if (!key.includes('bad')) assert.equal(version, 2)
  }
  assert.ok(regressions.length > 0)
})

test('Split gives the version before the one timer at which the new one threw, and no other', async (t) => {
  const { split, regressions } = await rigOf(t)
  const names = [
    ...keys
      .map((key) => `bad-${key}`)
      .filter(isCanarys)
      .slice(0, 1),
    ...keys.filter(isCanarys),
  ]
  await runAll(split, [keyed(names.map((key) => [key, 'timer'] as const))])
  const fired: Out[] = []
  for (let i = 0; i < 100 && fired.length < names.length; i++)
    fired.push(...outs(await split.run([], nowMs + 1000)))
  assert.deepEqual(
    fired.map(({ timer, version }) => `${timer} ${version}`).toSorted(),
    names.map((name, i) => `${name} ${i === 0 ? 1 : 2}`).toSorted(),
  )
  assert.equal(regressions.length, 1)
})

test('Split keeps a batch without keys of the new version in one isolate', async (t) => {
  const { split, calls } = await rigOf(t)
  await runAll(split, [keyed([[keys.find((key) => !isCanarys(key))!, '']])])
  assert.deepEqual(calls, [])
})

test('Split finishes a batch under the step with which it began, whatever step is assigned meanwhile', async (t) => {
  const { split, step, calls } = await rigOf(t)
  const all = { salt, from: 0, to: pointsMax }
  const heard: string[] = []
  const next: Step = {
    ...step,
    shares: { canary: all, control: undefined, rest: undefined },
    onCall: (side) => heard.push(side),
  }
  const frames = [keyed(keys.map((key) => [key, 'async'] as const))]
  const first = split.run(frames, nowMs)
  split.step(next)
  const byVersion = (result: BatchResult) => outs(result).map(({ key, version }) => [key, version])
  assert.deepEqual(
    byVersion(await first).toSorted(),
    keys.map((key) => [key, isCanarys(key) ? 2 : 1]).toSorted(),
  )
  assert.deepEqual([calls, heard], [['canary', 'control', 'rest'], []])
  const second = await split.run([keyed(keys.map((key) => [key, ''] as const))], nowMs, undefined)
  assert.deepEqual(byVersion(second).toSorted(), keys.map((key) => [key, 2]).toSorted())
  assert.deepEqual(heard, ['canary'])
})

test('Split counts the time that a version takes in its isolate, not the wait before it (TM1)', async (t) => {
  const { split, canary, step } = await rigOf(t)
  const took: [string, number][] = []
  split.step({ ...step, onCalled: (side, _, records, ms) => records > 0 && took.push([side, ms]) })
  const run = canary.run.bind(canary)
  const lateMs = 500
  canary.run = async (...args) => {
    await setTimeout(lateMs)
    return await run(...args)
  }
  await runAll(split, [keyed(keys.map((key) => [key, ''] as const))])
  assert.equal(took.map(([side]) => side).join(), 'canary,control')
  for (const [side, ms] of took) assert.ok(ms > 0 && ms < lateMs, `${side}: ${ms} ms`)
})

test('Split has both versions collect their garbage when memory is short, whichever has the state', async (t) => {
  const { split, old, canary } = await rigOf(t)
  const collects = [old, canary].map((one) => t.mock.method(one, 'collect').mock)
  await split.collect()
  for (const collect of collects) assert.equal(collect.callCount(), 1)
})
