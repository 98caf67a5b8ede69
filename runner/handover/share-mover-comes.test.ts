import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Consumer, Producer } from '../../infra/bus/index.ts'
import { ManualClock } from '../../infra/clock.ts'
import { infraError } from '../../infra/errors.ts'
import { LostError } from '../../infra/jetstream.ts'
import type { StateKeeper } from '../checkpoint/state-keeper.ts'
import type { MovedState } from './message.ts'
import type { MoveAnswer } from './moves.ts'
import { ShareMover } from './share-mover.ts'
import { assigned, givingOne, nothing, working } from './testing.ts'

/** An instance with the first share, and what becomes of the second, which nobody gives. */
function inheriting({ adopt = async () => undefined }: Partial<Pick<StateKeeper, 'adopt'>> = {}) {
  const log: string[] = []
  const clock = new ManualClock()
  const reads: PromiseWithResolvers<void>[] = []
  const own = { ...givingOne, giving: [], partitions: { in: [0] } }
  const mover = new ShareMover(
    working({
      clock,
      consumer: {
        ...{ owner: 'o', suspend: nothing, await: nothing },
        own: (_: string, partitions: readonly number[]) => log.push(`own ${partitions}`),
        release: (_: string, partitions: readonly number[]) => log.push(`released ${partitions}`),
      } as never as Consumer,
      producer: { accepted: async () => undefined, open: nothing } as never as Producer,
      ask: async (_, { ready }) => ({ ok: false, code: ready ? 'ERR_MOVE_NOT_YET' : 'ERR_MOVE_PREPARED' }),
      keeper: {
        readAhead: async (share: number) => log.push(`reads ${share} ahead`),
        read: (share: number) => {
          log.push(`reads ${share}`)
          reads.push(Promise.withResolvers())
          return reads.at(-1)!.promise
        },
        ...{ adopt, storeSoon: async () => true },
        ...{ rest: nothing, close: nothing, letGo: nothing },
        forget: (share: number) => log.push(`forgets ${share}`),
      } as never as StateKeeper,
      onTrouble: (error) => log.push(`ends: ${(error as Error).message}`),
    }),
    assigned,
    own,
  )
  mover.start()
  const told = async (epoch: number, partitions: readonly number[], isGiven = false): Promise<void> => {
    const awaited = isGiven ? [{ share: 1, epoch, task: 't', instance: 'f-1' }] : []
    await mover.reassign(assigned, { ...own, epoch, partitions: { in: partitions }, awaited })
    await new Promise(setImmediate)
  }
  const pass = async (): Promise<void> => {
    for (let i = 0; i < 2; i++) {
      await new Promise(setImmediate)
      clock.advance(1_000)
      await new Promise(setImmediate)
    }
  }
  const silent = (cause?: Error) => infraError('ERR_CHECKPOINT_STORE', 'no answer', { cause })
  return { mover, log, reads, told, pass, silent }
}

test('ShareMover applies later assignments while what is stored of a share that nobody gives cannot be read (SM1 of share-mover.ts)', async () => {
  const { mover, log, reads, told, pass, silent } = inheriting()
  await told(2, [0, 1])
  await told(3, [1])
  assert.deepEqual(log.splice(0), ['own 0', 'reads 1', 'released 0'])
  await told(4, [0, 1])
  await pass()
  assert.deepEqual(log.splice(0), ['reads 0'], 'one run for each')
  reads[0]!.reject(silent())
  reads[1]!.reject(silent())
  await pass()
  assert.deepEqual(log.splice(0).sort(), ['reads 0', 'reads 1'])
  reads[3]!.resolve()
  await pass()
  const [share] = mover.instance.partitions['in']!
  assert.deepEqual(log.splice(0), [`own ${share}`], 'what can be read is taken')
  reads[2]!.resolve()
  await pass()
  assert.deepEqual(log, [`own ${1 - share!}`])
  assert.deepEqual(mover.instance.partitions, { in: [0, 1] })
})

test('ShareMover does not take a share that is promised to it no more, or when the instance has ended (SM3 of share-mover.ts)', async () => {
  const { mover, log, reads, told, pass, silent } = inheriting()
  await told(2, [0, 1])
  await told(3, [0])
  await told(4, [0, 1])
  reads[0]!.resolve() // it was for the promise before
  await pass()
  assert.deepEqual(log.splice(0), ['own 0', 'reads 1', 'forgets 1', 'released 1', 'reads 1'])
  await told(5, [0])
  reads[1]!.resolve()
  await pass()
  assert.deepEqual(log.splice(0), ['forgets 1', 'released 1'])
  await told(6, [0, 1])
  mover.end()
  reads[2]!.reject(silent())
  await pass()
  assert.deepEqual(log, ['reads 1'])
})

test('ShareMover does not read ahead what is promised to it no more when the turn comes', async () => {
  const { log, reads, told, pass } = inheriting()
  await told(2, [0, 1])
  await told(3, [0])
  await told(4, [0], true) // it waits for the read before
  await told(5, [0])
  reads[0]!.resolve()
  await pass()
  assert.deepEqual(log, ['own 0', 'reads 1', 'forgets 1', 'released 1', 'forgets 1', 'released 1'])
  await told(6, [0], true)
  assert.equal(log[6], 'reads 1 ahead')
})

test('ShareMover takes a share once, whatever is assigned while the isolate gets its state', async () => {
  const adopted = Promise.withResolvers<undefined>()
  const { mover, log, reads, told, pass } = inheriting({ adopt: () => adopted.promise })
  await told(2, [0, 1])
  reads[0]!.resolve()
  await pass()
  await told(3, [0, 1])
  adopted.resolve(undefined)
  await pass()
  assert.deepEqual(log, ['own 0', 'reads 1', 'own 1'])
  assert.deepEqual(mover.instance.partitions, { in: [0, 1] })
})

test('ShareMover goes on where the store refuses a share that is promised to it no more: another owner has claimed it', async () => {
  const { log, reads, told, pass } = inheriting()
  await told(2, [0, 1])
  await told(3, [0])
  reads[0]!.reject(infraError('ERR_CHECKPOINT_SUPERSEDED', 'epoch 4 has it'))
  await pass()
  assert.deepEqual(log, ['own 0', 'reads 1', 'forgets 1', 'released 1'])
})

test('ShareMover ends the instance when the data of the store is lost', async () => {
  const { log, reads, told, pass, silent } = inheriting()
  await told(2, [0, 1])
  reads[0]!.reject(silent(new LostError()))
  await pass()
  assert.ok(log.includes('ends: no answer'))
})

test('ShareMover does not take a share that was given where a newer assignment promises it to it no more', async () => {
  const log: string[] = []
  const answer = Promise.withResolvers<MoveAnswer<MovedState>>()
  const batch = Promise.withResolvers<void>()
  const instance = { ...givingOne, giving: [], partitions: { in: [0] } }
  const mover = new ShareMover(
    working({
      consumer: {
        ...{ owner: 'o', await: nothing },
        own: (_: string, partitions: readonly number[]) => log.push(`own ${partitions}`),
        release: (_: string, partitions: readonly number[]) => log.push(`released ${partitions}`),
      } as never as Consumer,
      producer: { open: nothing } as never as Producer,
      ask: () => answer.promise,
      between: (run) => batch.promise.then(run),
    }),
    assigned,
    { ...instance, awaited: [{ share: 1, epoch: 1, task: 't', instance: 'f-1' }] },
  )
  mover.start()
  answer.resolve({ ok: true, left: { since: 1, channels: [] }, state: undefined as never })
  await new Promise(setImmediate)
  await mover.reassign(assigned, { ...instance, epoch: 2 })
  batch.resolve()
  await new Promise(setImmediate)
  assert.deepEqual(log, ['own 0', 'released 1'])
  assert.deepEqual(mover.instance.partitions, { in: [0] })
  mover.end()
})
