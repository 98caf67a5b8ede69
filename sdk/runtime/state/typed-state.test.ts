import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Context, List } from '../../index.ts'
import { kitOf } from './testing.ts'

test('counter, value, list and windows of one key are independent, and value is what setJson wrote', () => {
  const { run } = kitOf()
  run((ctx) => {
    ctx.counter('a').add(5)
    ctx.value('a').set({ b: 1 })
    ctx.list('a').push('item')
    ctx.windows('a', { size: 10 }).add(3)
  })
  run((ctx) => {
    assert.equal(ctx.counter('a').add(), 6)
    assert.deepEqual(ctx.getJson('a'), { b: 1 })
    assert.deepEqual(ctx.list('a').items(), ['item'])
    assert.equal(ctx.windows('a', { size: 10 }).sum(0), 1)
    assert.deepEqual([...ctx.keyTexts()], ['a'])
    assert.deepEqual([...ctx.keyTexts('counter')], ['a'])
    assert.equal(ctx.value('a').delete(), true)
    assert.equal(ctx.value('a').get(), undefined)
    assert.equal(ctx.counter('a').delete(), true)
    assert.equal(ctx.counter('a').get(), 0)
    assert.deepEqual([...ctx.keys()], [])
  })
})

test('thousands of counters are kept apart, by bytes and by text', () => {
  const { run } = kitOf()
  const names = Array.from({ length: 5000 }, (_, i) => `näme ${i}`)
  run((ctx) => {
    for (const [i, name] of names.entries()) ctx.counter(name).set(i / 4)
  })
  run((ctx) => {
    for (const [i, name] of names.entries())
      assert.equal(ctx.counter(new TextEncoder().encode(name)).get(), i / 4)
    assert.deepEqual([...ctx.keyTexts('counter')].toSorted(), names.toSorted())
  })
})

test('list behaves as an array, across throws and callbacks', () => {
  const op = fc.oneof(
    fc.record({ what: fc.constant('push' as const), item: fc.string() }),
    fc.record({ what: fc.constantFrom('shift' as const, 'clear' as const, 'throw' as const) }),
  )
  fc.assert(
    fc.property(
      fc.array(fc.array(op, { maxLength: 8 }), { maxLength: 12 }),
      fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
      (callbacks, max) => {
        const { run } = kitOf()
        let model: string[] = []
        for (const ops of callbacks) {
          const before = [...model]
          const act = (list: List<string>): void => {
            for (const step of ops) {
              if (step.what === 'push') {
                model.push(step.item)
                if (max !== undefined && model.length > max) model.shift()
                assert.equal(list.push(step.item), model.length)
              } else if (step.what === 'shift') assert.equal(list.shift(), model.shift())
              else if (step.what === 'throw') throw new RangeError('as the program says')
              else {
                model = []
                list.clear()
              }
            }
          }
          try {
            run((ctx) => act(ctx.list<string>('l', max === undefined ? {} : { max })))
          } catch (error) {
            if (!(error instanceof RangeError)) throw error
            model = before
          }
          run((ctx) => {
            const list = ctx.list<string>('l')
            assert.deepEqual(list.items(), model)
            assert.deepEqual(
              [list.length, list.at(0), list.at(-1), list.at(1), list.at(9)],
              [model.length, model[0], model.at(-1), model[1], model[9]],
            )
          })
        }
      },
    ),
    { numRuns: 100 },
  )
})

test('list with a ttlMs behaves as an array whose items go when that has passed', () => {
  const ttlMs = 100
  const op = fc.oneof(
    fc.record({ what: fc.constant('push' as const), item: fc.string() }),
    fc.record({ what: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 60 }) }),
    fc.record({ what: fc.constant('shift' as const) }),
  )
  fc.assert(
    fc.property(fc.array(op, { maxLength: 30 }), (ops) => {
      const { kit, run } = kitOf()
      let model: { readonly item: string; readonly endMs: number }[] = []
      for (const step of ops) {
        if (step.what === 'wait') kit.advance(step.ms)
        model = model.filter(({ endMs }) => endMs > kit.nowMs())
        if (step.what === 'push') {
          model.push({ item: step.item, endMs: kit.nowMs() + ttlMs })
          run((ctx) => assert.equal(ctx.list<string>('l', { ttlMs }).push(step.item), model.length))
        } else if (step.what === 'shift')
          run((ctx) => assert.equal(ctx.list<string>('l', { ttlMs }).shift(), model.shift()?.item))
        const items = model.map(({ item }) => item)
        run((ctx) => {
          const list = ctx.list<string>('l')
          assert.deepEqual(list.items(), items)
          const indexes = [0, 1, 2, items.length, -1, -2, -1 - items.length]
          assert.deepEqual(
            [list.length, ...indexes.map((index) => list.at(index))],
            [items.length, ...indexes.map((index) => items.at(index))],
          )
        })
      }
    }),
    { numRuns: 100 },
  )
})

test('entries with a ttlMs are gone when that has passed, and are removed', () => {
  const { kit, run } = kitOf()
  run((ctx) => {
    ctx.setState('a', 'x', { ttlMs: 100 })
    ctx.setJson('b', 1, { ttlMs: 200 })
    ctx.setState('stays', 'x', { ttlMs: 100 })
    ctx.setState('stays', 'x')
    ctx.counter('c', { ttlMs: 100 }).add()
    ctx.list('l', { ttlMs: 100 }).push(1)
    ctx.windows('w', { size: 1, ttlMs: 100 }).add(0)
  })
  kit.advance(60)
  run((ctx) => {
    ctx.list('l', { ttlMs: 100 }).push(2)
    ctx.counter('c', { ttlMs: 100 }).add()
  })
  kit.advance(39)
  run((ctx) => {
    assert.deepEqual([...ctx.keyTexts()].toSorted(), ['a', 'b', 'stays'])
    assert.deepEqual(ctx.list('l').items(), [1, 2])
  })
  kit.advance(1)
  run((ctx) => {
    assert.deepEqual([...ctx.keyTexts()].toSorted(), ['b', 'stays'])
    assert.equal(ctx.getState('a'), undefined)
    assert.equal(ctx.counter('c').get(), 2, 'it was added to since')
    assert.deepEqual([ctx.list('l').items(), ctx.list('l').length, ctx.list('l').at(0)], [[2], 1, 2])
    assert.equal(ctx.windows('w', { size: 1 }).sum(0), 0)
  })
  kit.advance(60)
  assert.equal(kit.state('b', 0)?.text(), '1')
  kit.advance(40)
  assert.equal(kit.state('b', 0), undefined)
  run((ctx) => assert.deepEqual([ctx.list('l').length, ctx.counter('c').get()], [0, 0]))
})

test('keys are those that the callback sees, and stay valid while it changes them', () => {
  const { run } = kitOf()
  run((ctx) => {
    for (let i = 0; i < 3000; i++) ctx.setState(`key ${i}`, '')
  })
  const kept = run((ctx) => {
    const seen = new Set<string>()
    let removed = 0
    for (const key of ctx.keyTexts()) {
      if (key.startsWith('new')) continue
      assert.ok(!seen.has(key), key)
      seen.add(key)
      for (let i = 0; i < 3; i++) ctx.setState(`new ${key} ${i}`, key)
      if (seen.size % 2 === 0)
        removed += Number(ctx.deleteState(`key ${seen.size}`) && !seen.has(`key ${seen.size}`))
    }
    assert.equal(seen.size + removed, 3000)
    return ctx.keys()
  })
  run(() => assert.throws(() => kept.next(), /is over/))
})

test('typed state refuses wrong arguments, and says what to do', () => {
  const { run } = kitOf()
  const cases: readonly (readonly [(ctx: Context) => unknown, RegExp])[] = [
    [(ctx) => ctx.setState('a', '', { ttlMs: 0 }), /its ttlMs is 0, not whole milliseconds from 1 on/],
    [(ctx) => ctx.setState('a', '', { ttlMs: 1.5 }), /its ttlMs is 1.5/],
    [(ctx) => ctx.counter('a').add(Number.NaN), /NaN is not a finite number/],
    [(ctx) => ctx.counter('a').set('1' as never), /1 is not a finite number/],
    [(ctx) => ctx.list('a').push(undefined), /JSON has no form of undefined/],
    [(ctx) => ctx.list('a', { max: 0 }).push(1), /its max is 0, less than 1/],
    [(ctx) => ctx.windows('a', { size: 10, every: 3 }), /windows of size 10, one every 3: expected/],
    [
      (ctx) => ctx.windows('a', { size: 10 }).add(Number.POSITIVE_INFINITY),
      /Infinity is not a finite number/,
    ],
    [(ctx) => ctx.counter(7 as never).add(), /its key is number/],
    [(ctx) => ctx.counter('k'.repeat(65_530)).add(), /its key has 65530 bytes, at most 65526 fit/],
  ]
  for (const [call, message] of cases) assert.throws(() => run(call), message)
})
