import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../infra/clock.ts'
import type { FunctionAssignment } from '../infra/control/messages.ts'
import type { Running } from './change-over.ts'
import type { Instance } from './isolate/index.ts'
import { Succession } from './succession.ts'

function version(number: number): Running {
  const isolate = { setOutputs: () => undefined, takeOver: async () => undefined } as unknown as Instance
  const manifest = { ostreams: [] } as unknown as FunctionAssignment['manifest']
  return { isolate, assignment: { version: number, streams: {}, manifest } as unknown as FunctionAssignment }
}

test('Succession puts no fresh isolate of a version in the place of another one that took over meanwhile', async () => {
  const none = async (): Promise<void> => undefined
  const first = version(1)
  const succession = new Succession(first, {
    clock: new ManualClock(),
    interrupt: () => undefined,
    wake: () => undefined,
    onStreams: () => undefined,
    onPut: () => undefined,
    runNext: async () => ({ failed: false }),
    destroy: none,
  })
  const second = version(2)
  const swapped = succession.swap(second, undefined, () => undefined)
  const replaced = succession.replace(version(1))
  replaced.catch(() => undefined)
  await succession.advance()
  await swapped
  await assert.rejects(replaced, /version 2 has taken over meanwhile/)
  assert.equal(succession.running.isolate, second.isolate)
})
