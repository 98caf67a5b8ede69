import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { ManualClock } from '../../infra/clock.ts'
import type { FunctionAssignment } from '../../infra/control/messages.ts'
import type { Worker } from '../instance/worker.ts'
import { isolateError } from '../isolate/index.ts'
import { Swaps } from './swaps.ts'

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

test('Swaps makes a version again that had no CPU in its rehearsal, ten times', async () => {
  const starved = isolateError('ERR_DEADLINE', 'it had a CPU for 1 ms of 1000', { starved: true })
  const settled = async (rehearsals: number) => {
    let left = rehearsals
    const told = Promise.withResolvers<void>()
    const worker = {
      running: { isolate: {}, assignment: assignment(1) },
      sampler: { next: async () => [] },
      succession: { swap: async () => 1 },
    } as unknown as Worker
    const rehearse = async () => {
      if (left-- > 0) throw starved
    }
    const swaps = new Swaps({
      clock: new ManualClock(),
      make: async () => ({ rehearse, expect: async () => undefined, kill: () => undefined }) as never,
      onChange: () => undefined,
      log: () => told.resolve(),
    })
    swaps.want('f-0', worker, {
      ...assignment(2),
      format: { own: 1, kept: 1 },
    } as unknown as FunctionAssignment)
    await told.promise
    return swaps.report('f-0', worker).swap?.reason
  }
  assert.deepEqual([await settled(10), await settled(11)], [undefined, starved.message])
})
