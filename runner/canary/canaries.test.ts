import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../infra/clock.ts'
import type { FunctionAssignment } from '../../infra/control/messages.ts'
import { manifestSchema } from '../../sdk/manifest/manifest.ts'
import type { Worker } from '../instance/worker.ts'
import { Canaries } from './canaries.ts'

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
