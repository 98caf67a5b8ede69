import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BatchResult } from '../isolate/index.ts'
import { fn, frameOfTexts, nowMs, recordsIn, start } from '../isolate/testing/harness.ts'
import { changeOver } from './change-over.ts'

const counting = fn(`
  const count = (ctx.getJson('count') ?? 0) + 1
  ctx.setJson('count', count)
  ctx.produceRecord('out', record.key, String(count))`)

const utf8 = new TextDecoder()
const valuesOf = (result: BatchResult): string[] =>
  result.outputs().flatMap((output) => recordsIn(output).map(({ value }) => utf8.decode(value)))

test('changeOver leaves the state where it is when the isolate that is to take it has ended before (CO2)', async (t) => {
  const { instance: old } = await start(counting)
  const { instance: next } = await start(counting, { version: 2, replaces: 1 })
  t.after(() => Promise.all([old.destroy(), next.destroy()]))
  assert.deepEqual(valuesOf(await old.run([frameOfTexts('a', 'b')], nowMs)), ['1', '2'])
  next.kill()
  await assert.rejects(changeOver(old, next), { code: 'ERR_INSTANCE_STATE' })
  assert.deepEqual(valuesOf(await old.run([frameOfTexts('c')], nowMs)), ['3'], 'it goes on with what it had')
})

test('changeOver puts the state back when the isolate that has taken it ends over it (CO2)', async (t) => {
  const { instance: old } = await start(counting)
  const { instance: next } = await start(counting, { version: 2, replaces: 1 })
  t.after(() => Promise.all([old.destroy(), next.destroy()]))
  await old.run([frameOfTexts('a')], nowMs)
  const takeOver = next.takeOver.bind(next)
  next.takeOver = async (from) => {
    await takeOver(from)
    next.kill()
    throw new Error('ended')
  }
  await assert.rejects(changeOver(old, next), /ended/)
  assert.deepEqual(valuesOf(await old.run([frameOfTexts('b')], nowMs)), ['2'])
})
