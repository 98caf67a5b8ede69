import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import countByMessages, { type NumberedCount } from './count-by-messages.ts'
import countByMonth from './count-by-month.ts'
import countByTime from './count-by-time.ts'
import { distinctWords, naiveByMessages, naiveByTime, naiveWordsByMonth } from './naive.ts'
import type { Count } from './parts.ts'
import split from './split.ts'
import { anyLogOf, kitOf, pipe, sendLines } from './testing.ts'
import total from './total.ts'

const anyLog = fc
  .tuple(fc.nat(), fc.integer({ min: 1, max: 120 }))
  .map(([seed, lines]) => anyLogOf(seed, lines))

const line = (seconds: number, payload: string) => `- ${1_102_911_140 + seconds} 2004.12.12 n ${payload}`

/** The last count of each window. */
function lastCounts(kit: ReturnType<typeof kitOf>): Record<string, Count> {
  return Object.fromEntries(kit.outputs().map((output) => [output.key, output.json<Count>()]))
}

const wordsIn = (counts: Record<string, Count>) =>
  Object.fromEntries(Object.entries(counts).map(([window, { words }]) => [window, words]))

test('log-split sends each word of a line once, at the time of the line', () => {
  const kit = sendLines(kitOf(split), [line(8, 'to be  or not to be')])
  assert.deepEqual(
    kit.outputs().map((output) => output.key),
    ['-', '1102911148', '2004.12.12', 'n', 'to', 'be', 'or', 'not'],
  )
  assert.ok(kit.outputs().every(({ timeMs }) => timeMs === 1_102_911_148_000))
})

test('log-count-by-month counts what a set of words a month counts', () => {
  fc.assert(
    fc.property(anyLog, (lines) => {
      const counts = pipe(sendLines(kitOf(split), lines), kitOf(countByMonth)).advance(10_000)
      assert.deepEqual(wordsIn(lastCounts(pipe(counts, kitOf(total)))), naiveWordsByMonth(lines))
      assert.deepEqual([counts.errors(), counts.timers()], [[], []])
    }),
    { numRuns: 40 },
  )
})

test('log-count-by-month closes a month when the next has begun, lateness allowed for', () => {
  const kit = kitOf(countByMonth, { LATENESS_MS: '60000' })
  const word = (word: string, time: string) =>
    kit.send('log-words', word, '', { timeMs: Date.parse(time), partition: 3 })
  word('w', '2004-12-31T23:59:00Z')
  word('w', '2005-01-01T00:00:59Z')
  assert.deepEqual(kit.outputs(), [])
  word('w', '2005-01-01T00:01:00Z')
  assert.deepEqual(
    kit.outputs().map((output) => [output.key, output.json()]),
    [
      [
        '2004-12',
        {
          from: '2004-12-01T00:00:00.000Z',
          to: '2005-01-01T00:00:00.000Z',
          partition: 3,
          words: 1,
          closed: true,
        },
      ],
    ],
  )
  word('w', '2004-12-31T23:59:59Z')
  assert.match(String(kit.errors()[0]?.error), /it is late/)
})

for (const [shape, env, sizeMs, slideMs] of [
  ['10 s windows sliding by 1 s', {}, 10_000, 1000],
  ['10 s tumbling windows', { SLIDE_MS: '10000' }, 10_000, 10_000],
] as const) {
  test(`log-count-by-time counts the words of each of the ${shape}`, () => {
    fc.assert(
      fc.property(anyLog, (lines) => {
        const counts = pipe(sendLines(kitOf(split), lines), kitOf(countByTime, env)).advance(10_000)
        const sums = lastCounts(pipe(counts, kitOf(total)))
        const expected = naiveByTime(lines, sizeMs, slideMs, distinctWords)
        assert.deepEqual(
          Object.values(sums)
            .map(({ from, to, words }) => ({ from: Date.parse(from), to: Date.parse(to), result: words }))
            .sort((a, b) => a.from - b.from),
          expected,
        )
        assert.ok(Object.values(sums).every(({ parts, closed }) => parts === closed))
        assert.deepEqual(counts.errors(), [])
      }),
      { numRuns: 30 },
    )
  })
}

test('log-count-by-time keeps words no longer than windows need them', () => {
  const kit = kitOf(countByTime, { LATENESS_MS: '2000' })
  for (let second = 0; second < 300; second++)
    kit.send('log-words', `w${second}`, '', { timeMs: second * 1000, partition: 3 })
  const kept = Array.from({ length: 300 }, (_, i) => i).filter(
    (i) => kit.state(`word/w${i}`, 3) !== undefined,
  )
  assert.deepEqual(kept, [288, 289, 290, 291, 292, 293, 294, 295, 296, 297, 298, 299])
})

test('log-count-by-messages counts the words of each full window', () => {
  fc.assert(
    fc.property(
      anyLog,
      fc.integer({ min: 1, max: 7 }),
      fc.integer({ min: 1, max: 10 }),
      (lines, slide, panes) => {
        const env = { WINDOW_MESSAGES: String(slide * panes), SLIDE_MESSAGES: String(slide) }
        const kit = sendLines(kitOf(countByMessages, env), lines)
        assert.deepEqual(
          kit.outputs().map((output) => {
            const { from, to, words } = output.json<NumberedCount>()
            return { from, to, result: words }
          }),
          naiveByMessages(lines, slide * panes, slide, distinctWords),
        )
      },
    ),
    { numRuns: 40 },
  )
})

test('log-total forgets a window of time an hour after its last part, and keeps months', () => {
  const part = { from: 'a', to: 'b', partition: 0, words: 5, closed: true }
  const kit = kitOf(total)
  kit.send('log-counts-by-time-parts', 'a', JSON.stringify(part)).advance(3_000_000)
  kit.send('log-counts-by-time-parts', 'a', JSON.stringify({ ...part, partition: 1, closed: false }))
  kit.send('log-counts-by-month-parts', 'm', JSON.stringify(part))
  assert.deepEqual(kit.outputs('log-counts-by-time').at(-1)?.json(), {
    from: 'a',
    to: 'b',
    words: 10,
    parts: 2,
    closed: 1,
  })
  kit.advance(3_599_999)
  assert.ok(kit.state('log-counts-by-time-parts/a'))
  kit.advance(1)
  assert.deepEqual([kit.state('log-counts-by-time-parts/a'), kit.timers()], [undefined, []])
  assert.ok(kit.state('log-counts-by-month-parts/m'))
})
