import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import dedup from './dedup.ts'
import { parseLine } from './line.ts'
import { naiveDedup } from './naive.ts'
import { anyLogOf, kitOf, sendLines } from './testing.ts'

const anyLog = fc
  .tuple(fc.nat(), fc.integer({ min: 1, max: 120 }))
  .map(([seed, lines]) => anyLogOf(seed, lines))

const unique = (kit: ReturnType<typeof kitOf>) => kit.outputs('log-unique').map((output) => output.text())
const lineAt = (seconds: number, payload: string) =>
  `- ${1_102_911_148 + seconds} 2004.12.12 ladmin2 ${payload}`

test('log-dedup passes on the first of equal lines, whatever is between them', () => {
  fc.assert(
    fc.property(anyLog, (lines) => {
      const kit = sendLines(kitOf(dedup), lines)
      assert.deepEqual(unique(kit), naiveDedup(lines))
      assert.deepEqual(kit.errors(), [])
    }),
    { numRuns: 40 },
  )
})

test('log-dedup spread over partitions by host finds the same lines', () => {
  fc.assert(
    fc.property(anyLog, (lines) => {
      const kit = sendLines(kitOf(dedup), lines, (line) => parseLine(line).host)
      assert.deepEqual(unique(kit).sort(), naiveDedup(lines).sort())
    }),
    { numRuns: 20 },
  )
})

test('log-dedup puts a late line aside, with how late is too late, and goes on', () => {
  const kit = kitOf(dedup, { LATENESS_MS: '5000' })
  sendLines(kit, [lineAt(10, 'a'), lineAt(5, 'b'), lineAt(4, 'late'), lineAt(5, 'b'), lineAt(11, 'c')])
  assert.deepEqual(unique(kit), [lineAt(10, 'a'), lineAt(5, 'b'), lineAt(11, 'c')])
  assert.deepEqual(
    kit.errors().map(({ error, reaction }) => [(error as Error).message, reaction]),
    [
      [
        'Cannot take a line of 2004-12-13T04:12:32.000Z: it is late, what came before 2004-12-13T04:12:33.000Z is closed (LATENESS_MS allows more)',
        'deadLetter',
      ],
    ],
  )
})

test('log-dedup puts aside what is no log line', () => {
  const kit = sendLines(kitOf(dedup), ['hello world', lineAt(0, 'a')])
  assert.deepEqual(unique(kit), [lineAt(0, 'a')])
  assert.match(
    String(kit.errors()[0]?.error),
    /Cannot read a log line at column 7: expected seconds since 1970/,
  )
})

test('log-dedup keeps lines no longer than they can come again', () => {
  const kit = kitOf(dedup, { LATENESS_MS: '5000' })
  const lines = Array.from({ length: 200 }, (_, second) => lineAt(second, 'x'))
  sendLines(kit, lines)
  const kept = lines.filter((line) => kit.state(`line/${line}`) !== undefined)
  assert.deepEqual(kept, lines.slice(-6)) // five seconds of lateness, and the one at hand
})

test('log-dedup refuses to start with a lateness that is no number', () => {
  assert.throws(
    () => kitOf(dedup, { LATENESS_MS: 'a minute' }),
    /Cannot use LATENESS_MS=a minute: expected a whole/,
  )
})
