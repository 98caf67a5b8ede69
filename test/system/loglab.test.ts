import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { NumberedCount } from '../../functions/loglab/count-by-messages.ts'
import { generateLog } from '../../functions/loglab/generator.ts'
import type { TimedMatch } from '../../functions/loglab/match-by-time.ts'
import {
  distinctWords,
  matchesOf,
  naiveByMessages,
  naiveByTime,
  naiveDedup,
} from '../../functions/loglab/naive.ts'
import type { Count } from '../../functions/loglab/parts.ts'
import { partitionsDefault } from '../../sdk/manifest/manifest.ts'
import { partitionOf } from '../../sdk/wire/hash.ts'
import { Platform, Reader } from './platform.ts'

const folder = join(import.meta.dirname, '../../functions/loglab')
const lines = [...generateLog(11, { lines: 3000, everyMs: 100, disorderMs: 10_000 })]

/** Deploys one of the functions with an environment of its own. */
async function deploy(platform: Platform, name: string, env: Record<string, string> = {}): Promise<void> {
  const file = join(platform.home, `${name}.jsonc`)
  writeFileSync(file, JSON.stringify({ main: join(folder, `${name}.ts`), env }))
  await platform.json(['deploy', file])
}

async function follow(t: Parameters<typeof Reader.start>[0], platform: Platform, stream: string) {
  await platform.json(['stream', 'create', stream])
  const reader = await Reader.start(t, platform, [stream, '--hold'])
  return {
    async read<T>(count: number): Promise<T[]> {
      await reader.read(count)
      return reader.records.map((record) => JSON.parse(String(record['value'])) as T)
    },
    reader,
  }
}

test('the tasks on a log give what a simple program gives: de-duplicated, matched and counted in windows', {
  timeout: 600_000,
}, async (t) => {
  const platform = await Platform.start(t)
  const unique = await follow(t, platform, 'log-unique')
  const matches = await follow(t, platform, 'log-matches-by-time')
  const counts = await follow(t, platform, 'log-counts-by-time')
  const numbered = await follow(t, platform, 'log-counts-by-messages')
  await deploy(platform, 'total')
  await deploy(platform, 'count-by-time')
  await deploy(platform, 'split')
  await deploy(platform, 'dedup')
  await deploy(platform, 'match-by-time')
  await deploy(platform, 'count-by-messages', { WINDOW_MESSAGES: '1000', SLIDE_MESSAGES: '100' })

  await platform.json(['produce', 'logs'], lines.join('\n'))

  const expectedUnique = naiveDedup(lines)
  await unique.reader.read(expectedUnique.length)
  assert.deepEqual(
    unique.reader.records.map((record) => record['value']),
    expectedUnique,
  )

  const expectedNumbered = naiveByMessages(lines, 1000, 100, distinctWords)
  const counted = await numbered.read<NumberedCount>(expectedNumbered.length)
  assert.deepEqual(
    counted.map(({ from, to, words }) => ({ from, to, result: words })).sort((a, b) => a.from - b.from),
    expectedNumbered,
  )

  const sets = naiveByTime(lines, 10_000, 10_000, (inside) => matchesOf(inside, 'IRQ')).filter(
    ({ result }) => result.length > 0,
  )
  const results = await matches.read<TimedMatch>(sets.reduce((sum, { result }) => sum + result.length + 1, 0))
  for (const { from, result } of sets) {
    const ofWindow = results.filter((found) => Date.parse(found.from) === from)
    assert.deepEqual(
      ofWindow.flatMap((found) => ('match' in found ? [found.match] : [])),
      result,
    )
    assert.deepEqual(
      ofWindow.flatMap((found) => ('matches' in found ? [found.matches] : [])),
      [result.length],
    )
  }

  // A sum goes out for each partition that has a word of the window; a window closes once in each, and the last sum counts.
  const partitionsOf = (inside: readonly { line: string }[]) =>
    new Set(
      inside
        .flatMap(({ line }) => line.split(' '))
        .map((word) => partitionOf(Buffer.from(word), partitionsDefault)),
    ).size
  const parts = naiveByTime(lines, 10_000, 1000, partitionsOf).reduce((sum, { result }) => sum + result, 0)
  const expectedCounts = naiveByTime(lines, 10_000, 1000, distinctWords)
  const sums = await counts.read<Count>(parts)
  const last = new Map(
    sums.map(({ from, to, words }) => [from, { from: Date.parse(from), to: Date.parse(to), result: words }]),
  )
  assert.deepEqual(
    [...last.values()].sort((a, b) => a.from - b.from),
    expectedCounts,
  )
  for (const name of ['log-dedup', 'log-match-by-time', 'log-split', 'log-count-by-time', 'log-total']) {
    const { ledger } = await platform.until(name, (detail) =>
      detail.ledger.every(({ inFlight }) => inFlight === 0),
    )
    assert.deepEqual(
      ledger.map(({ dropped }) => dropped),
      ledger.map(() => ({})),
      name,
    )
  }
})
