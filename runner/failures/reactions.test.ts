import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Consumer, TakenFrame } from '../../infra/bus/index.ts'
import { ManualClock } from '../../infra/clock.ts'
import type { FunctionAssignment } from '../../infra/control/messages.ts'
import { frameOf, parseFrame, stampHeader } from '../../sdk/wire/frame.ts'
import type { Acknowledger } from '../instance/acknowledger.ts'
import type { BatchResult } from '../isolate/index.ts'
import type { SetAside } from './aside.ts'
import type { LetterBox } from './letter-box.ts'
import { Reactions } from './reactions.ts'

test('Reactions announces a record that ended its isolate before it posts the dead letter', () => {
  const log: string[] = []
  const record = { key: new Uint8Array(1), value: new Uint8Array(1), timeMs: 5 }
  const bytes = frameOf([record])
  const id = { low: 1, high: 0 }
  stampHeader(bytes, { flags: 0, partition: 0, producer: id, origin: id, epoch: 1, count: 1, sequence: 0 })
  const header = parseFrame(bytes)
  const frame = {
    ...{ stream: 's', partition: 0, bytes, header, skip: 0, finished: 0 },
    channel: {},
  } as unknown as TakenFrame
  const reactions = new Reactions({
    clock: new ManualClock(1_000),
    letters: {
      post: () => {
        log.push('posted')
        return Promise.resolve([true])
      },
      flush: () => undefined,
    } as unknown as LetterBox,
    onFailure: () => undefined,
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
  const fatal = { code: 'ERR_DEADLINE', message: 'too long', detail: {} }
  reactions.settleBroken([frame], { fatal, recordAtHand: true, failures: [] } as unknown as BatchResult)
  assert.deepEqual(log, ['done', 'announced', 'posted'])
})
