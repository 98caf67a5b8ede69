import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import match from './match.ts'
import matchByMessages, { type NumberedMatch } from './match-by-messages.ts'
import matchByTime, { type TimedMatch } from './match-by-time.ts'
import type { Match } from './matches.ts'
import { matchesOf, naiveByMessages, naiveByTime, naiveMatches } from './naive.ts'
import { anyLogOf, kitOf, sendLines } from './testing.ts'

const anyLog = fc
  .tuple(fc.nat(), fc.integer({ min: 1, max: 120 }))
  .map(([seed, lines]) => anyLogOf(seed, lines))

const line = '- 1102911148 2004.12.12 ladmin2 Dec 12 20:12:28 src@ladmin2 IRQ redirection table:'

/** What stands under each key: the matches, and what the closing record said. */
function sets(results: readonly (TimedMatch | NumberedMatch)[]) {
  const byWindow = new Map<string | number, { from: unknown; to: unknown; matches: Match[]; said?: number }>()
  for (const result of results) {
    const { from, to } = result
    const set = byWindow.get(from) ?? { from, to, matches: [] }
    byWindow.set(from, set)
    assert.equal(set.said, undefined, 'nothing comes behind the record that closes a window')
    if ('match' in result) set.matches.push(result.match)
    else set.said = result.matches
  }
  return [...byWindow.values()].sort((a, b) => (a.from! < b.from! ? -1 : 1))
}

test('log-match takes matching lines apart, keyed by host', () => {
  const kit = sendLines(kitOf(match), [line, line.replace('IRQ', 'irq')])
  assert.deepEqual(
    kit.outputs().map((output) => [output.stream, output.key, output.json()]),
    [
      [
        'log-matches',
        'ladmin2',
        { time: '2004-12-13T04:12:28.000Z', host: 'ladmin2', user: 'src', payload: 'IRQ redirection table:' },
      ],
    ],
  )
})

test('log-match finds what a simple search finds, with another word too', () => {
  fc.assert(
    fc.property(anyLog, fc.constantFrom('IRQ', 'session', '10.0'), (lines, word) => {
      const kit = sendLines(kitOf(match, { WORD: word }), lines)
      assert.deepEqual(
        kit.outputs('log-matches').map((output) => output.json()),
        naiveMatches(lines, word),
      )
    }),
    { numRuns: 40 },
  )
  assert.throws(() => kitOf(match, { WORD: '' }), /empty WORD/)
})

for (const [shape, env, sizeMs, slideMs] of [
  ['10 s tumbling windows', {}, 10_000, 10_000],
  ['10 s windows sliding by 1 s', { SLIDE_MS: '1000' }, 10_000, 1000],
] as const) {
  test(`log-match-by-time has the result set of each of the ${shape}`, () => {
    fc.assert(
      fc.property(anyLog, (lines) => {
        const kit = sendLines(kitOf(matchByTime, env), lines)
        kit.advance(10_000) // no more lines: the rest closes
        const expected = naiveByTime(lines, sizeMs, slideMs, (inside) => matchesOf(inside, 'IRQ'))
          .filter(({ result }) => result.length > 0)
          .map(({ from, to, result }) => ({
            from: new Date(from).toISOString(),
            to: new Date(to).toISOString(),
            matches: result,
            said: result.length,
          }))
        assert.deepEqual(sets(kit.outputs().map((output) => output.json<TimedMatch>())), expected)
        assert.deepEqual([kit.errors(), kit.timers()], [[], []])
      }),
      { numRuns: 40 },
    )
  })
}

test('log-match-by-time waits for lines that are out of order, and closes when time moves on or stands still', () => {
  const at = (seconds: number) => line.replace('1102911148', String(1_102_911_140 + seconds))
  const closings = (kit: ReturnType<typeof kitOf>) =>
    kit.outputs().flatMap((output) => {
      const result = output.json<TimedMatch>()
      return 'matches' in result ? [[result.from.slice(17, 19), result.matches]] : []
    })
  const kit = kitOf(matchByTime, { LATENESS_MS: '5000', IDLE_MS: '60000' })
  sendLines(kit, [at(8), at(14), at(9)])
  assert.deepEqual(closings(kit), []) // second 15 has not come
  sendLines(kit, [at(15), at(9)])
  assert.deepEqual(closings(kit), [['20', 2]])
  assert.match(String(kit.errors()[0]?.error), /is late/)
  kit.advance(59_999)
  sendLines(kit, [at(16)])
  kit.advance(59_999)
  assert.equal(closings(kit).length, 1)
  kit.advance(1)
  assert.deepEqual(closings(kit).at(-1), ['30', 3])
  assert.deepEqual(kit.timers(), [])
})

test('log-match-by-messages has the result set of each window, tumbling and sliding', () => {
  fc.assert(
    fc.property(
      anyLog,
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 4 }),
      (lines, slide, panes) => {
        const env = { WINDOW_MESSAGES: String(slide * panes), SLIDE_MESSAGES: String(slide) }
        const kit = sendLines(kitOf(matchByMessages, env), lines)
        const found = sets(kit.outputs().map((output) => output.json<NumberedMatch>()))
        const expected = naiveByMessages(lines, slide * panes, slide, (inside) => matchesOf(inside, 'IRQ'))
        assert.deepEqual(
          found.filter(({ said }) => said !== undefined),
          expected.map(({ result, ...window }) => ({ ...window, matches: result, said: result.length })),
        )
      },
    ),
    { numRuns: 40 },
  )
})

test('log-match-by-messages counts by the hundred thousand unless told otherwise, and no line that is none', () => {
  const kit = kitOf(matchByMessages, { WINDOW_MESSAGES: '2', SLIDE_MESSAGES: '2' })
  sendLines(kit, [line, 'hello', line])
  assert.deepEqual(kit.outputs().at(-1)?.json(), {
    from: 0,
    to: 2,
    partition: kit.outputs()[0]!.partition,
    matches: 2,
  })
  assert.equal(kit.errors().length, 1)
  const plain = sendLines(kitOf(matchByMessages), [line])
  const { from, to } = plain.outputs()[0]!.json<NumberedMatch>()
  assert.deepEqual([from, to], [0, 100_000])
  assert.throws(
    () => kitOf(matchByMessages, { WINDOW_MESSAGES: '10', SLIDE_MESSAGES: '3' }),
    /Cannot use WINDOW_MESSAGES=10 with SLIDE_MESSAGES=3: the window must be a multiple of the slide/,
  )
})
