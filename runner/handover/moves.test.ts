import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { ManualClock } from '../../infra/clock.ts'
import { type Given, Giver, type MoveAnswer, Taker } from './moves.ts'

test('Taker repeats a failing read after ever longer pauses, and takes the share soon after one succeeds', async () => {
  const clock = new ManualClock(0)
  let broken = true
  let took = false
  const reads: number[] = []
  const taker = new Taker<string>({
    ...{ clock, owner: '0123456789abcdef' },
    ask: async (_, { ready }): Promise<MoveAnswer<string>> =>
      ready ? { ok: true, left: undefined, state: '' } : { ok: false, code: 'ERR_MOVE_PREPARED' },
    readAhead: async () => {
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

test('Taker gets shares of one giver one at a time, and of two givers in parallel (M3)', async () => {
  const asked: number[] = []
  const answers = new Map<number, () => void>()
  const taker = new Taker<string>({
    clock: new ManualClock(0),
    owner: '0123456789abcdef',
    ask: async (_, { share, ready }): Promise<MoveAnswer<string>> => {
      if (!ready) return { ok: false, code: 'ERR_MOVE_PREPARED' }
      asked.push(share)
      await new Promise<void>((resolve) => answers.set(share, resolve))
      return { ok: true, left: undefined, state: '' }
    },
    readAhead: () => Promise.resolve(),
    take: () => undefined,
    onTook: () => undefined,
  })
  const from = (task: string, shares: readonly number[]) =>
    shares.map((share) => ({ share, epoch: 1, task, instance: 'f-0' }))
  taker.want([...from('t', [0, 1, 2]), ...from('u', [3])])
  const answer = async (share: number): Promise<void> => {
    answers.get(share)!()
    await setImmediate()
  }
  await setImmediate()
  assert.deepEqual(asked, [0, 3])
  await answer(0)
  assert.deepEqual(asked, [0, 3, 1])
  taker.want(from('t', [2])) // 1 stays where it is
  await answer(1)
  assert.deepEqual(asked, [0, 3, 1, 2])
  await answer(2)
  assert.deepEqual(taker.awaited, [])
})

test('Taker awaits a share until it has taken it, also where it is promised to it no more meanwhile', async () => {
  const taken = Promise.withResolvers<void>()
  const taker = new Taker<string>({
    clock: new ManualClock(0),
    owner: '0123456789abcdef',
    ask: async () => ({ ok: true, left: undefined, state: '' }),
    readAhead: () => Promise.resolve(),
    take: () => taken.promise,
    onTook: () => undefined,
  })
  taker.want([{ share: 3, epoch: 1, task: 't', instance: 'f-0' }])
  await setImmediate()
  taker.want([])
  assert.deepEqual(taker.awaited, [3], 'its giver has it no more')
  taken.resolve()
  await setImmediate()
  assert.deepEqual(taker.awaited, [])
})

test('Giver keeps a share that nobody wants any more, also one that was being prepared or given then (M4)', async () => {
  for (const during of ['prepare', 'give'] as const) {
    const held = new Set<number>()
    const prepared = Promise.withResolvers<void>()
    const given = Promise.withResolvers<Given<string> | undefined>()
    if (during === 'give') prepared.resolve()
    const giver = new Giver<string>({
      clock: new ManualClock(0),
      owns: () => true,
      prepare: async (share) => {
        await prepared.promise
        held.add(share)
      },
      give: () => given.promise,
      keep: (share) => void held.delete(share),
    })
    const ask = { schema: 1, instance: 'f-0', share: 3, epoch: 1, ready: false } as const
    giver.want([{ share: 3, epoch: 1 }])
    const first = giver.answer(ask)
    if (during === 'give') await first
    const second = during === 'give' ? giver.answer({ ...ask, ready: true }) : first
    await setImmediate()
    giver.want([])
    prepared.resolve()
    given.resolve(undefined) // more has changed than an image takes
    assert.equal((await second).ok, false)
    assert.deepEqual([...held], [], during)
  }
})

test('Giver begins anew when a move has failed while the share is still here, and not when it is nobody’s (M5)', async () => {
  const broken = () => Promise.reject(new Error('it has failed'))
  const given = { left: undefined, state: '' }
  const prepares = [broken, () => Promise.resolve(), () => Promise.resolve()]
  const gives = [broken, async () => given]
  let isHere = true
  const kept: number[] = []
  const giver = new Giver<string>({
    clock: new ManualClock(0),
    owns: () => isHere,
    prepare: () => prepares.shift()!(),
    give: () => gives.shift()!(),
    keep: (share) => kept.push(share),
  })
  const ask = { schema: 1, instance: 'f-0', share: 3, epoch: 1, ready: true } as const
  giver.want([{ share: 3, epoch: 1 }])
  const notYet = { ok: false, code: 'ERR_MOVE_NOT_YET' }
  const prepared = { ok: false, code: 'ERR_MOVE_PREPARED' }
  assert.deepEqual(await giver.answer(ask), notYet)
  assert.deepEqual(await giver.answer(ask), prepared)
  assert.deepEqual(await giver.answer(ask), notYet)
  assert.deepEqual(kept, [3, 3])
  assert.deepEqual(await giver.answer(ask), prepared)
  gives.unshift(() => {
    isHere = false
    return broken()
  })
  assert.deepEqual(await giver.answer(ask), notYet)
  assert.deepEqual(await giver.answer(ask), notYet, 'its end will be seen')
  assert.equal(gives.length, 1)
})

test('Giver: a move that fails late changes nothing about the next one of its share (M5)', async () => {
  const failing = Promise.withResolvers<void>()
  const prepares = [() => failing.promise, () => Promise.resolve()]
  const given = { left: undefined, state: 'as it is' }
  const giver = new Giver<string>({
    clock: new ManualClock(0),
    owns: () => true,
    prepare: () => prepares.shift()!(),
    give: async () => given,
    keep: () => undefined,
  })
  const ask = { schema: 1, instance: 'f-0', share: 3, ready: true } as const
  giver.want([{ share: 3, epoch: 1 }])
  const first = giver.answer({ ...ask, epoch: 1 })
  giver.want([{ share: 3, epoch: 2 }]) // its taker has been replaced
  assert.deepEqual(await giver.answer({ ...ask, epoch: 2 }), { ok: false, code: 'ERR_MOVE_PREPARED' })
  failing.reject(new Error('it has failed'))
  assert.equal((await first).ok, false)
  assert.deepEqual(await giver.answer({ ...ask, epoch: 2 }), { ok: true, ...given })
})
