import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../../infra/clock.ts'
import { isolateError } from '../errors.ts'
import { Regions } from '../memory/regions.ts'
import { StackMap } from '../report/stack-map.ts'
import { fn, frameOfTexts, nowMs, start, texts } from '../testing/harness.ts'
import { Guest } from './guest.ts'

test('a compact instance has collected the garbage of its start, and works', async (t) => {
  const source = fn(
    `ctx.produceRecord('out', record.key, String(garbage.length))`,
    `//top
let garbage = Array.from({ length: 200_000 }, (_, i) => ({ i }))
garbage = garbage.slice(0, 1)`,
  )
  const [loose, compact] = [await start(source), await start(source, { compact: true })]
  t.after(() => [loose, compact].forEach(({ instance }) => void instance.kill()))
  assert.ok(compact.instance.stats().heapBytes < loose.instance.stats().heapBytes - 2 ** 20)
  for (const { instance } of [loose, compact])
    assert.deepEqual(texts(await instance.run([frameOfTexts('x')], nowMs)), ['1'])
})

test('a compact instance shows its function no `gc`, even if many others start at the same time', async () => {
  const paths = [
    'typeof gc',
    'typeof globalThis.gc',
    'Object.getOwnPropertyNames(globalThis).includes("gc")',
    'Reflect.getOwnPropertyDescriptor(globalThis, "gc")',
    'new Function("return typeof gc")()',
    '(0, eval)("typeof gc")',
    'Function("return this")().gc',
    'typeof (async () => {}).constructor("return gc")',
    'typeof ShadowRealm',
  ]
  const body = paths.map((path) => `ctx.produceRecord('out', '', String(${path}))`).join('\n')
  const started = await Promise.all(Array.from({ length: 8 }, () => start(fn(body), { compact: true })))
  for (const { instance } of started) {
    const seen = texts(await instance.run([frameOfTexts('x')], nowMs))
    assert.deepEqual(seen, [
      ...['undefined', 'undefined', 'false', 'undefined', 'undefined', 'undefined', 'undefined'],
      ...['function', 'undefined'],
    ])
    await instance.destroy()
  }
})

test('an isolate that is ended during its collection ends after it, without a hang or a crash (CO1)', async () => {
  const waits: readonly (() => Promise<unknown> | undefined)[] = [
    () => undefined,
    () => new Promise(setImmediate),
    () => new Promise((resolve) => setTimeout(resolve, 1)),
    () => new Promise((resolve) => setTimeout(resolve, 2)),
  ]
  for (const wait of [...waits, ...waits, ...waits]) {
    const guest = new Guest({
      ...{ name: 'f', heapMib: 8, stateMib: 1, regions: new Regions(1024), assets: new Map() },
      ...{ clock: systemClock, stackMap: new StackMap(undefined), stateBytes: () => 0 },
    })
    const compacted = guest.collect('collecting').then(
      () => 'collected',
      ({ message }: Error) => message,
    )
    await wait()
    guest.end(isolateError('ERR_MEMORY', 'its process is full'))
    assert.match(await compacted, /^(collected|its process is full)$/)
    assert.equal(await guest.endedWithin(10_000), true, 'its thread has ended')
    await assert.rejects(guest.collect('collecting'), /its process is full/)
  }
})
