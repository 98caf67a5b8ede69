import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeImport, readImports } from './imports.ts'

const namesOf = (source: string): string[] => readImports(source).map(({ specifier }) => specifier)
const packages = ['zod', '@nats-io/obj', 'fast-check']

test('readImports finds static, type, multi-line, re-exporting, bare and dynamic imports', () => {
  const source = [
    "import a from './a.ts'",
    "import type { B } from './b.ts'",
    'import {',
    '  c,',
    '  type C,',
    "} from './c.ts'",
    "export { d } from './d.ts'",
    "export * as e from './e.ts'",
    "import './f.ts'",
    "const g = await import('./g.ts')",
    "import * as h from 'h'",
    "export const text = 'from'",
  ].join('\n')
  const found = readImports(source)
  assert.deepEqual(
    found.filter(({ isType }) => isType).map(({ specifier }) => specifier),
    ['./b.ts'],
  )
  assert.deepEqual(namesOf(source), [
    './a.ts',
    './b.ts',
    './c.ts',
    './d.ts',
    './e.ts',
    './f.ts',
    './g.ts',
    'h',
  ])
})

test('readImports takes no notice of comments and of sources in template literals', () => {
  const source =
    "/**\n * import x from './x.ts'\n */\n// import('./y.ts')\nconst s = `\nimport fs from 'fs'\n`\nimport z from './z.ts'"
  assert.deepEqual(namesOf(source), ['./z.ts'])
})

test('judgeImport allows what the table of folders has', () => {
  const allowed: [string, string][] = [
    ['gateway/app.ts', '../sdk/wire/frame.ts'],
    ['gateway/http/app.ts', '../../infra/store/index.ts'],
    ['runner/host/host.ts', '../../infra/control/messages/heartbeat.ts'],
    ['infra/bus/sending/producer.ts', '../control/messages/streams.ts'],
    ['functions/clicks/score.ts', '../../sdk/index.ts'],
    ['functions/clicks/score.ts', 'concord'],
    ['test/bench/main.ts', '../../runner/host/host.ts'],
    ['sdk/client/http.ts', 'node:http'],
    ['infra/bundles/store.ts', '@nats-io/obj'],
    ['sdk/wire/frame.test.ts', 'fast-check'],
    ['gateway/openapi.ts', '../package.json'],
  ]
  for (const [file, specifier] of allowed)
    assert.equal(judgeImport(file, specifier, packages), undefined, `${file} ${specifier}`)
})

test('judgeImport refuses every arrow that the table lacks, and what is no door (L1, L2)', () => {
  const refused: [string, string, RegExp][] = [
    ['runner/host/host.ts', '../../gateway/app.ts', /runner\/ must not import gateway\//],
    ['scheduler/main.ts', '../runner/index.ts', /scheduler\/ must not import runner\//],
    ['sdk/wire/frame.ts', '../../infra/clock.ts', /sdk\/ must not import infra\//],
    ['infra/log.ts', '../gateway/index.ts', /infra\/ must not import gateway\//],
    ['functions/clicks/score.ts', '../../infra/clock.ts', /functions\/ must not import infra\//],
    ['gateway/app.ts', '../infra/store/sqlite.ts', /not a door/],
    ['runner/isolate.ts', '../sdk/runtime/walk.ts', /not a door/],
    ['gateway/app.ts', '../test/run.ts', /must not import test\//],
  ]
  for (const [file, specifier, what] of refused)
    assert.match(judgeImport(file, specifier, packages) ?? '', what)
})

test('judgeImport refuses bare Node modules, missing extensions and packages that are not named (L3)', () => {
  assert.match(judgeImport('sdk/a.ts', 'fs/promises', packages) ?? '', /node:fs\/promises/)
  assert.match(judgeImport('sdk/a.ts', './b', packages) ?? '', /extension/)
  assert.match(judgeImport('sdk/a.ts', 'left-pad', packages) ?? '', /'left-pad'/)
  assert.match(judgeImport('sdk/a.ts', 'fast-check', packages) ?? '', /'fast-check' is for tests/)
  assert.match(judgeImport('sdk/a.ts', 'concord', packages) ?? '', /itself/)
})
