/**
 * What users run with their own Node, from 20 on, calls nothing that came later.
 * @module
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listFiles, readSource } from './sources.ts'

const later = [
  /\b(?:Map|Object)\.groupBy\b/,
  /\bPromise\.(?:withResolvers|try)\b/,
  /\bArray\.fromAsync\b/,
  /\b(?:RegExp\.escape|Error\.isError|Iterator\.from|Float16Array)\b/,
  /\.(?:keys|values|entries)\(\)\s*\.(?:map|filter|some|every|find|reduce|take|drop|flatMap|forEach|toArray)\(/,
  /\.(?:intersection|symmetricDifference|isSubsetOf|isSupersetOf|isDisjointFrom)\(/,
  /\bimport\.meta\.(?:dirname|filename)\b/,
]

function laterIn(source: string): string[] {
  return later.flatMap((pattern) => pattern.exec(source)?.[0] ?? [])
}

test('laterIn finds what Node 20 lacks, over lines too', () => {
  assert.deepEqual(laterIn('[...Map.groupBy(a, b)]'), ['Map.groupBy'])
  assert.deepEqual(laterIn('new Map()\n  .keys()\n  .map(f)'), ['.keys()\n  .map('])
  assert.deepEqual(laterIn('[...map.keys()].map(f)'), [])
})

test('CLI, client and test kit call nothing that Node 20 lacks', () => {
  const files = listFiles(
    'sdk/*.ts',
    'sdk/{api,cli,client,manifest,replay,runtime,scaling,testkit,versions,wire}/**/*.{ts,mjs}',
  ).filter((path) => !/(?:\.test|test-cli)\.ts$/.test(path))
  assert.ok(files.includes('sdk/cli/text/function-text.ts'))
  const found = files.flatMap((path) => laterIn(readSource(path)).map((name) => `${path}: ${name}`))
  assert.deepEqual(found, [])
})
