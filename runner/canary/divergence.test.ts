import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { systemClock } from '../../infra/clock.ts'
import { canarySchema } from '../../sdk/manifest/manifest.ts'
import { sharesOf } from '../../sdk/versions/canary.ts'
import type { ShadowEvidence } from '../../sdk/versions/shadow.ts'
import { pointOf } from '../../sdk/wire/key-share.ts'
import { behind, type InputFrame, outputTable } from '../isolate/index.ts'
import { bundleOf, fn, frame, nowMs, record, start } from '../isolate/testing/harness.ts'
import { roomOf } from '../process/test-memory.ts'
import { Mirror } from '../shadow/mirror.ts'
import { Shadow } from '../shadow/shadow.ts'
import { Divergence } from './divergence.ts'
import { Split } from './split.ts'
import type { Step } from './step.ts'

/** Counts records by key, and puts a count out; version 2 says something else of a record that asks for it. */
const counting = (version: number): string =>
  fn(
    `
  const count = (ctx.getJson(record.key) ?? 0) + 1
  ctx.setJson(record.key, count)
  const what = record.text()
  const tell = () => {
    if (what.includes('throw')) throw new Error('in both')
    if (what.includes('timer')) ctx.setTimer(record.keyText() + count, ctx.nowMs() + 1)
    ctx.produceRecord('out', record.key, what.includes('other') && ${version} === 2 ? 'other' : String(count))
  }
  if (!what.includes('async')) return tell()
  return new Promise((resolve) => setTimeout(resolve, 1)).then(tell)`,
    `processTimer(ctx, key) {
      ctx.produceRecord('out', key, key)
    },`,
  )

const keys = Array.from({ length: 30 }, (_, i) => `key-${i}`)
const salt = 7
const shares = sharesOf(30, salt)
const isControls = (key: string): boolean => {
  const bytes = new TextEncoder().encode(key)
  const point = pointOf(bytes, 0, bytes.length, salt)
  return point >= shares.control!.from && point < shares.control!.to
}

interface Rig {
  readonly divergence: Divergence
  readonly ended: string[]
  /** Gives all of it, as a worker does, until it is done. */
  run(frames: readonly InputFrame[]): Promise<void>
  /** When so many of the control's records have gone by, compared or not. */
  seen(records: number): Promise<ShadowEvidence>
}

async function rigOf(
  t: { after(run: () => unknown): void },
  { next = counting(2), stateMib = 64 } = {},
): Promise<Rig> {
  const limits = { heapMib: 64, stateMib: 64, callbackMs: 1000 }
  const { instance: old, manifest } = await start(counting(1), { manifest: { onError: 'skip', limits } })
  const said = { manifest: { onError: 'skip' as const, limits }, version: 2, replaces: 1, onTrial: true }
  const canary = (await start(next, said)).instance
  const outputs = { out: { partitions: 4, keyed: true } }
  const table = outputTable(manifest, outputs)
  const common = { function: 'fn', version: 2, instance: 0, manifest, nowMs, outputs, log: () => undefined }
  const memory = roomOf()
  const ended: string[] = []
  const divergence = new Divergence(
    canarySchema.parse({ maxDiff: 0, stateMib }),
    ({ rules, ...options }) =>
      new Shadow(old, {
        ...{ clock: systemClock, memory, processMs: () => 0, outputs: () => table, ...options },
        rules: { ...rules, workMsPerSecond: 1000 },
        make: (seed) => Mirror.create({ ...common, seed, ...bundleOf(next) }, table, options.findings),
      }),
    (why) => ended.push(why),
  )
  const { witness } = divergence
  const step: Step = {
    ...{ shares, witness, onCalled: () => undefined },
    onCall: (side, isolate) => isolate.watch(side === 'control' ? (piece) => witness.add(piece) : undefined),
    onRegression: () => undefined,
    onControlFailed: () => undefined,
  }
  const split = new Split({
    ...{ old, canary, step, keepsOrder: false, nowMs: () => performance.now() },
    onCanaryEnded: () => undefined,
  })
  t.after(() => {
    divergence.end()
    return split.destroy()
  })
  return {
    ...{ divergence, ended },
    run: async (frames) => {
      for (let left = frames; left.length > 0; ) {
        const { records, fatal } = await split.run(left, nowMs)
        assert.equal(fatal, undefined)
        left = behind(left, records)
      }
    },
    seen: async (records) => {
      await until(() => divergence.evidence().records >= records)
      return divergence.evidence()
    },
  }
}

async function until(holds: () => boolean): Promise<void> {
  for (const endMs = performance.now() + 60_000; !holds(); ) {
    if (performance.now() > endMs) throw new Error(`after a minute still not: ${holds}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

const keyed = (pairs: readonly (readonly [string, string])[], partition = 0): InputFrame =>
  frame(
    pairs.map(([key, value]) => record(value, key)),
    partition,
  )

/** Records until one of the control's is compared. @returns How many of those there were. */
async function begun({ run, seen, divergence }: Rig): Promise<number> {
  const batch = keys.map((key) => [key, ''] as const)
  const controls = keys.filter(isControls).length
  for (let records = controls; ; records += controls) {
    await run([keyed(batch)])
    await seen(records)
    if (divergence.evidence().compared > 0) return records
  }
}

test('Divergence compares every record of the control and no other, in state that continues from record to record', async (t) => {
  const rig = await rigOf(t)
  let controls = await begun(rig)
  const what = fc.constantFrom('', '', '', 'other', 'other async', 'async', 'throw', 'timer', 'timer other')
  const batches = fc.array(fc.tuple(fc.constantFrom(...keys), what), { minLength: 1, maxLength: 60 })
  await fc.assert(
    fc.asyncProperty(fc.array(batches, { minLength: 1, maxLength: 3 }), async (given) => {
      const before = rig.divergence.evidence()
      await rig.run(given.map((pairs, partition) => keyed(pairs, partition)))
      const mine = given.flat().filter(([key]) => isControls(key))
      controls += mine.length
      const { compared, different, failed, examples, timers } = await rig.seen(controls)
      const found = [
        compared - before.compared,
        different - before.different,
        failed.both - before.failed.both,
      ]
      const withText = (text: string) => mine.filter(([, value]) => value.includes(text)).length
      assert.deepEqual(found, [mine.length, withText('other'), withText('throw')])
      assert.deepEqual([failed.live, failed.shadow, timers.different], [0, 0, 0])
      for (const { key, shadow } of examples)
        assert.deepEqual([isControls(key!), shadow.outputs[0]?.value], [true, 'other'])
    }),
    { numRuns: 25 },
  )
  assert.deepEqual(rig.ended, [])
})

test('Divergence reports that the new version ended over the records of the control, or that state is too large to copy', async (t) => {
  const ends = await rigOf(t, {
    next: counting(2).replace('tell()\n', "what === 'loop' ? (() => { for (;;); })() : tell()\n"),
  })
  const controls = await begun(ends)
  const [mine] = keys.filter(isControls)
  await ends.run([keyed([[mine!, 'loop']])])
  await ends.seen(controls + 1)
  assert.match(ends.ended.join(), /longer than its limit of 1000 ms/)
  const large = await rigOf(t, { stateMib: 0 })
  while (large.ended.length === 0) {
    await large.run([keyed([[mine!, '']])])
    await new Promise(setImmediate)
  }
  assert.match(large.ended[0]!, /of 0 at most a copy is made: set rollout\.canary\.stateMib/)
})
