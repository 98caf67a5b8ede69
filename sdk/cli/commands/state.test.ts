import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FunctionState } from '../../api/state.ts'
import { assertFails, concord, gatewayOf, lastJson } from '../test-cli.ts'

const readAtMs = Date.UTC(2026, 0, 1)
const sizes = { bytes: 90, timers: 1 }
const answer: FunctionState = {
  function: 'score',
  keyPartition: 5,
  instances: [
    {
      ...{ instance: 'score-0', version: 3, readAtMs },
      partitions: [
        { partition: 4, entries: 0, bytes: 0, timers: 0 },
        {
          ...{ partition: 5, entries: 12, ...sizes },
          found: {
            state: { value: '{"blocked":true}', bytes: 16, expiresMs: readAtMs + 40_500 },
            counter: { value: 7 },
            list: {
              length: 4,
              items: [
                { value: '"a\nb"', bytes: 5 },
                { valueBase64: '/w==', bytes: 9, isCut: true },
              ],
            },
            windows: [{ start: 60_000, sum: 3 }],
            timers: [{ timeMs: readAtMs + 60_000 }, { timeMs: 9e15 }],
          },
        },
        {
          partition: 5,
          isOwn: true,
          entries: 1,
          ...sizes,
          found: { state: { value: '1', bytes: 1, format: 2 } },
        },
        { partition: 6, entries: 90_000, ...sizes, isUnsearched: true },
      ],
    },
  ],
  unread: [{ partitions: [7, 8], why: 'no instance has them now' }],
}

test('fn state shows what a key has, how old that is, and what was not read', async (t) => {
  const { env, received } = await gatewayOf(t, () => ({ status: 200, json: answer }))
  const { stdout, stderr } = await concord(['fn', 'state', 'score', 'card/42'], { env })
  assert.equal(
    stdout,
    `PARTITION    INSTANCE  KIND     EXPIRES  VALUE
5            score-0   state    in 41 s  {"blocked":true}
5            score-0   counter  -        7
5            score-0   list     -        [… 2 more, "\\"a\\nb\\"", base64 /w== … (9 bytes)]
5            score-0   window   -        60000: 3
5            score-0   timer    -        2026-01-01T00:01:00.000Z
5            score-0   timer    -        9000000000000000 ms
5 (its own)  score-0   state    -        1 (in the format of v2)
`,
  )
  assert.match(stderr, /^read from score-0 v3 between two batches, at 2026-01-01T00:00:00.000Z$/m)
  assert.match(stderr, /^too large to look for windows and timers: partition 6; --partition N searches one$/m)
  assert.match(stderr, /^partitions 7, 8 not read: no instance has them now$/m)
  assert.match(stderr, /^records of this key go to partition 5$/m)
  assert.deepEqual(lastJson(await concord(['fn', 'state', 'score', 'k', '--json'], { env })), answer)
  await concord(['fn', 'state', 'score', '--key-base64', '/w==', '--partition', '5'], { env })
  assert.deepEqual(
    received.map(({ path }) => path.replace('/v1/functions/score/state', '')),
    ['?key=card%2F42', '?key=k', '?keyBase64=%2Fw%3D%3D&partition=5'],
  )
  assertFails(await concord(['fn', 'state', 'score', 'k', '--key-base64', '/w=='], { env }), 2, /not both/)
  assertFails(await concord(['fn', 'state', 'score', '--key-base64', '#'], { env }), 2, /is not base64: '#'/)
})

test('fn state without a key lists what is stored, and says how to go on', async (t) => {
  const own = {
    partition: 0,
    ...{ entries: 1, ...sizes },
    isOwn: true as const,
    listed: [{ keyBase64: '/w==', list: { length: 3, items: [] } }],
  }
  const listed = [
    { key: 'card-1', state: { value: '{"a":1}', bytes: 7, expiresMs: readAtMs + 9_000 } },
    { key: 'two\nlines', windows: [{ start: 60_000, sum: 3 }] },
  ]
  let json: FunctionState = {
    ...{ function: 'score', unread: [], cursor: '0.5.ff' },
    instances: [
      {
        ...{ instance: 'score-0', version: 3, readAtMs },
        partitions: [own, { partition: 5, entries: 12, ...sizes, listed }],
      },
    ],
  }
  const { env, received } = await gatewayOf(t, () => ({ status: 200, json }))
  const list = async (...args: string[]) => await concord(['fn', 'state', 'score', ...args], { env })
  const { stdout, stderr } = await list()
  assert.equal(
    stdout,
    `PARTITION    INSTANCE  KEY           KIND    EXPIRES  VALUE
0 (its own)  score-0   base64 /w==   list    -        3 items
5            score-0   card-1        state   in 9 s   {"a":1}
5            score-0   "two\\nlines"  window  -        60000: 3
`,
  )
  assert.match(stderr, /^there may be more: --cursor 0\.5\.ff shows what follows$/m)
  json = { ...json, instances: [] }
  const none = await list('--prefix', 'b', '--limit', '7', '--cursor', '0.3.1')
  assert.equal(none.stdout, 'No key begins with b in what was read of score so far.\n')
  assert.deepEqual(
    received.map(({ path }) => path.replace('/v1/functions/score/state', '')),
    ['?limit=100', '?prefix=b&cursor=0.3.1&limit=7'],
  )
  assertFails(await list('k', '--prefix', 'b'), 2, /are for a list, without a key/)
  assertFails(await list('--sizes', '--limit', '5'), 2, /--sizes lists nothing/)
})

test('fn state --sizes shows how much there is by partition, or that there is nothing', async (t) => {
  let json: object = answer
  const { env, received } = await gatewayOf(t, () => ({ status: 200, json }))
  const said = async (...args: string[]) => (await concord(['fn', 'state', 'score', ...args], { env })).stdout
  assert.match(
    await said('--sizes'),
    /^PARTITION {4}INSTANCE +ENTRIES +BYTES +TIMERS\n5 +score-0 +12 +90 +1\n5 \(its own\)/,
  )
  assert.equal(received[0]!.path, '/v1/functions/score/state', 'as of earlier builds')
  const of = (index: number) => ({ partition: index, entries: 1, ...sizes })
  const told = { version: 3, readAtMs }
  const instances = [
    { instance: 'score-0', ...told, partitions: [of(0), of(2)] },
    { instance: 'score-1', ...told, partitions: [of(1)] },
  ]
  json = { function: 'score', instances, unread: [] }
  assert.deepEqual((await said('--sizes')).match(/^\d+ +score-\d/gm), [
    '0          score-0',
    '1          score-1',
    '2          score-0',
  ])
  json = { function: 'score', instances: [], unread: [] }
  for (const args of [[], ['--sizes']])
    assert.equal(await said(...args), 'What was read of score has no state and no timers.\n')
  assert.equal(await said('card-1'), 'card-1 has nothing in what was read of score.\n')
  json = { ...json, unread: answer.unread }
  assert.equal(await said('card-1'), 'card-1 has nothing in what was read of score, which is not all.\n')
})

test('fn state says that nothing follows where a list has ended, and quotes the empty key', async (t) => {
  let json: FunctionState = { function: 'score', instances: [], unread: [] }
  const { env } = await gatewayOf(t, () => ({ status: 200, json }))
  const said = async (...args: string[]) => (await concord(['fn', 'state', 'score', ...args], { env })).stdout
  assert.equal(await said('--cursor', '0.5.ff'), 'Nothing follows in what was read of score.\n')
  const listed = [{ key: '', counter: { value: 7 } }]
  const partitions = [{ partition: 0, ...{ entries: 1, ...sizes }, listed }]
  json = { ...json, instances: [{ ...{ instance: 'score-0', version: 3, readAtMs }, partitions }] }
  assert.match(await said(), /^0 +score-0 +"" +counter +- +7$/m)
})
