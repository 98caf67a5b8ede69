import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { kitOf } from './testing.ts'

test('windows add to every window that contains a time, tumbling and sliding', () => {
  const shape = fc
    .record({ every: fc.integer({ min: 1, max: 7 }), times: fc.integer({ min: 1, max: 5 }) })
    .map(({ every, times }) => ({ every, size: every * times }))
  const adds = fc.array(
    fc.record({ at: fc.integer({ min: -40, max: 40 }), by: fc.integer({ min: 1, max: 9 }) }),
  )
  fc.assert(
    fc.property(shape, adds, (shape, adds) => {
      const { run } = kitOf()
      const inside = (start: number) => adds.filter(({ at }) => at >= start && at < start + shape.size)
      run((ctx) => {
        for (const { at, by } of adds) ctx.windows('w', shape).add(at, by)
      })
      run((ctx) => {
        const windows = ctx.windows('w', shape)
        for (const { at } of adds) {
          const starts = windows.of(at)
          assert.equal(starts.length, shape.size / shape.every)
          for (const start of starts)
            assert.ok(start <= at && at < start + shape.size && start % shape.every === 0)
        }
        const starts = [...new Set(adds.flatMap(({ at }) => windows.of(at)))].toSorted((a, b) => a - b)
        const expected = starts.map((start) => inside(start).reduce((sum, { by }) => sum + by, 0))
        assert.deepEqual(
          starts.map((start) => windows.sum(start)),
          expected,
        )
        assert.deepEqual(
          starts.map((start) => windows.close(start)),
          expected,
          'closed in order, none is missing',
        )
        assert.deepEqual(
          starts.map((start) => windows.sum(start)),
          starts.map(() => 0),
        )
      })
    }),
    { numRuns: 100 },
  )
})

test('sum and close refuse a start that no window has, and name the nearest', () => {
  const { run } = kitOf()
  const sliding = { size: 10, every: 5 }
  run((ctx) => {
    for (let at = 0; at < 40; at++) ctx.windows('w', sliding).add(at)
  })
  const nearest = /at 3: they start at multiples of 5, the nearest are 0 and 5; .* is sumUntil\(time\)/
  assert.throws(() => run((ctx) => ctx.windows('w', sliding).sum(3)), nearest)
  assert.throws(() => run((ctx) => ctx.windows('w', sliding).close(3)), nearest)
  assert.throws(
    () => run((ctx) => ctx.windows('w', { size: 10 }).sum(5)),
    /multiples of 10, the nearest are 0 and 10/,
  )
  assert.throws(() => run((ctx) => ctx.windows('w', sliding).sum(-1)), /the nearest are -5 and 0/)
  assert.equal(
    run((ctx) => ctx.windows('w', sliding).sum(5)),
    10,
  )
})

test('sumUntil is the sum of the earliest window that contains a time, and ended the windows to close', () => {
  const shape = fc
    .record({ every: fc.constantFrom(1, 3, 5, 0.25), times: fc.integer({ min: 1, max: 5 }) })
    .map(({ every, times }) => ({ every, size: every * times }))
  const at = fc.integer({ min: -40, max: 40 })
  fc.assert(
    fc.property(shape, fc.array(at, { minLength: 1 }), at, at, (shape, adds, since, until) => {
      const { run } = kitOf()
      run((ctx) => {
        const windows = ctx.windows('w', shape)
        for (const one of adds) windows.add(one)
        const starts = windows.of(since)
        assert.equal(windows.sumUntil(since), windows.sum(starts[0]!))
        assert.deepEqual(
          windows.ended(since, until),
          starts.filter((start) => start + shape.size <= until),
        )
      })
    }),
    { numRuns: 100 },
  )
})

test('windows that are closed as they end, record by record, are all that have something, each once', () => {
  const steps = fc.array(fc.oneof(fc.integer({ min: 0, max: 9 }), fc.constant(100_000_000)), { minLength: 1 })
  fc.assert(
    fc.property(steps, fc.constantFrom(5, 10, 30), (steps, size) => {
      const { run } = kitOf()
      const shape = { size, every: 5 }
      const closed: (readonly [number, number])[] = []
      const times: number[] = []
      for (const step of steps) {
        const since = times.at(-1) ?? 0
        const now = since + step
        run((ctx) => {
          const windows = ctx.windows('w', shape)
          if (times.length > 0)
            for (const start of windows.ended(since, now)) closed.push([start, windows.close(start)])
          windows.add(now)
        })
        times.push(now)
      }
      const last = times.at(-1)!
      const starts = new Set(
        times
          .flatMap((at) => run((ctx) => ctx.windows('w', shape).of(at)))
          .filter((start) => start + size <= last),
      )
      assert.deepEqual(
        closed,
        [...starts]
          .toSorted((a, b) => a - b)
          .map((start) => [start, times.filter((at) => at >= start && at < start + size).length]),
      )
    }),
    { numRuns: 100 },
  )
})

test('close of short windows leaves what longer ones of the key need, and close of the longest deletes it', () => {
  const { kit, run } = kitOf()
  const short = { size: 10, every: 5 }
  const long = { size: 100, every: 5 }
  run((ctx) => {
    for (let at = 0; at < 100; at++) ctx.windows('added', long).add(at)
    for (let at = 0; at < 100; at++) ctx.windows('summed', short).add(at)
    assert.equal(ctx.windows('summed', long).sum(0), 100)
  })
  kit.restart()
  for (const key of ['added', 'summed'])
    run((ctx) => {
      for (let start = 0; start <= 95; start += 5)
        assert.equal(ctx.windows(key, short).close(start), start === 95 ? 5 : 10)
      assert.equal(ctx.windows(key, long).close(0), 100, key)
      assert.equal(ctx.windows(key, long).sum(0), 95, 'a bucket that only this window needed')
    })
  run((ctx) => {
    ctx.windows('alone', short).add(0)
    ctx.windows('alone', short).close(0)
    assert.equal(ctx.windows('alone', long).sum(0), 0)
  })
})

test('a short window added to and closed for each record leaves the day of that key as it is', () => {
  const { run } = kitOf()
  const minute = { size: 60_000 }
  const day = { size: 86_400_000, every: 60_000 }
  for (let i = 1; i <= 10; i++) {
    const at = i * 600_000
    run((ctx) => {
      const minutes = ctx.windows('k', minute)
      for (const start of minutes.ended(at - 600_000, at)) minutes.close(start)
      minutes.add(at)
      assert.equal(ctx.windows('k', day).sumUntil(at), i)
    })
  }
})

test('a bucket that longer windows sum keeps its time to live', () => {
  const { kit, run } = kitOf()
  run((ctx) => {
    ctx.windows('goes', { size: 5, ttlMs: 100 }).add(0)
    ctx.windows('stays', { size: 5 }).add(0)
  })
  kit.advance(60)
  run((ctx) => {
    assert.equal(ctx.windows('goes', { size: 50, every: 5 }).sum(0), 1)
    assert.equal(ctx.windows('stays', { size: 50, every: 5, ttlMs: 100 }).sum(0), 1)
  })
  kit.advance(40)
  run((ctx) => assert.equal(ctx.windows('goes', { size: 50, every: 5 }).sum(0), 0))
  kit.advance(1000)
  run((ctx) => assert.equal(ctx.windows('stays', { size: 5 }).sum(0), 1))
})
