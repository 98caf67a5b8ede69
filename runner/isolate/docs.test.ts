/** The examples of docs/functions.md, run as they stand there: in the test kit and in an isolate, with the same outputs. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { FunctionDefinition } from '../../sdk/index.ts'
import { testKit } from '../../sdk/testkit/index.ts'
import { partitionOf } from '../../sdk/wire/hash.ts'
import type { InputFrame } from './index.ts'
import { bundleOf, frame, nowMs, record, start, texts } from './testing/harness.ts'

interface Given {
  readonly stream: string
  readonly key: string
  readonly value: string
  readonly timeMs?: number
}
/** A record, or a pause in which timers may fall due. */
type Step = Given | { readonly pauseMs: number }

const page = readFileSync(new URL('../../docs/functions.md', import.meta.url), 'utf8')
const examples = new Map(
  [...page.matchAll(/```ts\n\/\/ example: (\S+)\n([\s\S]*?)```/g)].map(([, name, code]) => [name!, code!]),
)

const times = (stream: string, ...timesMs: number[]): Given[] =>
  timesMs.map((timeMs) => ({ stream, key: 'k', value: 'to be or not to be', timeMs }))
const values = (stream: string, ...values: string[]): Given[] =>
  values.map((value) => ({ stream, key: 'k', value }))

const cases: Readonly<Record<string, readonly [Step[], string[]]>> = {
  dedupe: [
    [...values('orders', 'a', 'b'), { stream: 'orders', key: 'other', value: 'c' }],
    ['a', 'c'],
  ],
  recent: [
    [...values('visits', '/a'), ...values('users', '{"name":"Ada"}'), ...values('visits', '/b', '/c', '/d')],
    ['somebody, visit 1: /a', 'Ada, visit 2: /a /b', 'Ada, visit 3: /a /b /c', 'Ada, visit 4: /b /c /d'],
  ],
  amounts: [values('orders', '{"amount":3}', '{"amount":1200}'), ['{"amount":1200}']],
  sessions: [
    [
      ...values('clicks', '/a'),
      { pauseMs: 1_200_000 },
      ...values('clicks', '/b', '/c'),
      { pauseMs: 1_200_000 },
      { stream: 'clicks', key: 'other', value: '/a' },
      { pauseMs: 1_200_000 },
      ...values('clicks', '/d'),
      { pauseMs: 1_800_000 },
    ],
    ['3', '1', '1'],
  ],
  rate: [
    times('clicks', 10_500, 11_200, 11_900, 14_000, 3_900, 4 * 86_400_000),
    [
      ...[
        '1000 1',
        '2000 3',
        '3000 3',
        '4000 3',
        '5000 4',
        '6000 4',
        '7000 4',
        '8000 4',
        '9000 4',
        '10000 4',
      ],
      ...['11000 3', '12000 1', '13000 1', '14000 1'],
    ],
  ],
  distinct: [
    [...times('lines', Date.UTC(2026, 0, 5), Date.UTC(2026, 1, 1)), ...values('lines', 'or what else')],
    ['4', '4', '6'],
  ],
}

test('every example of docs/functions.md is tested here', () => {
  assert.deepEqual([...examples.keys()].toSorted(), Object.keys(cases).toSorted())
})

for (const [name, [given, expected]] of Object.entries(cases)) {
  test(`the example '${name}' of docs/functions.md gives the documented result, in the test kit and in an isolate`, async (t) => {
    const source = examples.get(name)!
    const { bundle } = bundleOf(source)
    const module = (await import(`data:text/javascript,${encodeURIComponent(bundle)}`)) as {
      default: FunctionDefinition
    }
    const { metadata } = module.default
    const kit = testKit(module.default, { nowMs })
    for (const step of given) {
      if ('pauseMs' in step) kit.advance(step.pauseMs)
      else
        kit.send(step.stream, step.key, step.value, step.timeMs === undefined ? {} : { timeMs: step.timeMs })
    }
    assert.deepEqual(
      kit.outputs().map((output) => output.text()),
      expected,
    )

    const istreams = Object.fromEntries(
      Object.keys(metadata.istreams ?? {}).map((s) => [s, { grouping: 'groupBy' as const }]),
    )
    const { instance } = await start(source, {
      manifest: { istreams, ostreams: [...(metadata.ostreams ?? [])] },
    })
    t.after(() => instance.destroy())
    const found: string[] = []
    let clockMs = nowMs
    for (const step of given) {
      if ('pauseMs' in step) clockMs += step.pauseMs
      const result = await instance.run(framesOf(step), clockMs)
      assert.equal(result.fatal, undefined, result.fatal?.message)
      found.push(...texts(result))
    }
    assert.deepEqual(found, expected)
  })
}

function framesOf(step: Step): InputFrame[] {
  if ('pauseMs' in step) return []
  const one = record(step.value, step.key, step.timeMs ?? nowMs)
  return [frame([one], partitionOf(one.key, 16), 0, step.stream)]
}
