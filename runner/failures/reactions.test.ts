import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Consumer, TakenFrame } from '../../infra/bus/index.ts'
import { ManualClock } from '../../infra/clock.ts'
import type { FunctionAssignment } from '../../infra/control/messages/assignment.ts'
import { frameOf, parseFrame, stampHeader } from '../../sdk/wire/frame.ts'
import type { Acknowledger } from '../instance/acknowledger.ts'
import type { BatchResult, RecordFailure } from '../isolate/index.ts'
import type { SetAside } from './aside.ts'
import { locate } from './failed.ts'
import { FailureLog } from './failure-log.ts'
import type { LetterBox } from './letter-box.ts'
import { Reactions } from './reactions.ts'

/** A batch of one frame with so many records, and reactions of the policy `deadLetter` with what they do, in words. */
function reacting(records: number, onFailure: FailureLog['take'] = () => undefined) {
  const log: string[] = []
  const record = { key: new Uint8Array(1), value: new Uint8Array(1), timeMs: 5 }
  const bytes = frameOf(Array.from({ length: records }, () => record))
  const id = { low: 1, high: 0 }
  stampHeader(bytes, {
    ...{ flags: 0, partition: 0, producer: id, origin: id, epoch: 1, count: records, sequence: 0 },
  })
  const header = parseFrame(bytes)
  const frame = {
    ...{ stream: 's', partition: 0, bytes, header, skip: 0, finished: 0 },
    channel: {},
  } as unknown as TakenFrame
  const reactions = new Reactions({
    clock: new ManualClock(1_000),
    letters: {
      post: ({ letters }: { readonly letters: readonly unknown[] }) => {
        log.push(`posted ${letters.length}`)
        return Promise.resolve([true])
      },
      flush: () => undefined,
    } as unknown as LetterBox,
    onFailure,
    instance: { id: 'f-0', index: 0 },
    consumer: { done: () => log.push('done') } as unknown as Consumer,
    acknowledger: {
      announce: () => log.push('announced'),
      await: () => undefined,
    } as unknown as Acknowledger,
    aside: { has: () => false } as unknown as SetAside,
    stopping: new AbortController().signal,
    tried: undefined,
    assignment: () =>
      ({ function: 'f', version: 1, manifest: { onError: 'deadLetter' } }) as FunctionAssignment,
  })
  return { reactions, frame, log }
}

test('Reactions announces a record that ended its isolate before it posts the dead letter', () => {
  const { reactions, frame, log } = reacting(1)
  const fatal = { code: 'ERR_DEADLINE', message: 'too long', detail: {} }
  reactions.settleBroken([frame], { fatal, recordAtHand: true, failures: [] } as unknown as BatchResult)
  assert.deepEqual(log, ['done', 'announced', 'posted 1'])
})

test('a flood of errors takes lines of the log only for those with a stack, wherever the seconds of log and isolate begin', () => {
  const clock = new ManualClock(900) // the log's second begins here, the isolate's began at 0
  const lines: string[] = []
  const failureLog = new FailureLog({ clock, print: (_, line) => lines.push(line) })
  const { reactions, frame, log } = reacting(2000, failureLog.take.bind(failureLog))
  /** As the isolate reports a flood: from the 1000th of its second on without stacks. */
  const flood = (from: number): void => {
    const failures = Array.from({ length: 500 }, (_, i): RecordFailure => {
      const stackless = from + i >= 1000
      const stack = stackless ? '' : 'RangeError: no\n    at score.ts:1:1'
      const error = { name: 'RangeError', message: 'no', stack, timeMs: 1 }
      return { index: i, action: 'deadLetter', attempts: 1, told: true, stackless, error }
    })
    reactions.take(locate([frame], failures))
  }
  flood(0)
  clock.advance(1000)
  flood(1000)
  flood(0)
  failureLog.flush()
  const own = lines.filter((line) => line.startsWith('callback failed'))
  assert.equal(own.length, 40)
  assert.ok(own.every((line) => line.endsWith('at score.ts:1:1')))
  assert.match(lines.at(-1)!, /^980 more callbacks failed \(deadLetter\)/)
  assert.match(reactions.report().lastError!.stack, /score\.ts/)
  assert.deepEqual(log, Array(3).fill('posted 500'), 'a dead letter needs no stack')
})
