import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { Consumer, Producer, TakenFrame } from '../../infra/bus/index.ts'
import { ManualClock } from '../../infra/clock.ts'
import type { ShareMover } from '../handover/share-mover.ts'
import { Acknowledger } from './acknowledger.ts'
import { leaveChannels } from './leaving.ts'

test('leaveChannels counts a record once whose letter is answered too late, and before its channel is left', async (t) => {
  t.mock.method(AbortSignal, 'timeout', () => AbortSignal.abort())
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
    heldBytes: 0,
    isSafe: true,
    sent: done,
    safe: done,
    settled: done,
    close: done,
  } as unknown as Producer
  const acknowledger = new Acknowledger({
    ...{ consumer, producer, clock: new ManualClock(), stopping: AbortSignal.abort() },
    ...{ letterBox: { flush: () => undefined, sent: () => undefined }, onAcknowledged: () => undefined },
  })
  const [letter, stored] = [Promise.withResolvers<boolean[]>(), Promise.withResolvers<void>()]
  acknowledger.await({ frames: [{} as TakenFrame], answers: letter.promise })
  acknowledger.acknowledge()
  const left = leaveChannels({
    ...{ consumer, producer, acknowledger, stored: stored.promise },
    mover: { settled: done } as unknown as ShareMover,
    keeper: { untold: () => true },
  })
  await turn()
  assert.deepEqual(log, ['undelivered'])
  letter.resolve([true])
  await turn()
  stored.resolve()
  await left
  assert.deepEqual(log, ['undelivered', 'unstored', 'left'])
})
