import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { Consumer, Producer, TakenFrame } from '../../infra/bus/index.ts'
import { ManualClock } from '../../infra/clock.ts'
import { leavingMs } from '../../infra/control/index.ts'
import type { ShareMover } from '../handover/share-mover.ts'
import { Acknowledger } from './acknowledger.ts'
import { Leaving, type LeavingOptions } from './leaving.ts'

/** What it leaves; `log` has what was done about it. */
function setUp({
  last,
  isSent = true,
  isAccepted = true,
  destroyed,
}: {
  readonly last?: () => Promise<void>
  readonly isSent?: boolean
  readonly isAccepted?: boolean
  readonly destroyed?: Promise<void>
} = {}) {
  const log: string[] = []
  const done = async (): Promise<void> => undefined
  const consumer = {
    mark: () => new Map(),
    acknowledge: () => undefined,
    drop: (_: TakenFrame, reason: string) => log.push(reason),
    giveUp: (reason: string) => log.push(reason),
    leave: async () => log.push('left'),
  } as unknown as Consumer
  const producer = {
    isSent,
    isSafe: true,
    sent: async () => void log.push('sent'),
    accepted: isAccepted ? done : () => Promise.reject(new Error('they were refused')),
    safe: done,
    settled: done,
    close: done,
  } as unknown as Producer
  const acknowledger = new Acknowledger({
    ...{ consumer, producer, clock: new ManualClock(), stopping: AbortSignal.abort() },
    ...{ letterBox: { flush: () => undefined, sent: () => undefined }, onAcknowledged: () => undefined },
  })
  const keeper: LeavingOptions['keeper'] = last && { last, untold: () => true }
  const leaving = new Leaving({
    ...{ consumer, producer, acknowledger, keeper },
    mover: { settled: done } as unknown as ShareMover,
    apart: { endAside: async () => void log.push('aside') },
    close: () => log.push('closed'),
    destroy: async () => {
      log.push('destroyed')
      await destroyed
    },
    kill: () => log.push('killed'),
  })
  return { leaving, log, acknowledger }
}

test('Leaving counts a record once whose letter is answered too late, and before its channel is left', async (t) => {
  t.mock.method(AbortSignal, 'timeout', () => AbortSignal.abort())
  const [letter, stored] = [Promise.withResolvers<boolean[]>(), Promise.withResolvers<void>()]
  const { leaving, log, acknowledger } = setUp({ last: () => stored.promise })
  acknowledger.await({ frames: [{} as TakenFrame], answers: letter.promise })
  acknowledger.acknowledge()
  const left = leaving.leave()
  await turn()
  assert.deepEqual(log, ['closed', 'aside', 'sent', 'undelivered'])
  letter.resolve([true])
  await turn()
  stored.resolve()
  await left
  assert.deepEqual(log, ['closed', 'aside', 'sent', 'undelivered', 'unstored', 'left', 'destroyed', 'killed'])
})

test('Leaving leaves once, for whoever asks meanwhile or later (LV4)', async () => {
  const { leaving, log } = setUp()
  await Promise.all([leaving.leave(), leaving.leave()])
  await leaving.leave()
  assert.deepEqual(log, ['closed', 'aside', 'sent', 'left', 'destroyed'])
})

test('Leaving counts what it could not send in time as undelivered, before its channels are left (LV1, LV2)', async () => {
  const { leaving, log } = setUp({ isSent: false })
  await leaving.leave()
  assert.deepEqual(log, ['closed', 'aside', 'sent', 'undelivered', 'left', 'destroyed'])
})

test('Leaving counts as undelivered what was sent and not accepted: it may have been replaced, and nobody hear its last report (LV2)', async () => {
  const { leaving, log } = setUp({ isAccepted: false })
  await leaving.leave()
  assert.deepEqual(log, ['closed', 'aside', 'sent', 'undelivered', 'left', 'destroyed'])
})

test('Leaving ends an isolate whose destroy takes more than the steps before it have left of the time (ST1 of stop-times.ts)', async (t) => {
  const over = new AbortController()
  t.mock.method(AbortSignal, 'timeout', (ms: number) =>
    ms === leavingMs ? over.signal : new AbortController().signal,
  )
  const { leaving, log } = setUp({ destroyed: new Promise(() => undefined) })
  const left = leaving.leave()
  await turn()
  over.abort()
  await left
  assert.deepEqual(log, ['closed', 'aside', 'sent', 'left', 'destroyed', 'killed'])
})
