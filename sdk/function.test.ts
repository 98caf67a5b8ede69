/** `defineFunction` knows the names of the streams. `tsc` checks it, by the comments `@ts-expect-error`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type Context,
  defineFunction,
  groupBy,
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
