import assert from 'node:assert/strict'
import { test } from 'node:test'
import { applyPatch } from 'diff'
import fc from 'fast-check'
import type { VersionSources } from '../../api/sources.ts'
import { assertFails, concord, gatewayOf, lastJson } from '../test-cli.ts'
import { codeChanges, fileText } from './code-diff.ts'

const sources = (version: number, files: Record<string, string>): VersionSources => ({
  ...{ name: 'score', version, kind: 'source' },
  files,
})

test('codeChanges gives patches from the earlier files to the later ones, and nothing for equal files', () => {
  const lines = fc.array(fc.constantFrom('a', 'b', '', '  c', '-- d', '++ e'), { maxLength: 12 })
  const text = fc.tuple(lines, fc.boolean()).map(([all, ends]) => all.join('\n') + (ends ? '\n' : ''))
  const files = fc.dictionary(fc.constantFrom('index.ts', 'lib/model.ts', 'x.ts'), text)
  fc.assert(
    fc.property(files, files, (before, after) => {
      const changes = codeChanges(sources(1, before), sources(2, after))
      const differing = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
        (path) => before[path] !== after[path],
      )
      assert.deepEqual(
        changes.map(({ path }) => path),
        differing.sort(),
      )
      for (const { path, change, patch } of changes) {
        const expected = !(path in before) ? 'added' : !(path in after) ? 'removed' : 'changed'
        assert.equal(change, expected)
        if ((before[path] ?? '') !== (after[path] ?? ''))
          assert.equal(applyPatch(before[path] ?? '', patch!), after[path] ?? '')
      }
    }),
  )
})

test('codeChanges only names a file that would take too long to compare', () => {
  const many = (seed: number) =>
    Array.from({ length: 60_000 }, (_, i) => String(Math.imul(i + 1, seed) >>> 0)).join('\n')
  const changes = codeChanges(sources(1, { 'a.ts': many(7) }), sources(2, { 'a.ts': many(11) }))
  assert.deepEqual(changes, [{ path: 'a.ts', change: 'changed' }])
  assert.match(fileText(changes[0]!), /^a\.ts: changed, and too different/)
})

test('fn diff shows the source code, or the bundle if a version has no source map', async (t) => {
  const bundle = (version: number) => ({ version, bundleSha256: `${version}`.repeat(64), bundleBytes: 100 })
  const diff = {
    ...{ name: 'score', from: bundle(3), to: bundle(4), sameCode: false },
    ...{ manifest: [{ path: 'limits.heapMib', before: 64, after: 128 }], assets: [] },
  }
  let hasMap = true
  const { env, received } = await gatewayOf(t, ({ path }) => {
    if (path.includes('/diff?')) return { status: 200, json: diff }
    const [, version, kind] = /versions\/(\d)\/sources\?kind=(\w+)/.exec(path)!
    const isSource = kind === 'source' && (hasMap || version === '4')
    const files = isSource
      ? { 'src/score.ts': `const limit = ${version}\nexport default limit\n` }
      : { 'bundle.js': `var limit=${version};` }
    return { status: 200, json: { ...sources(Number(version), files), kind: isSource ? 'source' : 'bundle' } }
  })
  assert.equal(
    (await concord(['fn', 'diff', 'score', 'v3', 'v4'], { env })).stdout,
    [
      'score v3 → v4',
      'code      bundle 333333333333 (100 B) → 444444444444 (100 B)',
      'manifest  limits.heapMib: 64 → 128',
      '--- a/src/score.ts',
      '+++ b/src/score.ts',
      '@@ -1,2 +1,2 @@',
      '-const limit = 3',
      '+const limit = 4',
      ' export default limit',
      '',
    ].join('\n'),
  )
  hasMap = false
  const { files } = lastJson(await concord(['fn', 'diff', 'score', '3', '4', '--json'], { env })) as {
    files: { path: string; patch: string }[]
  }
  assert.deepEqual(
    files.map(({ path, patch }) => [path, patch.split('\n').filter((line) => /^[+-]var/.test(line))]),
    [['bundle.js', ['-var limit=3;', '+var limit=4;']]],
  )
  diff.sameCode = true
  const asked = received.length
  assert.match((await concord(['fn', 'diff', 'score', 'v3', 'v4'], { env })).stdout, /code {6}the same/)
  assert.equal(received.length, asked + 1, 'nothing is read where the code is the same')
  assertFails(await concord(['fn', 'diff', 'score', 'v3', 'newest'], { env }), 2, /version/)
})
