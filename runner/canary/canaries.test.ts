import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../infra/clock.ts'
import type { FunctionAssignment } from '../../infra/control/messages/assignment.ts'
import { manifestSchema } from '../../sdk/manifest/manifest.ts'
import type { Worker } from '../instance/worker.ts'
import { type BatchResult, isolateError, Results } from '../isolate/index.ts'
import { Canaries, type CanariesOptions } from './canaries.ts'
import type { Split } from './split.ts'

test('Canaries: what a canary has in restored state counts no more when it goes, though it never came to work here', async () => {
  const gone = Promise.withResolvers<void>()
  const failed = Promise.withResolvers<void>()
  const worker = {
    report: () => ({ state: 'running' }),
    running: { isolate: { isEnded: false }, assignment: {} },
    succession: { settle: async () => gone.resolve() },
  } as unknown as Worker
  const canaries = new Canaries({
    clock: new ManualClock(),
    make: () => Promise.reject(new Error('init throws')),
    compare: () => assert.fail('there is nothing to compare'),
    onChange: () => undefined,
    log: (_fn, _id, _level, message) => failed.resolve(assert.match(message, /init throws/)),
  })
  const manifest = manifestSchema.parse({ name: 'f', istreams: { in: { grouping: 'groupBy' } } })
  const fn = { function: 'f', version: 1, manifest, streams: {} } as unknown as FunctionAssignment
  const canary = { version: 2, manifest, step: 0, percent: 10, rules: { steps: [10], maxSlowdown: 2 } }
  canaries.want('f-0', worker, { ...fn, canary } as unknown as FunctionAssignment)
  await failed.promise
  assert.equal(canaries.report('f-0').canary?.state, 'failed')
  canaries.want('f-0', worker, fn)
  await gone.promise
})

test('Canaries: what a canary has in restored state counts no more when it is taken away while its instance starts', async () => {
  const manifest = manifestSchema.parse({ name: 'f', istreams: { in: { grouping: 'groupBy' } } })
  const fn = { function: 'f', version: 1, manifest, streams: {} } as unknown as FunctionAssignment
  const canary = { version: 2, manifest, step: 0, percent: 10, rules: { steps: [10], maxSlowdown: 2 } }
  const made = { ...fn, canary } as unknown as FunctionAssignment
  const settled: string[] = []
  const want = (version: number, newest: Partial<FunctionAssignment>): void => {
    const worker = {
      report: () => ({ state: 'running' }),
      running: { isolate: {}, assignment: made },
      succession: { settle: async () => void settled.push(`v${version}`) },
    } as unknown as Worker
    const canaries = new Canaries({
      clock: new ManualClock(),
      make: () => new Promise(() => undefined),
      compare: () => assert.fail('there is nothing to compare'),
      onChange: () => undefined,
      log: () => undefined,
    })
    canaries.want('f-0', worker, { ...fn, version, ...newest })
  }
  want(1, { canary: made.canary! })
  want(2, {}) // promoted meanwhile: it continues with what it has
  want(1, {})
  await Promise.resolve()
  assert.deepEqual(settled, ['v1'])
})

const starved = isolateError('ERR_DEADLINE', 'it had a CPU for 1 ms of 1000', { starved: true })

/** A canary whose callbacks have no CPU. @param rehearse What its isolates do with the copy of a batch. */
function starvedRig(rehearse: () => Promise<void>) {
  const manifest = manifestSchema.parse({ name: 'f', istreams: { in: { grouping: 'groupBy' } } })
  const canary = { version: 2, manifest, step: 0, percent: 10, rules: { steps: [10], maxSlowdown: 2 } }
  const fn = { function: 'f', version: 1, manifest, streams: {}, canary } as unknown as FunctionAssignment
  const nothing = new Results().total(0)
  const isolate = (result: BatchResult) => ({
    ...{ isEnded: false, state: {}, format: undefined, nextTimerMs: 0, cpuSeconds: 0 },
    takeOver: async function (this: { state: unknown }, from: { state: unknown }) {
      this.state = from.state
    },
    rehearse,
    run: async () => result,
    ...{ expect: async () => undefined, settleFormat: async () => undefined, destroy: async () => undefined },
    ...{ kill: () => undefined, watch: () => undefined },
  })
  const old = isolate(nothing)
  let split: Split | undefined
  let isAt = Promise.withResolvers<void>()
  const worker = {
    report: () => ({ state: 'running' }),
    running: { isolate: { holder: old }, assignment: fn },
    sampler: { next: async () => [] },
    succession: {
      split: async (make: (old: unknown) => Split) => (split = make(old)),
      unsplit: async () => assert.fail('the split is at work no more'),
    },
  } as unknown as Worker
  const canaries = new Canaries({
    clock: new ManualClock(),
    make: async () =>
      isolate({ ...nothing, fatal: starved, recordAtHand: true }) as unknown as Awaited<
        ReturnType<CanariesOptions['make']>
      >,
    compare: () => assert.fail('there is nothing to compare'),
    onChange: () => {
      if (report().state !== 'preparing') isAt.resolve()
    },
    log: () => undefined,
  })
  const report = () => canaries.report('f-0').canary!
  canaries.want('f-0', worker, fn)
  return {
    report,
    /** Resolves when it is made, or has failed, anew. */
    async made() {
      await isAt.promise
      isAt = Promise.withResolvers()
    },
    work: () => split!.run([], 1), // a timer is due
  }
}

test('Canaries: one that had no CPU for a callback is made again, ten times', async () => {
  const { report, made, work } = starvedRig(async () => undefined)
  for (let times = 0; times <= 10; times++) {
    await made()
    assert.equal(report().state, 'working')
    await work()
  }
  assert.deepEqual([report().state, report().reason], ['failed', starved.message])
})

test('Canaries: one that had no CPU in its rehearsal is made again, and fails for another reason', async () => {
  const ends = [starved, starved, undefined, starved, new Error('it has ended')]
  const { report, made, work } = starvedRig(async () => {
    const why = ends.shift()
    if (why !== undefined) throw why
  })
  await made()
  assert.deepEqual([report().state, ends.length], ['working', 2])
  await work()
  await made()
  assert.deepEqual([report().state, report().reason], ['failed', 'it has ended'])
})
