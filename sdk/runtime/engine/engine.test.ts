import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Context, StreamRecord } from '../../index.ts'
import { testKit } from '../../testkit/index.ts'
import { partitionOf } from '../../wire/hash.ts'

type Op =
  | { readonly op: 'set'; readonly key: string; readonly value: string; readonly bytes: boolean }
  | { readonly op: 'delete' | 'count' | 'lend'; readonly key: string }
  | { readonly op: 'produce'; readonly value: string }
  | { readonly op: 'setTimer' | 'deleteTimer'; readonly key: string; readonly wait: number }
  | { readonly op: 'throw' }

/** What one record or timer does, whose key is `key`. */
interface Program {
  readonly key: string
  readonly ops: readonly Op[]
}

const key = fc.constantFrom('a', 'b', 'ü', 'a long key, longer than thirteen')
const value = fc.constantFrom('', 'x', 'y', '1234', 'wörter', 'z'.repeat(300))
const op: fc.Arbitrary<Op> = fc.oneof(
  fc.record({ op: fc.constant('set' as const), key, value, bytes: fc.boolean() }),
  fc.record({ op: fc.constantFrom('delete' as const, 'count' as const, 'lend' as const), key }),
  fc.record({ op: fc.constant('produce' as const), value }),
  fc.record({
    op: fc.constantFrom('setTimer' as const, 'deleteTimer' as const),
    key,
    wait: fc.integer({ min: 1, max: 4 }),
  }),
  fc.record({ op: fc.constant('throw' as const) }),
)
const program: fc.Arbitrary<Program> = fc.record({ key, ops: fc.array(op, { maxLength: 8 }) })

const partitions = 3
const startMs = 1_000_000
const utf8 = new TextEncoder()

function perform(ctx: Context, ops: readonly Op[], produceKey: string): void {
  for (const step of ops) {
    if (step.op === 'set') ctx.setState(step.key, step.bytes ? utf8.encode(step.value) : step.value)
    else if (step.op === 'delete') ctx.deleteState(utf8.encode(step.key))
    else if (step.op === 'lend') ctx.setState(step.key, '', { ttlMs: 1 })
    else if (step.op === 'count') ctx.produceRecord('out', produceKey, String(ctx.counter(step.key).add()))
    else if (step.op === 'produce') ctx.produceRecord('out', produceKey, step.value)
    else if (step.op === 'setTimer') ctx.setTimer(step.key, ctx.nowMs() + step.wait)
    else if (step.op === 'deleteTimer') ctx.deleteTimer(step.key, ctx.nowMs() + step.wait)
    else throw new Error('as the program says')
  }
}

const lent = 'until the clock moves'

/** The same without any cleverness: copies of everything, kept only if nothing throws. */
class Model {
  states = Array.from({ length: partitions }, () => new Map<string, string>())
  counts = Array.from({ length: partitions }, () => new Map<string, number>())
  timers = Array.from({ length: partitions }, () => new Set<string>())
  outputs: string[] = []
  failures = 0

  run({ key, ops }: Program): void {
    const partition = partitionOf(utf8.encode(key), partitions)
    const state = new Map(this.states[partition])
    const counts = new Map(this.counts[partition])
    const timers = new Set(this.timers[partition])
    const outputs: string[] = []
    for (const step of ops) {
      if (step.op === 'set') state.set(step.key, step.value)
      else if (step.op === 'delete') state.delete(step.key)
      else if (step.op === 'lend') state.set(step.key, lent)
      else if (step.op === 'count') {
        const count = (counts.get(step.key) ?? 0) + 1
        counts.set(step.key, count)
        outputs.push(`${key}=${count}`)
      } else if (step.op === 'produce') outputs.push(`${key}=${step.value}`)
      else if (step.op === 'setTimer') timers.add(`${startMs + step.wait} ${step.key}`)
      else if (step.op === 'deleteTimer') timers.delete(`${startMs + step.wait} ${step.key}`)
      else {
        this.failures++
        return
      }
    }
    this.states[partition] = state
    this.counts[partition] = counts
    this.timers[partition] = timers
    this.outputs.push(...outputs)
  }
}

for (const mode of ['sync', 'async'] as const) {
  test(`Engine, ${mode}: a record takes effect wholly or not at all, whatever it does and wherever it throws (I3)`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(program, { maxLength: 12 }), async (programs) => {
        const model = new Model()
        const kit = testKit(
          {
            metadata: { name: 'f', istreams: { in: 'groupBy' }, ostreams: ['out'], onError: 'skip' },
            processRecord(ctx, record) {
              const { key, ops } = programs[Number(record.text())]!
              if (mode === 'sync') return perform(ctx, ops, key)
              return (async () => {
                await null
                perform(ctx, ops.slice(0, 4), key)
                await null
                perform(ctx, ops.slice(4), key)
              })()
            },
            processTimer() {},
          },
          { partitions, nowMs: startMs },
        )
        for (const [i, { key }] of programs.entries()) kit.send('in', key, String(i))
        await kit.settled()
        for (const one of programs) model.run(one)
        assert.deepEqual(
          kit.outputs().map((o) => `${o.key}=${o.text()}`),
          model.outputs,
        )
        assert.equal(kit.errors().length, model.failures)
        assert.deepEqual(
          kit
            .timers()
            .map((t) => `${t.partition} ${t.timeMs} ${t.key}`)
            .toSorted(),
          model.timers.flatMap((set, p) => [...set].map((t) => `${p} ${t}`)).toSorted(),
        )
        kit.advance(1)
        for (let p = 0; p < partitions; p++) {
          for (const key of ['a', 'b', 'ü', 'a long key, longer than thirteen']) {
            const value = model.states[p]!.get(key)
            assert.equal(kit.state(key, p)?.text(), value === lent ? undefined : value)
          }
        }
      }),
      { numRuns: mode === 'sync' ? 400 : 150 },
    )
  })
}

test('Engine counts each record once under every policy and any pattern of failures', () => {
  const pattern = fc.array(fc.nat(4), { maxLength: 10 })
  fc.assert(
    fc.property(
      pattern,
      fc.nat(3),
      fc.constantFrom('skip' as const, 'deadLetter' as const),
      (failures, retry, then) => {
        const calls = failures.map(() => 0)
        const kit = testKit({
          metadata: {
            name: 'f',
            istreams: { in: 'groupBy' },
            ostreams: ['out'],
            onError: retry === 0 ? then : { retry, then, waitMs: 0 },
          },
          processRecord(ctx, record) {
            const i = Number(record.text())
            ctx.produceRecord('out', record.key, record.value)
            calls[i]!++
            if (calls[i]! <= failures[i]!) throw new Error('once more')
          },
        })
        for (const i of failures.keys()) kit.send('in', 'k', String(i))
        const passed = failures.flatMap((times, i) => (times <= retry ? [String(i)] : []))
        assert.deepEqual(
          kit.outputs().map((o) => o.text()),
          passed,
        )
        const gone = kit.errors().filter(({ reaction }) => reaction === then)
        const retried = kit.errors().filter(({ reaction }) => reaction === 'retried')
        assert.equal(passed.length + gone.length, failures.length)
        assert.equal(retried.length, failures.filter((times) => times > 0 && times <= retry).length)
        assert.deepEqual(
          calls,
          failures.map((times) => Math.min(times, retry) + 1),
        )
      },
    ),
    { numRuns: 200 },
  )
})

test('Engine returns copies of state, and stores copies', () => {
  const stored: Uint8Array[] = []
  const kit = testKit({
    metadata: { name: 'f', istreams: { in: 'groupBy' } },
    processRecord(ctx, record) {
      const bytes = new Uint8Array([1, 2, 3])
      ctx.setState('k', bytes)
      bytes[0] = 9
      stored.push(ctx.getState('k')!)
      stored[0]![1] = 9
      stored.push(ctx.getState('k')!)
      ctx.setState('r', record.value)
    },
  })
  kit.send('in', 'k', 'one').send('in', 'k', 'two')
  assert.deepEqual([...stored[1]!], [1, 2, 3])
  assert.equal(kit.state('r')?.text(), 'two')
})

test('Engine refuses arguments that the API does not accept, and says what to do', () => {
  const cases: [(ctx: Context) => void, RegExp][] = [
    [(ctx) => ctx.produceRecord('nope', 'k', 'v'), /not among metadata\.ostreams; they are 'out'/],
    [
      (ctx) => ctx.produceRecord('out', 'k', undefined as never),
      /its value is undefined, expected a Uint8Array or a string/,
    ],
    [(ctx) => ctx.produceRecord('out', null as never, ''), /its key is null/],
    [(ctx) => ctx.produceRecord('out', 'k', '', { timeMs: 1.5 }), /its timeMs is 1\.5/],
    [(ctx) => ctx.produceRecord('out', 'k', '', { partition: 16 }), /it has 0 to 15/],
    [(ctx) => ctx.produceRecord('out', 'k'.repeat(70_000), ''), /key of 70000 bytes/],
    [(ctx) => ctx.produceRecord('out', 'k', 'x'.repeat(2_000_000)), /record of 2000001 bytes/],
    [
      (ctx) => ctx.produceRecord('out', 'k', 'é'.repeat(5_000_000)),
      /one callback may produce 4194304 bytes \(4 MiB\) in all, and this would make it 100000\d\d bytes \(9\.5 MiB\) \(limits\.outputBytesPerRecord\)/,
    ],
    [(ctx) => ctx.setTimer('t', 1), /has no processTimer/],
    [
      (ctx) => ctx.setTimer(new Uint8Array(1) as never, 1),
      /its key is bytes, not a string: use record\.keyText\(\)/,
    ],
    [(ctx) => ctx.setState('k', 1 as never), /Cannot set state: its value is number/],
    [(ctx) => ctx.setJson('k', undefined), /JSON has no form of undefined/],
  ]
  for (const [call, message] of cases) {
    const kit = testKit({
      metadata: { name: 'f', istreams: { in: 'groupBy' }, ostreams: ['out'] },
      processRecord: (ctx) => call(ctx),
    })
    assert.throws(() => kit.send('in', 'k', ''), message)
    assert.deepEqual(kit.outputs(), [])
  }
})

test('Engine refuses any use of a context or record after its callback', () => {
  const kept: unknown[] = []
  const kit = testKit({
    metadata: { name: 'f', istreams: { in: 'groupBy' }, ostreams: ['out'] },
    processRecord: (ctx, record) => void kept.push(ctx, record, record.copy()),
  })
  kit.send('in', 'k', 'value', { timeMs: 5 })
  const [ctx, record, copy] = kept as [Context, StreamRecord, StreamRecord]
  assert.throws(() => ctx.produceRecord('out', 'k', 'v'), /the callback of this context is over/)
  assert.throws(() => ctx.getState('k'), /is over/)
  assert.throws(() => record.text(), /keep `record\.copy\(\)`/)
  assert.deepEqual([copy.text(), String.fromCharCode(...copy.key), copy.timeMs], ['value', 'k', 5])
})
