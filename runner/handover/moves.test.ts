import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { ManualClock } from '../../infra/clock.ts'
import { type MoveAnswer, Taker } from './moves.ts'

test('Taker reads ahead again ever more seldom while that fails, and takes soon when it does not', async () => {
  const clock = new ManualClock(0)
  let broken = true
  let took = false
  const reads: number[] = []
  const taker = new Taker<string>({
    clock,
    ask: async (_, { ready }): Promise<MoveAnswer<string>> =>
      ready ? { ok: true, left: undefined, state: '' } : { ok: false, code: 'ERR_MOVE_PREPARED' },
    preload: async () => {
      reads.push(clock.nowMs())
      if (broken) throw new Error('the store is silent')
    },
    take: () => undefined,
    onTook: () => {
      took = true
    },
  })
  taker.want([{ share: 3, epoch: 1, task: 't', instance: 'f-0' }])
  const pass = async (ms: number): Promise<void> => {
    for (let i = 0; i < ms; i += 20) {
      clock.advance(20)
      await setImmediate()
    }
  }
  await pass(10_000)
  const pauses = reads.slice(1).map((atMs, i) => atMs - reads[i]!)
  assert.deepEqual(pauses.slice(0, 4), [40, 80, 160, 320])
  assert.ok(pauses.every((ms) => ms <= 2_000) && reads.length < 12, `${reads}`)
  assert.equal(took, false)
  broken = false
  await pass(2_020)
  assert.equal(took, true)
})
