import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { ManualClock } from '../../infra/clock.ts'
import type { FunctionAssignment } from '../../infra/control/messages/assignment.ts'
import type { Worker } from '../instance/worker.ts'
import { isolateError } from '../isolate/index.ts'
import { Swaps } from './swaps.ts'
import type { Verdict } from './trial.ts'

function assignment(version: number): FunctionAssignment {
  return { version, format: { own: version, kept: version - 1 } } as unknown as FunctionAssignment
}

test('Swaps makes a version with a new state format wait while there is no room for the format, without starting it', async () => {
  const clock = new ManualClock()
  let crowded = 3
  let isMade = false
  const lines: string[] = []
  let taken: number | undefined
  const worker = {
    running: { isolate: { stats: () => ({ crowded }), holder: undefined }, assignment: assignment(15) },
    sampler: { next: async () => undefined },
    succession: {
      swap: async ({ assignment: { version } }: { assignment: FunctionAssignment }) => {
        taken = version
        return 1
      },
    },
  } as unknown as Worker
  const swaps = new Swaps({
    clock,
    make: async () => {
      isMade = true
      return { expect: async () => undefined } as never
    },
    onChange: () => undefined,
    log: (_fn, _id, _level, message) => lines.push(message),
  })
  const pass = async (): Promise<void> => {
    clock.advance(100)
    for (let i = 0; i < 5; i++) await setImmediate()
  }
  swaps.want('f-0', worker, assignment(16))
  await pass()
  await pass()
  assert.deepEqual([isMade, swaps.report('f-0', worker).swap?.state], [false, 'preparing'])
  assert.deepEqual(lines, ['version 16 waits until 3 partitions have room for its format of state'])
  crowded = 0
  await pass()
  assert.deepEqual([isMade, taken, swaps.report('f-0', worker).swap], [true, 16, undefined])
  crowded = 3
  swaps.want('f-0', worker, assignment(17))
  swaps.want('f-0', worker, assignment(15))
  await pass()
  assert.equal(taken, 16, 'what is not wanted any more is waited for no longer')
})

test('Swaps makes a version again that had no CPU in its rehearsal, or to take over, ten times', async () => {
  const starved = isolateError('ERR_DEADLINE', 'it had a CPU for 1 ms of 1000', { starved: true })
  const settled = async (attempts: number, where: 'rehearse' | 'takeOver') => {
    let left = attempts
    const told = Promise.withResolvers<void>()
    const starve = async (here: typeof where) => {
      if (here === where && left-- > 0) throw starved
      return 1
    }
    const worker = {
      running: { isolate: {}, assignment: assignment(1) },
      sampler: { next: async () => [] },
      succession: { swap: () => starve('takeOver') },
    } as unknown as Worker
    const rehearse = () => starve('rehearse')
    const swaps = new Swaps({
      clock: new ManualClock(),
      make: async () => ({ rehearse, expect: async () => undefined, kill: () => undefined }) as never,
      onChange: () => undefined,
      log: (_fn, _id, _level, message) => {
        if (!message.includes('is made again')) told.resolve()
      },
    })
    swaps.want('f-0', worker, {
      ...assignment(2),
      format: { own: 1, kept: 1 },
    } as unknown as FunctionAssignment)
    await told.promise
    return swaps.report('f-0', worker).swap?.reason
  }
  for (const where of ['rehearse', 'takeOver'] as const)
    assert.deepEqual(
      [await settled(10, where), await settled(11, where)],
      [undefined, starved.message],
      where,
    )
})

test('Swaps makes a version again that ended for want of a CPU on trial, and takes back one that ended otherwise (SW3)', async () => {
  const starved = isolateError('ERR_DEADLINE', 'it had a CPU for 1 ms of 1000', { starved: true })
  const settled = async (failures: readonly (Error | undefined)[]) => {
    const verdicts = failures.values()
    let made = 0
    const worker = {
      running: { isolate: {}, assignment: assignment(1) },
      sampler: { next: async () => undefined },
      succession: {
        triedSoFar: 0,
        swap: async (_next: unknown, _rules: unknown, onVerdict: (verdict: Verdict) => void) => {
          void setImmediate().then(() => {
            const failure = verdicts.next().value
            onVerdict({ records: 3, errors: 0, ...(failure && { failure }) })
          })
          return 1
        },
      },
    } as unknown as Worker
    const over = Promise.withResolvers<void>()
    const swaps = new Swaps({
      clock: new ManualClock(),
      make: async () => {
        made += 1
        return { expect: async () => undefined } as never
      },
      onChange: () => {
        const { swap, tried } = swaps.report('f-0', worker)
        if (swap?.state === 'failed' || tried !== undefined) over.resolve()
      },
      log: () => undefined,
    })
    const trial = { records: 10, errors: 0, ms: 1000 }
    const format = { own: 1, kept: 1 }
    swaps.want('f-0', worker, { ...assignment(2), format, trial } as unknown as FunctionAssignment)
    await over.promise
    const { swap, tried } = swaps.report('f-0', worker)
    return [made, swap?.state, swap?.reason, tried?.version]
  }
  const passed = [...new Array<Error>(10).fill(starved), undefined]
  assert.deepEqual(await settled(passed), [11, undefined, undefined, 2])
  assert.deepEqual(await settled(new Array(11).fill(starved)), [11, 'failed', starved.message, undefined])
  const broken = new Error('it is out of memory')
  assert.deepEqual(await settled([starved, broken]), [2, 'failed', broken.message, undefined])
})
