import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '../../infra/clock.ts'
import type { FunctionAssignment } from '../../infra/control/messages/assignment.ts'
import type { BatchResult, SingleIsolate } from '../isolate/index.ts'
import type { Running } from './change-over.ts'
import { Succession } from './succession.ts'

function version(number: number): Running {
  const isolate = {
    setOutputs: () => undefined,
    takeOver: async () => undefined,
    settleFormat: async () => undefined,
    format: { own: number, kept: 1 },
    get holder(): unknown {
      return this
    },
  } as unknown as SingleIsolate
  const manifest = { ostreams: [] } as unknown as FunctionAssignment['manifest']
  return { isolate, assignment: { version: number, streams: {}, manifest } as unknown as FunctionAssignment }
}

/** What nobody listens to here. */
const quiet = () => ({
  clock: new ManualClock(),
  interrupt: () => undefined,
  wake: () => undefined,
  onStreams: () => undefined,
  onPut: () => undefined,
  onFormat: () => undefined,
  runNext: async () => ({ failed: false }),
})

test('Succession does not replace a version that took over meanwhile by a new isolate of the earlier version', async () => {
  const none = async (): Promise<void> => undefined
  const first = version(1)
  const succession = new Succession(first, {
    ...quiet(),
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

test('Succession restores the version before if the new isolate ends while its trial is being ended, and says why', async () => {
  const first = version(1)
  const destroyed: unknown[] = []
  const verdicts: (Error | undefined)[] = []
  const why = new Error('it had no CPU')
  const formats: unknown[] = []
  const succession = new Succession(first, {
    ...quiet(),
    onFormat: ({ own, kept }) => formats.push([own, kept]),
    destroy: async ({ isolate, assignment }) => void destroyed.push(isolate, assignment.version),
  })
  const second = version(2)
  const endTrial = async (): Promise<Error> => {
    Object.assign(second.isolate, { isEnded: true })
    return why
  }
  Object.assign(second.isolate, { endTrial })
  const rules = { records: 0, errors: 0, ms: 1000 }
  const swapped = succession.swap(second, rules, ({ failure }) => verdicts.push(failure))
  await succession.advance()
  await swapped
  await succession.advance()
  assert.deepEqual(verdicts, [why])
  assert.equal(succession.running.isolate, first.isolate)
  assert.deepEqual(destroyed, [second.isolate, 2])
  assert.deepEqual(
    formats,
    [
      [2, 1],
      [1, 1],
    ],
    'what the one on trial has had of state is not kept',
  )
})

test('Succession goes back to the version before the one on trial, if that ended when another took over', async () => {
  const destroyed: unknown[] = []
  const [first, second, third] = [version(1), version(2), version(3)]
  const why = new Error('it had no CPU')
  const endTrial = async (): Promise<Error> => {
    Object.assign(second.isolate, { isEnded: true, takeOver: () => Promise.reject(why) })
    return why
  }
  Object.assign(second.isolate, { endTrial })
  const verdicts: (Error | undefined)[] = []
  const succession = new Succession(first, {
    ...quiet(),
    destroy: async ({ isolate }) => void destroyed.push(isolate),
  })
  const rules = { records: 10, errors: 0, ms: 1000 }
  for (const next of [second, third]) {
    const swapped = succession.swap(next, rules, ({ failure }) => verdicts.push(failure))
    await succession.advance()
    await swapped
  }
  assert.deepEqual(destroyed, [second.isolate])
  const fatal = new Error('it runs too long')
  assert.equal(
    await succession.judge({ records: 0, timersFired: 0, fatal } as never as BatchResult),
    undefined,
  )
  assert.equal(succession.running.isolate, first.isolate)
  assert.deepEqual(destroyed, [second.isolate, third.isolate])
  assert.deepEqual(verdicts, [fatal])
})

test('Succession leaves no trial and no isolate behind when its instance ends while another version takes over', async () => {
  const clock = new ManualClock()
  const ended: unknown[] = []
  const [first, second, third] = [version(1), version(2), version(3)]
  Object.assign(first.isolate, { kill: () => ended.push(first.isolate) })
  const endTrial = async (): Promise<undefined> => void succession.end('f-0 ends')
  Object.assign(second.isolate, { endTrial })
  const succession: Succession = new Succession(first, {
    ...quiet(),
    clock,
    destroy: async ({ isolate }) => void ended.push(isolate),
  })
  const rules = { records: 10, errors: 0, ms: 1000 }
  for (const next of [second, third]) {
    const swapped = succession.swap(next, rules, () => assert.fail('nothing is judged any more'))
    await succession.advance()
    await swapped
  }
  assert.equal(clock.isAwaited, false, 'no timer is left')
  assert.deepEqual([succession.onTrial, succession.running.isolate], [false, third.isolate])
  assert.deepEqual([...new Set(ended)], [first.isolate, second.isolate])
})

test('Succession tells again in which format state is used when a version has gone that never came to work here', async () => {
  const settled: unknown[] = []
  const first = version(1)
  Object.assign(first.isolate, { settleFormat: async () => void settled.push('isolate') })
  const succession = new Succession(first, {
    ...quiet(),
    onFormat: ({ own, kept }) => settled.push([own, kept]),
    destroy: async () => undefined,
  })
  const gone = succession.settle()
  await succession.advance()
  await gone
  assert.deepEqual(settled, ['isolate', [1, 1]], 'of both, at one moment')
})

test('Succession awaits no canary any more when the one with which its instance was made has gone', async () => {
  const { isolate, assignment } = version(1)
  const canary = { version: 2 } as FunctionAssignment['canary'] & object
  const succession = new Succession(
    { isolate, assignment: { ...assignment, canary } },
    { ...quiet(), destroy: async () => undefined },
  )
  const gone = succession.settle()
  await succession.advance()
  await gone
  assert.equal(
    succession.running.assignment.canary,
    undefined,
    'so its code and assets are not held any longer',
  )
})
