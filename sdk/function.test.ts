/** `defineFunction` knows the names of the streams. `tsc` checks it, by the comments `@ts-expect-error`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type Context,
  defineFunction,
  groupBy,
  type Kept,
  type Metadata,
  type StreamRecord,
  shuffle,
} from './function.ts'
import { testKit } from './testkit/index.ts'

test('a stream that is not in the metadata is an error of the types, as it is when it runs', () => {
  const definition = defineFunction({
    metadata: { name: 'f', istreams: { words: groupBy, ticks: { grouping: shuffle } }, ostreams: ['loud'] },
    processRecord(ctx, record) {
      // @ts-expect-error: not among ostreams
      if (record.stream === 'words') ctx.produceRecord('lout', record.key, record.value)
      // @ts-expect-error: not among istreams
      else if (record.stream === 'tick') throw new Error('never')
      else ctx.produceRecord('loud', record.key, record.value)
    },
    processTimer(ctx, key) {
      // @ts-expect-error: not among ostreams
      ctx.produceRecord('lout', key, '')
    },
  })
  assert.equal(testKit(definition).send('ticks', 'k', 'v').outputs('loud').length, 1)
  assert.throws(() => testKit(definition).send('words', 'k', 'v'), { code: 'ERR_STREAM_UNKNOWN' })
})

test('a function without ostreams can send nothing', () => {
  const definition = defineFunction({
    metadata: { name: 'f', istreams: { words: groupBy } },
    processRecord(ctx, record) {
      // @ts-expect-error: there is no output stream
      ctx.produceRecord('loud', record.key, record.value)
    },
  })
  assert.throws(() => testKit(definition).send('words', 'k', 'v'), { code: 'ERR_STREAM_UNKNOWN' })
})

test('names that are known only at run time are any text, and a helper takes the context of any function', () => {
  const forward = (ctx: Context, record: StreamRecord, to: string): void =>
    ctx.produceRecord(to, record.key, '')
  const metadata: Metadata = { name: 'f', istreams: { words: groupBy }, ostreams: ['loud'] }
  const computed = defineFunction({
    metadata,
    processRecord: (ctx, record) => ctx.produceRecord('loud', record.key, ''),
  })
  const helped = defineFunction({
    metadata: { name: 'f', istreams: { words: groupBy }, ostreams: ['loud'] },
    processRecord: (ctx, record) => forward(ctx, record, 'loud'),
  })
  for (const one of [computed, helped])
    assert.equal(testKit(one).send('words', 'k', 'v').outputs('loud').length, 1)
})

test('a type that JSON does not keep is an error of the types, as its values are when they are set', () => {
  interface Session {
    readonly clicks: number
    readonly endsMs?: number | undefined
    readonly pages: readonly string[]
    readonly before?: Session
  }
  class Person {
    readonly name = 'Ada'
    greet(): string {
      return this.name
    }
  }
  const first = <T extends Kept<T>>(ctx: Context, key: string): T | undefined => ctx.list<T>(key).at(0)
  const definition = defineFunction({
    metadata: { name: 'f', istreams: { words: groupBy } },
    processRecord(ctx, record) {
      ctx.value<Session>('session').set({ clicks: 1, pages: ['/'], endsMs: undefined })
      ctx.value<{ kind: 'a'; x: unknown } | { kind: 'b' }>('union').set({ kind: 'a', x: [1] })
      ctx.value<'on' | 'off' | null>('text').set('on')
      ctx.value('any').set({ a: [1] })
      ctx.list<[number, string]>('pairs').push([1, 'a'])
      assert.deepEqual(first<[number, string]>(ctx, 'pairs'), [1, 'a'])
      // @ts-expect-error: JSON makes {} of a Map
      if (record.text() === 'map') ctx.value<Map<string, number>>('k').set(new Map())
      // @ts-expect-error: and text of a Date, wherever it is
      if (record.text() === 'date') ctx.value<{ at: Date }>('k').set({ at: new Date(0) })
      // @ts-expect-error: and an object without methods
      if (record.text() === 'class') ctx.value<Person>('k').set(new Person())
      // @ts-expect-error: and {} of a Set
      if (record.text() === 'set') ctx.list<Set<string>[]>('k').push([new Set('a')])
      // @ts-expect-error: and nothing of a bigint
      if (record.text() === 'bigint') ctx.value<{ n: bigint }>('k').set({ n: 1n })
    },
  })
  testKit(definition).send('words', 'k', 'fine')
  for (const bad of ['map', 'date', 'class', 'set', 'bigint'])
    assert.throws(() => testKit(definition).send('words', 'k', bad), { code: 'ERR_ARGUMENT' }, bad)
})
