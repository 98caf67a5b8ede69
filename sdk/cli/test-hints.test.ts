import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { concord, temporaryFolder, withTestsNode } from './test-cli.ts'

async function tested(t: TestContext, source: string, settings: object = {}) {
  const cwd = temporaryFolder(t)
  mkdirSync(join(cwd, 'lib'))
  const files = {
    'package.json': JSON.stringify({ type: 'module', ...settings }),
    'tsconfig.json': '{"compilerOptions":{"paths":{"@lib/*":["./lib/*"]}}}',
    'lib/index.ts': 'export const x: number = 1',
    'data.json': '{}',
    'a.test.ts': source,
  }
  for (const [name, text] of Object.entries(files)) writeFileSync(join(cwd, name), text)
  const { code, stdout, stderr } = await concord(['test'], { cwd, env: withTestsNode })
  return { code, said: stdout + stderr }
}

test('concord test says what to do about what Node cannot load and fn deploy takes', async (t) => {
  const cases: Record<string, RegExp> = {
    "import '@lib/index.ts'": /if '@lib\/index\.ts' stands in the 'paths' of tsconfig\.json/,
    "import './lib/index'": /name the file with its ending, as in '\.\/util\.ts'/,
    "import './lib'": /name the file, as in '\.\/lib\/index\.ts'/,
    "import './data.json'": /write with \{ type: 'json' \} behind the import/,
    'enum Level { Low }; console.log(Level.Low)':
      /enums, namespaces and parameter properties are more than types/,
  }
  for (const [source, advice] of Object.entries(cases)) {
    const { code, said } = await tested(t, source)
    assert.equal(code, 1, source)
    assert.match(said, /concord test: Node, which runs the tests, cannot load this: /, source)
    assert.match(said, advice)
  }
})

test('concord test advises what works, and is silent about other failures', async (t) => {
  const works = await tested(
    t,
    "import { x } from '#lib/index.ts'\nimport data from './data.json' with { type: 'json' }\nconsole.log(x, data)",
    { imports: { '#lib/*': './lib/*' } },
  )
  assert.equal(works.code, 0, works.said)
  const fails = await tested(t, "throw new Error('no')")
  assert.equal(fails.code, 1)
  assert.doesNotMatch(fails.said, /cannot load/)
})
