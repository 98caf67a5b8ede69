import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { listFiles, readSource, root } from './sources.ts'

/** Names of commands that are those of other people's packages in npm's registry. */
const others = /\bnpx (concord|biome|tsc)\b/

test("texts ask for no command that npx would download from a stranger's package, where it finds none on disk", () => {
  const template = readdirSync(join(root, 'sdk/cli/template')).map((file) => `sdk/cli/template/${file}`)
  const texts = [...listFiles('**/*.md', '**/*.ts', '**/*.mjs'), ...template]
  const asked = texts
    .filter((file) => !import.meta.filename.endsWith(file))
    .flatMap((file) =>
      readSource(file)
        .split('\n')
        .filter((line) => others.test(line))
        .map((line) => `${file}: ${line}`),
    )
  assert.equal(asked.length, 1, asked.join('\n'))
  assert.match(asked[0]!, /^README\.md: - Do not type `npx concord`/)
})
