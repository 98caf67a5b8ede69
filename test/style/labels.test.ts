import assert from 'node:assert/strict'
import { test } from 'node:test'
import { definitionsOf, labelOffences, type Text } from './labels.ts'

/** A file with a head that defines a rule. */
function file(path: string, name: string, more = ''): Text {
  return { path, source: `/**\n * Head.\n *\n *   ${name}. A rule.\n */\n${more}` }
}

test('definitionsOf reads the heads of files, and the rules of the whole platform', () => {
  const texts = [
    file('a/one.ts', 'QA1', '/** In the middle.\n *   QA9. No head.\n */'),
    file('b/two.ts', 'QA1'),
    { path: 'a/run.sh', source: '#!/bin/sh\n#   QB1. A rule.\n' },
    { path: 'docs/design/README.md', source: '| | |\n| QC1 | a rule |\n' },
    { path: 'docs/design/0001-page.md', source: '| QD1 | a rule |\n' },
  ]
  assert.deepEqual(
    [...definitionsOf(texts)],
    [
      ['QA1', ['a/one.ts', 'b/two.ts']],
      ['QB1', ['a/run.sh']],
      ['QC1', ['docs/design/README.md']],
    ],
  )
})

test('labelOffences finds citations that lead nowhere, or to several places (LA1)', () => {
  const definitions = definitionsOf([
    file('a/one.ts', 'QA1'),
    file('b/two.ts', 'QA1'),
    file('b/three.ts', 'QB1'),
  ])
  const of = (path: string, source: string) => labelOffences({ path, source }, definitions)
  const ambiguous = /QA1 is defined in a\/one\.ts, b\/two\.ts$/
  assert.match(of('c/x.ts', '/** As it is (QA1). */')[0]!, ambiguous)
  assert.match(of('c/x.ts', '/** QA1. */')[0]!, ambiguous)
  assert.match(of('c/x.ts', "assert.ok(is, 'QA1: it is')")[0]!, ambiguous)
  assert.match(of('docs/x.md', 'As it is (two.md, QA1)')[0]!, ambiguous)
  assert.match(of('c/x.ts', '/** As it is (QB1, QB2). */')[0]!, /QB2 is defined nowhere$/)
  for (const [path, source] of [
    ['a/one.ts', '/** As it is (QA1). */'],
    ['a/one.test.ts', "test('One is (QA1)', () => {})"],
    ['c/x.ts', '/** As it is (QA1 of one.ts). */'],
    ['c/x.ts', '/** As it is (one.ts,\n * QA1). */'],
    ['c/x.ts', '/** As it is (QB1), in V8 (V8). */'],
    ['c/x.ts', 'const QA1 = call(x-QA1)'],
  ] as const)
    assert.deepEqual(of(path, source), [], source)
})
