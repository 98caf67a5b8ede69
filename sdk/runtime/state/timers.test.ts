import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Arena, OwnSlabs, openArena } from '../arena/index.ts'
import { Share } from '../records/share.ts'
import type { Timer } from '../shared/timer-at-hand.ts'
import { Timers } from './timers.ts'

/** Two partitions, and what is next of both. */
function open(): { readonly arenas: Arena[]; readonly timers: Timers } {
  const arenas = [openArena(new OwnSlabs()), openArena(new OwnSlabs())]
  return { arenas, timers: new Timers(arenas) }
}

function* allDue(timers: Timers, nowMs: number, end = timers.orderNext): Generator<Timer> {
  for (;;) {
    const timer = timers.takeDue(nowMs, end)
    if (timer === undefined) return
    yield timer
  }
}

test('Timers behaves as a sorted list, through commits and rollbacks of either partition', () => {
  const step = fc.record({
    what: fc.constantFrom('set', 'set', 'set', 'delete', 'commit', 'rollback', 'due'),
    partition: fc.nat(1),
    key: fc.constantFrom('a', 'b', 'ü'),
    timeMs: fc.nat(20),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const { arenas, timers } = open()
      const models = [new Map<string, number>(), new Map<string, number>()]
      const committed = [new Map<string, number>(), new Map<string, number>()]
      const next = (): number => Math.min(...models.flatMap((model) => [...model.values()]))
      for (const { what, partition, key, timeMs } of steps) {
        const arena = arenas[partition]!
        const id = `${key} ${timeMs}`
        if (what === 'set') {
          timers.set(arena, key, timeMs, 0)
          if (!models[partition]!.has(id)) models[partition]!.set(id, timeMs)
        } else if (what === 'delete') {
          assert.equal(arena.timers.delete(key, timeMs), models[partition]!.delete(id))
        } else if (what === 'rollback') {
          arena.rollback()
          models[partition] = new Map(committed[partition])
        } else if (what === 'commit') {
          arena.commit()
          committed[partition] = new Map(models[partition])
        } else {
          for (const timer of allDue(timers, timeMs)) {
            assert.equal(timer.timeMs, next())
            assert.ok(models[timer.partition]!.delete(`${timer.key} ${timer.timeMs}`))
          }
          assert.ok(next() > timeMs)
        }
        for (const [i, arena] of arenas.entries()) assert.equal(arena.timers.count, models[i]!.size)
        assert.equal(Math.min(...arenas.map((arena) => arena.timers.dueMs)), next())
      }
    }),
    { numRuns: 300 },
  )
})

test('Timers calls timers of one time in the order in which they were set, and those set meanwhile in the next batch', () => {
  const { arenas, timers } = open()
  for (const [i, key] of ['x', 'a', 'm'].entries()) timers.set(arenas[i % 2]!, key, 5, 0)
  const end = timers.orderNext
  timers.set(arenas[0]!, 'past', 1, 5)
  const taken = [...allDue(timers, 5, end)].map(({ key }) => key)
  assert.deepEqual(taken, ['x', 'a', 'm'])
  assert.equal(timers.takeDue(5, timers.orderNext)?.key, 'past')
})

test('Timers continues the order of existing timers when state is opened', () => {
  const slabs = new OwnSlabs()
  const arena = openArena(slabs)
  for (let i = 0; i < 7; i++) arena.timers.set('k', i, i, 2 ** 40 + i)
  arena.commit()
  const again = openArena(slabs)
  const timers = new Timers([again])
  timers.opened(again)
  assert.equal(timers.orderNext, 2 ** 40 + 7)
})

/** Counts the keys that it is asked about. */
class CountingShare extends Share {
  asked = 0

  override hasKey(key: Uint8Array, length: number): boolean {
    this.asked++
    return super.hasKey(key, length)
  }
}

test('Timers: two shares take each timer once and in order, and a batch passes over few of the other’s (T3)', () => {
  const { arenas, timers } = open()
  const count = 10_000
  for (let i = 0; i < count; i++) timers.set(arenas[0]!, `key ${i}`, i % 100, 0)
  const shares = [new CountingShare(), new CountingShare()] as const
  shares[0].begin({ salt: 1, from: 0, to: 6553 })
  shares[1].begin({ salt: 1, from: 6553, to: 65_536 })
  const taken: Timer[][] = [[], []]
  for (let batches = 0; arenas[0]!.timers.count > 0; batches++) {
    assert.ok(batches < 100, 'both go on')
    for (const [i, share] of shares.entries()) {
      timers.begin()
      const before = taken[i]!.length
      share.asked = 0
      for (let left = 2000; left > 0; left--) {
        const timer = timers.takeDue(1000, timers.orderNext, share)
        if (timer === undefined) break
        taken[i]!.push(timer)
        if (left % 500 === 0) timers.set(arenas[0]!, `again ${batches}`, 0, 1000)
      }
      arenas[0]!.commit()
      const most = 300 + 2 * (taken[i]!.length - before)
      assert.ok(share.asked < most, `${share.asked} looked at for ${taken[i]!.length - before} taken`)
    }
  }
  for (const list of taken) {
    const old = list.filter(({ key }) => key.startsWith('key'))
    assert.deepEqual(
      old,
      old.toSorted((a, b) => a.timeMs - b.timeMs || Number(a.key.slice(4)) - Number(b.key.slice(4))),
    )
  }
  assert.equal(
    new Set(
      taken
        .flat()
        .map(({ key }) => key)
        .filter((key) => key.startsWith('key')),
    ).size,
    count,
  )
})
